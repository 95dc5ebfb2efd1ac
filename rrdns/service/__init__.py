"""Run: assemble the processes, start and stop them in order."""
