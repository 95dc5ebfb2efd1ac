"""The tables of a config file, as pydantic checks them: one model per table.

Each value is checked by itself here; what values mean to one another is `checks`' subject.
Every setting has a default, so that a file can be read around its mistakes and all of them
named: a required one defaults to empty text or an empty list, which is never valid.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainValidator,
    model_validator,
)

from rrdns.config import validators
from rrdns.config.integration_tables import ExporterTable, WebhookTable
from rrdns.config.settings import DEFAULT_API, DEFAULT_DNS, DEFAULT_STORE
from rrdns.config.table import (
    Identifier,
    Table,
    Text,
    required,
)
from rrdns.core.acl import ANY_ADDRESS
from rrdns.core.model import Endpoint, OnEmpty, Policy, Profile
from rrdns.web.api.auth import Role

Domain = Annotated[str, AfterValidator(validators.domain)]
Ipv4 = Annotated[str, AfterValidator(validators.ipv4)]
Address = Annotated[str, AfterValidator(validators.any_address)]
ShortText = Annotated[str, AfterValidator(validators.short_text)]
Secret = Annotated[str, AfterValidator(validators.cookie_secret)]
Hash = Annotated[str, AfterValidator(validators.sha256)]
Network = Annotated[str, AfterValidator(validators.network)]
Rate = Annotated[int, AfterValidator(validators.InRange(0, 1_000_000, "responses a second"))]
Ttl = Annotated[int, AfterValidator(validators.InRange(0, validators.MAX_SECONDS, "seconds"))]
Count = Annotated[int, AfterValidator(validators.InRange(1, 1000))]
# None is what TOML cannot say: it stands where a wrong item was cut out.
Listen = Annotated[Endpoint | None, PlainValidator(validators.endpoint)]


class Backend(StrEnum):
    """Where the store keeps things."""

    SQLITE = "sqlite"
    MEMORY = "memory"


class Format(StrEnum):
    """How a log line looks."""

    JSON = "json"
    CONSOLE = "console"


class Level(StrEnum):
    """From which level on lines are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class TcpTable(Table):
    """`[dns.tcp]`."""

    heading: ClassVar[str] = "[dns.tcp]"
    connections: Annotated[int, AfterValidator(validators.InRange(1, 65536))] = 512
    """Connections at once, per worker. At the limit rrdns closes the longest idle connection of the
    address that has the most."""
    per_address: Annotated[int, AfterValidator(validators.InRange(1, 65536))] = 64
    """Connections of one address (IPv6: one /64) at once, per worker."""
    idle: Annotated[float, AfterValidator(validators.InRange(0.1, 3600, "seconds"))] = 10.0
    """Time without a complete query until rrdns closes a connection."""
    lifetime: Annotated[float, AfterValidator(validators.InRange(1, 86400, "seconds"))] = 300.0
    """Time until rrdns closes any connection."""


class RateLimitTable(Table):
    """`[dns.rate_limit]`."""

    heading: ClassVar[str] = "[dns.rate_limit]"
    enabled: bool = True
    """Limits UDP responses to each network, so that rrdns cannot be used to flood others."""
    answers: Rate = 5000
    """Responses with records to one network; 0 means no limit."""
    negatives: Rate = 5000
    """NODATA and NXDOMAIN responses to one network; 0 means no limit."""
    errors: Rate = 1000
    """Error responses to one network; 0 means no limit."""
    window: Annotated[float, AfterValidator(validators.InRange(0, 3600, "seconds"))] = 15.0
    """Longest time until a network gets responses again after a flood."""
    slip: Annotated[int, AfterValidator(validators.InRange(0, 10))] = 2
    """Every n-th query over the limit gets a truncated response; 0 means none.

    A real client then repeats the query over TCP.
    """
    ipv4_prefix: Annotated[int, AfterValidator(validators.PrefixLength(8, 32))] = 24
    """Prefix length of one network."""
    ipv6_prefix: Annotated[int, AfterValidator(validators.PrefixLength(16, 128))] = 56
    """Prefix length of one network."""
    exempt: list[Network | None] = ["127.0.0.0/8", "::1/128"]
    """Networks without a limit."""


class ChaosTable(Table):
    """`[dns.chaos]`."""

    heading: ClassVar[str] = "[dns.chaos]"
    id: ShortText = ""
    """Answer to `id.server` and `hostname.bind`, class CHAOS; without it REFUSED."""
    version: ShortText = ""
    """Answer to `version.server` and `version.bind`, class CHAOS; without it REFUSED."""


class DnsTable(Table):
    """`[dns]`."""

    heading: ClassVar[str] = "[dns]"
    listen: list[Listen] = list(DEFAULT_DNS)
    """Addresses and ports for UDP and TCP."""
    freebind: bool = False
    """Also binds addresses that this host does not have yet, for VRRP and for boot order."""
    workers: Annotated[int, AfterValidator(validators.InRange(0, 512))] = 0
    """DNS worker processes; 0 means one per core."""
    tcp: TcpTable = TcpTable()
    cookies: bool = True
    """DNS cookies (RFC 7873, RFC 9018)."""
    cookie_secret: list[Secret | None] = []
    """Secrets of DNS cookies. The first one makes cookies, all are accepted. Servers that share an
    address need the same. Without one, rrdns makes one at start."""
    rate_limit: RateLimitTable = RateLimitTable()
    nsid: ShortText = ""
    """Name of this server in responses to queries with NSID (RFC 5001). Without it, none is sent.
    """
    chaos: ChaosTable = ChaosTable()


class NameserverTable(Table):
    """An entry of a zone's `nameservers`."""

    heading: ClassVar[str] = "nameservers"
    name: Domain = required('name = "ns1.pvs.example.test"')
    """Name of the nameserver."""
    address: Address = ""
    """Its address. A nameserver inside the zone needs one (glue)."""
    addresses: list[Address | None] = []
    """Several addresses instead of one."""


class ZoneTable(Table):
    """`[[zones]]`."""

    heading: ClassVar[str] = "[[zones]]"
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
    ttl: Ttl = 3600
    """TTL of SOA, NS and the nameservers' addresses."""
    negative_ttl: Ttl | None = None
    """TTL of NODATA and NXDOMAIN.

    By default, and at most, the smallest `ttl` of the zone's pools: a longer one would hide a name.
    """
    serial: Annotated[int, AfterValidator(validators.InRange(0, 2**32 - 1))] = 1
    """Serial of the SOA record. Use the same on every rrdns of the zone."""
    refresh: Ttl = 3600
    """SOA refresh. Only secondaries use it, and rrdns has none."""
    retry: Ttl = 600
    """SOA retry. Only secondaries use it."""
    expire: Ttl = 1_209_600
    """SOA expire. Only secondaries use it."""
    allow_query: list[Network | None] = list(ANY_ADDRESS)
    """Networks that may query the zone; other clients get REFUSED."""


class FileTable(Table):
    """An entry of a probe's `files`: its name alone, or a table."""

    heading: ClassVar[str] = "files"
    name: Annotated[str, AfterValidator(validators.file_name)] = required('name = "ARDBP32.BIN"')
    """Name of the file, as targets request it."""
    size: Annotated[int, AfterValidator(validators.InRange(1, 2**32, "bytes"))] | None = None
    """Size that the file must have."""
    sha256: Hash | None = None
    """SHA-256 that the file must have."""
    require_marker: bool = False
    """The file must contain the marker of a PVS bootstrap."""
    profile: Annotated[Profile, BeforeValidator(validators.one_of(Profile))] | None = None
    """Firmware that loads the file. By default its name decides: `uefi` for `*.efi`, `ipxe` for
    `*.ipxe`, otherwise `bios`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class ProbeTable(Table):
    """`[pools.probe]`."""

    heading: ClassVar[str] = "[pools.probe]"
    files: list[FileTable] = required('files = ["ARDBP32.BIN"]', [])
    """Boot files that must load: names, or tables with the settings of `files`."""
    port: Annotated[int, AfterValidator(validators.InRange(1, 65535))] = 69
    """UDP port of the TFTP servers."""
    interval: Annotated[float, AfterValidator(validators.InRange(0.1, 3600, "seconds"))] = 1.0
    """Time from one probe to the next."""
    timeout: Annotated[float, AfterValidator(validators.InRange(0.05, 60, "seconds"))] = 1.0
    """Time without a response until a probe fails."""
    fast_interval: Annotated[float, AfterValidator(validators.InRange(0.05, 3600, "seconds"))] = 0.2
    """Time to the next probe while results contradict the standing, so that a change is detected
    early."""
    full_every: Annotated[float, AfterValidator(validators.InRange(1, 86400, "seconds"))] = 30.0
    """Time between full downloads; other probes load one block."""
    fall: Count = 3
    """Failed probes in a row until a member leaves rotation."""
    rise: Count = 2
    """Good probes in a row until it returns."""
    blksize: Annotated[int, AfterValidator(validators.InRange(8, 65464, "bytes"))] = 1428
    """Block size that full downloads request (RFC 2348); 1428 fits one Ethernet frame with room for
    tunnels."""


class MemberTable(Table):
    """`[[pools.members]]`."""

    heading: ClassVar[str] = "[[pools.members]]"
    name: Identifier = required('name = "pvs-1"')
    """Name of the server in the API and on the command line."""
    address: Ipv4 = required('address = "10.0.0.11"')
    """Address that targets boot from. IPv4, because firmware queries A records."""
    backup: bool = False
    """In rotation only if no other member can be."""
    tags: list[Text | None] = []
    """Your own labels, to select members with `--tag`."""


class PoolTable(Table):
    """`[[pools]]`."""

    heading: ClassVar[str] = "[[pools]]"
    name: Identifier = required('name = "boot"')
    """Name of the pool in the API and on the command line."""
    hostname: Domain = required('hostname = "boot.pvs.example.test"')
    """Name that targets resolve (option 66): inside a zone, or its apex."""
    members: list[MemberTable] = required("[[pools.members]] with a name and an address", [])
    """Servers of the pool."""
    probe: ProbeTable = required('[pools.probe] with files = ["ARDBP32.BIN"]', ProbeTable())
    """How members are probed."""
    ttl: Ttl = 5
    """Time that a resolver may cache an answer. A dead server stays in caches for so long."""
    allow_zero_ttl: bool = False
    """Allows `ttl = 0`, which some firmware caches for ever."""
    answers: Annotated[int, AfterValidator(validators.InRange(1, 28))] = 4
    """Addresses in one answer, at most. Targets take the first."""
    policy: Annotated[Policy, BeforeValidator(validators.one_of(Policy))] = Policy.ROUND_ROBIN
    """Order of the addresses: each is first equally often."""
    on_empty: Annotated[OnEmpty, BeforeValidator(validators.one_of(OnEmpty))] = OnEmpty.SERVE_ALL
    """Response if no member is healthy: all that are not drained, SERVFAIL, or none."""
    min_members: Annotated[int, AfterValidator(validators.InRange(1, 1000))] = 1
    """rrdns refuses a drain that would leave fewer members that a target can boot from."""


class TokenTable(Table):
    """`[[api.tokens]]`."""

    heading: ClassVar[str] = "[[api.tokens]]"
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
    listen: Listen = DEFAULT_API
    """Address and port of the API and the page. Without tokens, it must be an address of this host
    only."""
    tls_cert: Text | None = None
    """PEM file with the certificate and its chain, for HTTPS."""
    tls_key: Text | None = None
    """PEM file with the private key, not encrypted."""
    tokens: list[TokenTable] = []
    """Bearer tokens. Without tokens every user of this host may do everything."""


class StoreTable(Table):
    """`[store]`."""

    heading: ClassVar[str] = "[store]"
    backend: Annotated[Backend, BeforeValidator(validators.one_of(Backend))] = Backend.SQLITE
    """Where orders and the audit trail are kept. `memory` loses all of it when rrdns stops."""
    path: Text = str(DEFAULT_STORE)
    """The database. Its folder also holds the snapshot file."""
    audit_days: Annotated[float, AfterValidator(validators.InRange(1, 36500, "days"))] = 365.0
    """Age from which audit entries are deleted."""


class LogTable(Table):
    """`[log]`."""

    heading: ClassVar[str] = "[log]"
    format: Annotated[Format, BeforeValidator(validators.one_of(Format))] = Format.JSON
    """JSON lines, or text for people."""
    level: Annotated[Level, BeforeValidator(validators.one_of(Level))] = Level.INFO
    """Lowest level that is logged."""


class ProcessTable(Table):
    """`[process]`."""

    heading: ClassVar[str] = "[process]"
    user: Text | None = None
    """User that rrdns changes to once its sockets are bound, if it is started as root."""
    group: Text | None = None
    """Group that rrdns changes to. Default: the user's group."""


class File(Table):
    """The file as a whole."""

    dns: DnsTable = DnsTable()
    zones: list[ZoneTable] = required("[[zones]] with a name, nameservers and hostmaster", [])
    pools: list[PoolTable] = required("[[pools]] with a name, a hostname and members", [])
    api: ApiTable = ApiTable()
    store: StoreTable = StoreTable()
    log: LogTable = LogTable()
    process: ProcessTable = ProcessTable()
    exporters: list[ExporterTable] = []
    webhooks: list[WebhookTable] = []
