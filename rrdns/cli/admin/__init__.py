"""Verbs that call the admin API of a running rrdns."""
