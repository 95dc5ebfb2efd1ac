"""The DNS server: sockets, and the loops that serve them over UDP and TCP."""
