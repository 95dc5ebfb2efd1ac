"""Read the config file: TOML in, frozen settings or every mistake out."""

from rrdns.config.diff import describe_changes, restart_needed
from rrdns.config.loader import load, parse
from rrdns.config.settings import DnsSettings, Settings

__all__ = ["DnsSettings", "Settings", "describe_changes", "load", "parse", "restart_needed"]
