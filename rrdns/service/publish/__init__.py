"""Snapshots on their way from the control process to the workers and to the disk."""
