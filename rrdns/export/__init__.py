"""Tell other systems what changed."""
