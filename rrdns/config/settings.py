"""The settings of a config file as frozen values that need no further check, with their defaults.

Names are lower-case without the final dot, addresses canonical, durations float seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rrdns.core.connection_limits import TcpLimits
from rrdns.core.model import Endpoint, Pool, Zone
from rrdns.core.rate_limit import RateLimits
from rrdns.core.roles import Token
from rrdns.export.settings import ExporterSettings
from rrdns.export.webhooks.settings import EventWebhookSettings

DEFAULT_DNS = (Endpoint("0.0.0.0", 53), Endpoint("::", 53))  # noqa: S104 - a DNS server's purpose
DEFAULT_API = Endpoint("127.0.0.1", 8053)


@dataclass(frozen=True, slots=True)
class ChaosSettings:
    """Answers to the names of class CHAOS; an empty one is not answered."""

    id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Listeners, workers and protocol options of DNS."""

    listen: tuple[Endpoint, ...] = DEFAULT_DNS
    workers: int = 0  # 0: one per core
    tcp: TcpLimits = field(default_factory=TcpLimits)  # per worker
    cookies: bool = True
    cookie_secrets: tuple[bytes, ...] = field(default=(), repr=False)  # empty: made at start
    rate_limit: RateLimits | None = field(default_factory=RateLimits)  # None: no limit
    nsid: str = ""
    chaos: ChaosSettings = field(default_factory=ChaosSettings)
    freebind: bool = False  # also bind addresses that this host does not have yet


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Listener, TLS and tokens of the admin API."""

    listen: Endpoint = DEFAULT_API
    tokens: tuple[Token, ...] = ()
    tls_cert: Path | None = None  # with tls_key; without them the API speaks HTTP
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where orders and the audit trail are stored."""

    backend: str = "sqlite"  # or "memory"
    path: Path = Path("/var/lib/rrdns/rrdns.db")
    audit_days: float = 365.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the log is written."""

    format: str = "json"  # or "console"
    level: str = "info"


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """User and group after the sockets are bound."""

    user: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a config file."""

    zones: tuple[Zone, ...]
    pools: tuple[Pool, ...]
    dns: DnsSettings = field(default_factory=DnsSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    log: LogSettings = field(default_factory=LogSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    exporters: tuple[ExporterSettings, ...] = ()
    webhooks: tuple[EventWebhookSettings, ...] = ()
    source: str = ""  # the path of the file
