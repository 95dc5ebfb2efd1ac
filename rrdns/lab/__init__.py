"""Try: TFTP servers that behave or misbehave on demand."""
