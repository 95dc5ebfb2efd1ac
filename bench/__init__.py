"""Measure rrdns beside its peers, on this machine and in one run: `python -m bench --help`."""
