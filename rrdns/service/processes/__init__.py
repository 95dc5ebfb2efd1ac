"""The supervisor, what it launches, and the worker process."""
