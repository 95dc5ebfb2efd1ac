"""Output for people and programs: tables, JSON, durations, progress, errors."""
