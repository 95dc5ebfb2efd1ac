"""TFTP servers for tests and the demo, with faults on demand."""
