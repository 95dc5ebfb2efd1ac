"""Translate between bytes and values; no sockets, no clock."""
