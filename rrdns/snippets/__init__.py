"""Text that an admin pastes into other servers' configs."""
