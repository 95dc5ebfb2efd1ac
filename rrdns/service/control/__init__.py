"""The control process: orders, probe results, recovery after a start, the admin service."""
