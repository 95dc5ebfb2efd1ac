"""Compare rrdns with other DNS servers on this machine: `python -m bench --help`."""
