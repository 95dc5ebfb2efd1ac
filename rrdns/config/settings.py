"""What a config file comes to: frozen values that need no further check.

Names are lower-case without the final dot, addresses canonical, durations float seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rrdns.core.model import Endpoint, Pool, Zone
from rrdns.core.rate_limit import RateLimits
from rrdns.export.settings import ExporterSettings
from rrdns.export.webhooks.settings import EventWebhookSettings
from rrdns.web.api.auth import Token

DEFAULT_DNS = (Endpoint("0.0.0.0", 53), Endpoint("::", 53))  # noqa: S104 - a DNS server's purpose
DEFAULT_API = Endpoint("127.0.0.1", 8053)
DEFAULT_STORE = Path("/var/lib/rrdns/rrdns.db")


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """The limits of DNS over TCP, per worker."""

    connections: int = 512
    per_address: int = 64
    idle: float = 10.0  # seconds without a query that end a connection
    lifetime: float = 300.0  # seconds that end any connection


@dataclass(frozen=True, slots=True)
class ChaosSettings:
    """What is told under the names of class CHAOS; nothing where it is empty."""

    id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Where DNS is answered, and by how many."""

    listen: tuple[Endpoint, ...] = DEFAULT_DNS
    workers: int = 0  # 0: one per core
    tcp: TcpSettings = field(default_factory=TcpSettings)
    cookies: bool = True
    cookie_secrets: tuple[bytes, ...] = field(default=(), repr=False)  # none: made at the start
    rate_limit: RateLimits | None = field(default_factory=RateLimits)  # None: no limit
    nsid: str = ""
    chaos: ChaosSettings = field(default_factory=ChaosSettings)
    freebind: bool = False  # addresses that this host does not have yet are bound, too


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the admin API listens, and whom it knows."""

    listen: Endpoint = DEFAULT_API
    tokens: tuple[Token, ...] = ()
    tls_cert: Path | None = None  # with tls_key; without them HTTP is served plainly
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where orders and the audit trail are kept."""

    backend: str = "sqlite"  # or "memory"
    path: Path = DEFAULT_STORE
    audit_days: float = 365.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the log is written."""

    format: str = "json"  # or "console"
    level: str = "info"


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """Whom to become once the sockets are bound."""

    user: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All that an admin has decided."""

    zones: tuple[Zone, ...]
    pools: tuple[Pool, ...]
    dns: DnsSettings = field(default_factory=DnsSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    log: LogSettings = field(default_factory=LogSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    exporters: tuple[ExporterSettings, ...] = ()
    webhooks: tuple[EventWebhookSettings, ...] = ()
    source: str = ""  # the file, as it was named
