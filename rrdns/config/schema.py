"""The tables of a config file: one pydantic model per table, which checks each value by itself.

Contradictions between values are found in `cross_checks`. Each table builds a dataclass, and takes
its defaults from it. A required setting has an empty text or list as default, which is never valid.
So a file with mistakes can be read on, and all mistakes are named.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, PlainValidator

from rrdns.config import validators
from rrdns.config.integration_tables import AnyExporterTable, WebhookTable
from rrdns.config.pool_tables import PoolTable
from rrdns.config.settings import (
    ApiSettings,
    ChaosSettings,
    DnsSettings,
    LogSettings,
    ProcessSettings,
    Settings,
    StoreSettings,
)
from rrdns.config.table import (
    Address,
    Domain,
    FilePath,
    Hash,
    Identifier,
    Table,
    Text,
    Ttl,
    required,
)
from rrdns.core.connection_limits import TcpLimits
from rrdns.core.model import (
    Endpoint,
    Nameserver,
    Zone,
    is_inside,
)
from rrdns.core.rate_limit import RateLimits
from rrdns.core.roles import Role, Token

ShortText = Annotated[str, AfterValidator(validators.short_text)]
Secret = Annotated[str, AfterValidator(validators.cookie_secret)]
Network = Annotated[str, AfterValidator(validators.network)]
Rate = Annotated[int, AfterValidator(validators.InRange(0, 1_000_000, "responses a second"))]
# TOML has no null, so None marks an item that had a mistake and was removed.
Listen = Annotated[Endpoint | None, PlainValidator(validators.endpoint)]


# Where the defaults of the tables come from.
_TCP = TcpLimits()
_RATES = RateLimits()
_DNS = DnsSettings()
_ZONE = Zone(name="", nameservers=(), hostmaster="")
_API = ApiSettings()
_STORE = StoreSettings()
_LOG = LogSettings()


class Backend(StrEnum):
    """Where orders and the audit trail are stored."""

    SQLITE = "sqlite"
    MEMORY = "memory"


class Format(StrEnum):
    """How a log line is written."""

    JSON = "json"
    CONSOLE = "console"


class Level(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class TcpTable(Table):
    """`[dns.tcp]`."""

    heading: ClassVar[str] = "[dns.tcp]"
    builds: ClassVar[type[Any]] = TcpLimits
    connections: Annotated[int, AfterValidator(validators.InRange(1, 65536))] = _TCP.connections
    """Connections at once, per worker. At the limit rrdns closes the longest idle connection of the
    address that has the most."""
    per_address: Annotated[int, AfterValidator(validators.InRange(1, 65536))] = _TCP.per_address
    """Connections of one address (IPv6: one /64) at once, per worker."""
    idle: Annotated[float, AfterValidator(validators.InRange(0.1, 3600, "seconds"))] = _TCP.idle
    """Time without a complete query until rrdns closes a connection."""
    lifetime: Annotated[float, AfterValidator(validators.InRange(1, 86400, "seconds"))] = (
        _TCP.lifetime
    )
    """Time until rrdns closes any connection."""


class RateLimitTable(Table):
    """`[dns.rate_limit]`."""

    heading: ClassVar[str] = "[dns.rate_limit]"
    builds: ClassVar[type[Any]] = RateLimits
    enabled: bool = True
    """Limits UDP responses to each network, so that rrdns cannot be used to flood others."""
    answers: Rate = _RATES.answers
    """Responses with records to one network; 0 means no limit."""
    negatives: Rate = _RATES.negatives
    """NODATA and NXDOMAIN responses to one network; 0 means no limit."""
    errors: Rate = _RATES.errors
    """Error responses to one network; 0 means no limit."""
    window: Annotated[float, AfterValidator(validators.InRange(0, 3600, "seconds"))] = _RATES.window
    """Longest time until a network gets responses again after a flood."""
    slip: Annotated[int, AfterValidator(validators.InRange(0, 10))] = _RATES.slip
    """Every n-th query over the limit gets a truncated response; 0 means none.

    A real client then repeats the query over TCP.
    """
    ipv4_prefix: Annotated[int, AfterValidator(validators.PrefixLength(8, 32))] = _RATES.ipv4_prefix
    """Prefix length of one network."""
    ipv6_prefix: Annotated[int, AfterValidator(validators.PrefixLength(16, 128))] = (
        _RATES.ipv6_prefix
    )
    """Prefix length of one network."""
    exempt: list[Network | None] = list(_RATES.exempt)
    """Networks without a limit."""

    def build(self, **others: Any) -> Any:
        """Return the limits, or None if they are off."""
        return super().build(**others) if self.enabled else None


class ChaosTable(Table):
    """`[dns.chaos]`."""

    heading: ClassVar[str] = "[dns.chaos]"
    builds: ClassVar[type[Any]] = ChaosSettings
    id: ShortText = ""
    """Answer to `id.server` and `hostname.bind`, class CHAOS; without it REFUSED."""
    version: ShortText = ""
    """Answer to `version.server` and `version.bind`, class CHAOS; without it REFUSED."""


class DnsTable(Table):
    """`[dns]`."""

    heading: ClassVar[str] = "[dns]"
    builds: ClassVar[type[Any]] = DnsSettings
    listen: list[Listen] = list(_DNS.listen)
    """Addresses and ports for UDP and TCP."""
    freebind: bool = _DNS.freebind
    """Also binds addresses that this host does not have yet, for VRRP and for boot order."""
    workers: Annotated[int, AfterValidator(validators.InRange(0, 512))] = _DNS.workers
    """DNS worker processes; 0 means one per core."""
    tcp: TcpTable = TcpTable()
    cookies: bool = _DNS.cookies
    """DNS cookies (RFC 7873, RFC 9018)."""
    cookie_secret: list[Secret | None] = []
    """Secrets of DNS cookies. The first one makes cookies, all are accepted. Servers that share an
    address need the same. Without one, rrdns makes one at start."""
    rate_limit: RateLimitTable = RateLimitTable()
    nsid: ShortText = ""
    """Name of this server in responses to queries with NSID (RFC 5001). Without it, none is sent.
    """
    chaos: ChaosTable = ChaosTable()

    def build(self, **others: Any) -> Any:
        """Return the settings, with the cookie secrets as bytes."""
        written = (secret for secret in self.cookie_secret if secret)
        return super().build(cookie_secrets=tuple(map(bytes.fromhex, written)), **others)


class NameserverTable(Table):
    """An entry of a zone's `nameservers`."""

    heading: ClassVar[str] = "nameservers"
    builds: ClassVar[type[Any]] = Nameserver
    name: Domain = required('name = "ns1.pvs.example.test"')
    """Name of the nameserver."""
    address: Address = ""
    """Its address. A nameserver inside the zone needs one (glue)."""
    addresses: list[Address | None] = []
    """Several addresses instead of one."""

    def build(self, **others: Any) -> Any:
        """Return the nameserver, with the address or the addresses."""
        addresses = (address for address in (self.address, *self.addresses) if address)
        return super().build(addresses=tuple(addresses), **others)


class ZoneTable(Table):
    """`[[zones]]`."""

    heading: ClassVar[str] = "[[zones]]"
    builds: ClassVar[type[Any]] = Zone
    name: Domain = required('name = "pvs.example.test"')
    """Name of the zone that your DNS servers delegate to rrdns."""
    nameservers: list[NameserverTable] = required(
        'nameservers = [{ name = "ns1.pvs.example.test", address = "192.0.2.53" }]', []
    )
    """Nameservers of the zone, for NS records and glue."""
    hostmaster: Annotated[str, AfterValidator(validators.hostmaster)] = required(
        'hostmaster = "hostmaster.example.test"'
    )
    """Mailbox for the SOA record, with `@` or as a domain name."""
    ttl: Ttl = _ZONE.ttl
    """TTL of SOA, NS and the nameservers' addresses."""
    negative_ttl: Ttl | None = None
    """TTL of NODATA and NXDOMAIN.

    By default, and at most, the smallest `ttl` of the zone's pools: a longer one would hide a name.
    """
    serial: Annotated[int, AfterValidator(validators.InRange(0, 2**32 - 1))] = _ZONE.serial
    """Serial of the SOA record. Use the same on every rrdns of the zone."""
    refresh: Ttl = _ZONE.refresh
    """SOA refresh. Only secondaries use it, and rrdns has none."""
    retry: Ttl = _ZONE.retry
    """SOA retry. Only secondaries use it."""
    expire: Ttl = _ZONE.expire
    """SOA expire. Only secondaries use it."""
    allow_query: list[Network | None] = list(_ZONE.allow_query)
    """Networks that may query the zone; other clients get REFUSED."""


class TokenTable(Table):
    """`[[api.tokens]]`."""

    heading: ClassVar[str] = "[[api.tokens]]"
    builds: ClassVar[type[Any]] = Token
    name: Identifier = required('name = "ops"')
    """Name of the holder in the audit trail."""
    role: Annotated[Role | None, BeforeValidator(validators.one_of(Role))] = required(
        'role = "operator"', None
    )
    """`viewer` reads, `operator` also drains and resumes, `admin` also forces."""
    sha256: Hash = required('sha256 = "...", as `rrdns token` prints it')
    """Hash of the token, as `rrdns token` prints it."""


class ApiTable(Table):
    """`[api]`."""

    heading: ClassVar[str] = "[api]"
    builds: ClassVar[type[Any]] = ApiSettings
    listen: Listen = _API.listen
    """Address and port of the API and the page. Without tokens, it must be an address of this host
    only."""
    tls_cert: FilePath | None = None
    """PEM file with the certificate and its chain, for HTTPS."""
    tls_key: FilePath | None = None
    """PEM file with the private key, not encrypted."""
    tokens: list[TokenTable] = []
    """Bearer tokens. Without tokens every user of this host may do everything."""


class StoreTable(Table):
    """`[store]`."""

    heading: ClassVar[str] = "[store]"
    builds: ClassVar[type[Any]] = StoreSettings
    backend: Annotated[Backend, BeforeValidator(validators.one_of(Backend))] = Backend(
        _STORE.backend
    )
    """Where orders and the audit trail are kept. `memory` loses all of it when rrdns stops."""
    path: FilePath = _STORE.path
    """The database. Its folder also holds the snapshot file."""
    audit_days: Annotated[float, AfterValidator(validators.InRange(1, 36500, "days"))] = (
        _STORE.audit_days
    )
    """Age from which audit entries are deleted."""


class LogTable(Table):
    """`[log]`."""

    heading: ClassVar[str] = "[log]"
    builds: ClassVar[type[Any]] = LogSettings
    format: Annotated[Format, BeforeValidator(validators.one_of(Format))] = Format(_LOG.format)
    """JSON lines, or text for people."""
    level: Annotated[Level, BeforeValidator(validators.one_of(Level))] = Level(_LOG.level)
    """Lowest level that is logged."""


class ProcessTable(Table):
    """`[process]`."""

    heading: ClassVar[str] = "[process]"
    builds: ClassVar[type[Any]] = ProcessSettings
    user: Text | None = None
    """User that rrdns changes to once its sockets are bound, if it is started as root."""
    group: Text | None = None
    """Group that rrdns changes to. Default: the user's group."""


class File(Table):
    """The whole file."""

    builds: ClassVar[type[Any]] = Settings
    dns: DnsTable = DnsTable()
    zones: list[ZoneTable] = required("[[zones]] with a name, nameservers and hostmaster", [])
    pools: list[PoolTable] = required("[[pools]] with a name, a hostname and members", [])
    api: ApiTable = ApiTable()
    store: StoreTable = StoreTable()
    log: LogTable = LogTable()
    process: ProcessTable = ProcessTable()
    exporters: list[AnyExporterTable] = []
    webhooks: list[WebhookTable] = []

    def build(self, **others: Any) -> Any:
        """Return the settings; a negative TTL that is not written follows the zone's pools."""
        zones = (zone.build(negative_ttl=self._negative_ttl(zone)) for zone in self.zones)
        return super().build(zones=tuple(zones), **others)

    def _negative_ttl(self, zone: ZoneTable) -> int:
        if zone.negative_ttl is not None:
            return zone.negative_ttl
        ttls = (pool.ttl for pool in self.pools if is_inside(pool.hostname, zone.name))
        return max(1, min(ttls, default=_ZONE.negative_ttl))
