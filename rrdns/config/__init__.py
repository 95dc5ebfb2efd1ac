"""Read the config file: TOML in, frozen settings out, or every mistake at once."""

from rrdns.config.diff import describe_changes, restart_needed
from rrdns.config.loader import load, parse
from rrdns.config.settings import (
    ApiSettings,
    ChaosSettings,
    DnsSettings,
    LogSettings,
    ProcessSettings,
    Settings,
    StoreSettings,
    TcpSettings,
)
from rrdns.core.health.probe_timing import worst_case

__all__ = [
    "ApiSettings",
    "ChaosSettings",
    "DnsSettings",
    "LogSettings",
    "ProcessSettings",
    "Settings",
    "StoreSettings",
    "TcpSettings",
    "describe_changes",
    "load",
    "parse",
    "restart_needed",
    "worst_case",
]
