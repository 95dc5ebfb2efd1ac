"""Feed everything that strangers can send to the code that reads it."""
