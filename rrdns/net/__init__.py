"""Wait on sockets: answer DNS, probe TFTP."""
