"""Ask rrdns and other authoritative servers the same, and explain every difference."""
