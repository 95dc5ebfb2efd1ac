"""What every process needs of its system: logs, privileges, heartbeat, clocks, state files."""
