"""Live state of pools and members, and when each member is probed."""
