"""Authoritative DNS for the hostname that Citrix Provisioning targets boot from."""

__version__ = "0.1.0"
