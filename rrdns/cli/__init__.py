"""Talk: the command line."""
