"""Verbs that run rrdns or check what it would run with: serve, demo, check-config, token."""
