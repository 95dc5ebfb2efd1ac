"""TFTP packets, the read session without I/O, and what a probe finds."""
