"""Simulated targets that boot: firmware, DNS look-ups, storms and their summary."""
