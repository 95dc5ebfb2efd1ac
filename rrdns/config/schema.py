"""The tables of a config file, as pydantic checks them: one model per table.

Each value is checked by itself here; what values mean to one another is `checks`' subject.
Every setting has a default, so that a file can be read around its mistakes and all of them
named: a required one defaults to empty text or an empty list, which is never valid.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from rrdns.config import validators
from rrdns.config.settings import DEFAULT_API, DEFAULT_DNS, DEFAULT_STORE
from rrdns.core.acl import ANY_ADDRESS
from rrdns.core.model import Endpoint, OnEmpty, Policy, Profile
from rrdns.export.pool_view import Option66, PoolScope
from rrdns.export.webhooks.settings import DEFAULT_TOPICS, EventTopic
from rrdns.web.api.auth import Role

Domain = Annotated[str, AfterValidator(validators.domain)]
Identifier = Annotated[str, AfterValidator(validators.identifier)]
Text = Annotated[str, AfterValidator(validators.plain_text)]
Ipv4 = Annotated[str, AfterValidator(validators.ipv4)]
Address = Annotated[str, AfterValidator(validators.any_address)]
ShortText = Annotated[str, AfterValidator(validators.short_text)]
Secret = Annotated[str, AfterValidator(validators.cookie_secret)]
Hash = Annotated[str, AfterValidator(validators.sha256)]
Network = Annotated[str, AfterValidator(validators.network)]
Rate = Annotated[int, AfterValidator(validators.in_range(0, 1_000_000, "responses a second"))]
Ttl = Annotated[int, AfterValidator(validators.in_range(0, validators.MAX_SECONDS, "seconds"))]
Count = Annotated[int, AfterValidator(validators.in_range(1, 1000))]
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


def required(example: str, default: Any = "") -> Any:
    """Return a field that must be written, with what those who forgot it should add."""
    return Field(default=default, json_schema_extra={"example": example})


class Table(BaseModel):
    """A table of the file: no type is bent to fit, no unknown setting is passed over."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    heading: ClassVar[str] = ""

    @classmethod
    def required_settings(cls) -> dict[str, str]:
        """Return the settings that must be written, each with an example."""
        return {
            name: str(info.json_schema_extra["example"])
            for name, info in cls.model_fields.items()
            if isinstance(info.json_schema_extra, dict)
        }


class TcpTable(Table):
    """`[dns.tcp]`."""

    heading: ClassVar[str] = "[dns.tcp]"
    connections: Annotated[int, AfterValidator(validators.in_range(1, 65536))] = 512
    per_address: Annotated[int, AfterValidator(validators.in_range(1, 65536))] = 64
    idle: Annotated[float, AfterValidator(validators.in_range(0.1, 3600, "seconds"))] = 10.0
    lifetime: Annotated[float, AfterValidator(validators.in_range(1, 86400, "seconds"))] = 300.0


class RateLimitTable(Table):
    """`[dns.rate_limit]`."""

    heading: ClassVar[str] = "[dns.rate_limit]"
    enabled: bool = True
    answers: Rate = 5000
    negatives: Rate = 5000
    errors: Rate = 1000
    window: Annotated[float, AfterValidator(validators.in_range(0, 3600, "seconds"))] = 15.0
    slip: Annotated[int, AfterValidator(validators.in_range(0, 10))] = 2
    ipv4_prefix: Annotated[int, AfterValidator(validators.prefix(8, 32))] = 24
    ipv6_prefix: Annotated[int, AfterValidator(validators.prefix(16, 128))] = 56
    exempt: list[Network | None] = ["127.0.0.0/8", "::1/128"]


class ChaosTable(Table):
    """`[dns.chaos]`."""

    heading: ClassVar[str] = "[dns.chaos]"
    id: ShortText = ""
    version: ShortText = ""


class DnsTable(Table):
    """`[dns]`."""

    heading: ClassVar[str] = "[dns]"
    listen: list[Listen] = list(DEFAULT_DNS)
    freebind: bool = False
    workers: Annotated[int, AfterValidator(validators.in_range(0, 512))] = 0
    tcp: TcpTable = TcpTable()
    cookies: bool = True
    cookie_secret: list[Secret | None] = []
    rate_limit: RateLimitTable = RateLimitTable()
    nsid: ShortText = ""
    chaos: ChaosTable = ChaosTable()


class NameserverTable(Table):
    """An entry of a zone's `nameservers`."""

    heading: ClassVar[str] = "nameservers"
    name: Domain = required('name = "ns1.pvs.example.test"')
    address: Address = ""
    addresses: list[Address | None] = []


class ZoneTable(Table):
    """`[[zones]]`."""

    heading: ClassVar[str] = "[[zones]]"
    name: Domain = required('name = "pvs.example.test"')
    nameservers: list[NameserverTable] = required(
        'nameservers = [{ name = "ns1.pvs.example.test", address = "192.0.2.53" }]', []
    )
    hostmaster: Annotated[str, AfterValidator(validators.hostmaster)] = required(
        'hostmaster = "hostmaster.example.test"'
    )
    ttl: Ttl = 3600
    negative_ttl: Ttl | None = None
    serial: Annotated[int, AfterValidator(validators.in_range(0, 2**32 - 1))] = 1
    refresh: Ttl = 3600
    retry: Ttl = 600
    expire: Ttl = 1_209_600
    allow_query: list[Network | None] = list(ANY_ADDRESS)


class FileTable(Table):
    """An entry of a probe's `files`: its name alone, or a table."""

    heading: ClassVar[str] = "files"
    name: Annotated[str, AfterValidator(validators.file_name)] = required('name = "ARDBP32.BIN"')
    size: Annotated[int, AfterValidator(validators.in_range(1, 2**32, "bytes"))] | None = None
    sha256: Hash | None = None
    require_marker: bool = False
    profile: Annotated[Profile, BeforeValidator(validators.one_of(Profile))] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class ProbeTable(Table):
    """`[pools.probe]`."""

    heading: ClassVar[str] = "[pools.probe]"
    files: list[FileTable] = required('files = ["ARDBP32.BIN"]', [])
    port: Annotated[int, AfterValidator(validators.in_range(1, 65535))] = 69
    interval: Annotated[float, AfterValidator(validators.in_range(0.1, 3600, "seconds"))] = 1.0
    timeout: Annotated[float, AfterValidator(validators.in_range(0.05, 60, "seconds"))] = 1.0
    fast_interval: Annotated[float, AfterValidator(validators.in_range(0.05, 3600, "seconds"))] = (
        0.2
    )
    full_every: Annotated[float, AfterValidator(validators.in_range(1, 86400, "seconds"))] = 30.0
    fall: Count = 3
    rise: Count = 2
    blksize: Annotated[int, AfterValidator(validators.in_range(8, 65464, "bytes"))] = 1428


class MemberTable(Table):
    """`[[pools.members]]`."""

    heading: ClassVar[str] = "[[pools.members]]"
    name: Identifier = required('name = "pvs-1"')
    address: Ipv4 = required('address = "10.0.0.11"')
    backup: bool = False
    tags: list[Text | None] = []


class PoolTable(Table):
    """`[[pools]]`."""

    heading: ClassVar[str] = "[[pools]]"
    name: Identifier = required('name = "boot"')
    hostname: Domain = required('hostname = "boot.pvs.example.test"')
    members: list[MemberTable] = required("[[pools.members]] with a name and an address", [])
    probe: ProbeTable = required('[pools.probe] with files = ["ARDBP32.BIN"]', ProbeTable())
    ttl: Ttl = 5
    allow_zero_ttl: bool = False
    answers: Annotated[int, AfterValidator(validators.in_range(1, 28))] = 4
    policy: Annotated[Policy, BeforeValidator(validators.one_of(Policy))] = Policy.ROUND_ROBIN
    on_empty: Annotated[OnEmpty, BeforeValidator(validators.one_of(OnEmpty))] = OnEmpty.SERVE_ALL
    min_members: Annotated[int, AfterValidator(validators.in_range(1, 1000))] = 1


class TokenTable(Table):
    """`[[api.tokens]]`."""

    heading: ClassVar[str] = "[[api.tokens]]"
    name: Identifier = required('name = "ops"')
    role: Annotated[Role | None, BeforeValidator(validators.one_of(Role))] = required(
        'role = "operator"', None
    )
    sha256: Hash = required('sha256 = "...", as `rrdns token` prints it')


class ApiTable(Table):
    """`[api]`."""

    heading: ClassVar[str] = "[api]"
    listen: Listen = DEFAULT_API
    tls_cert: Text | None = None
    tls_key: Text | None = None
    tokens: list[TokenTable] = []


class ExporterKind(StrEnum):
    """How an exporter tells."""

    FILE = "file"
    KEA = "kea"
    WEBHOOK = "webhook"
    COMMAND = "command"


Seconds = Annotated[float, AfterValidator(validators.in_range(0, 86400, "seconds"))]


class ExporterTable(Table):
    """`[[exporters]]`: the settings of all types; `exporters` knows which type has which."""

    heading: ClassVar[str] = "[[exporters]]"
    name: Identifier = required('name = "kea"')
    type: Annotated[ExporterKind | None, BeforeValidator(validators.one_of(ExporterKind))] = (
        required('type = "file"', None)
    )
    pools: list[Identifier | None] = required('pools = ["boot"]', [])
    scope: Annotated[PoolScope | None, BeforeValidator(validators.one_of(PoolScope))] = None
    rotate_every: Seconds | None = None
    refresh_every: Seconds | None = None
    timeout: Seconds | None = None
    option66: Annotated[Option66 | None, BeforeValidator(validators.one_of(Option66))] = None
    command: list[Text | None] | None = None
    path: Text | None = None
    template: Text | None = None
    mode: Annotated[int, AfterValidator(validators.in_range(0, 0o7777))] | None = None
    pid_file: Text | None = None
    signal: Text | None = None
    process: Text | None = None
    socket: Text | None = None
    url: Text | None = None
    service: Text | None = None
    user: Text | None = None
    password_file: Text | None = None
    ca_file: Text | None = None
    subnets: list[int | str | None] | None = None
    shared_networks: list[Text | None] | None = None
    classes: list[Text | None] | None = None
    next_server: bool | None = None
    boot_file: Text | None = None
    write: bool | None = None
    secret_file: Text | None = None
    headers: dict[str, str] | None = None


class WebhookTable(Table):
    """`[[webhooks]]`."""

    heading: ClassVar[str] = "[[webhooks]]"
    name: Identifier = required('name = "chat"')
    url: Text = required('url = "https://chat.example.test/hooks/rrdns"')
    secret_file: Text | None = None
    ca_file: Text | None = None
    headers: dict[str, str] = {}
    events: list[Annotated[EventTopic | None, BeforeValidator(validators.item_of(EventTopic))]] = (
        list(DEFAULT_TOPICS)
    )
    pools: list[Identifier | None] = []
    timeout: Seconds = 10.0
    queue: Annotated[int, AfterValidator(validators.in_range(1, 100_000, "events"))] = 1000


class StoreTable(Table):
    """`[store]`."""

    heading: ClassVar[str] = "[store]"
    backend: Annotated[Backend, BeforeValidator(validators.one_of(Backend))] = Backend.SQLITE
    path: Text = str(DEFAULT_STORE)
    audit_days: Annotated[float, AfterValidator(validators.in_range(1, 36500, "days"))] = 365.0


class LogTable(Table):
    """`[log]`."""

    heading: ClassVar[str] = "[log]"
    format: Annotated[Format, BeforeValidator(validators.one_of(Format))] = Format.JSON
    level: Annotated[Level, BeforeValidator(validators.one_of(Level))] = Level.INFO


class ProcessTable(Table):
    """`[process]`."""

    heading: ClassVar[str] = "[process]"
    user: Text | None = None
    group: Text | None = None


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


Loc: TypeAlias = tuple[int | str, ...]  # as pydantic names a place


SettingPath: TypeAlias = str


InvalidPaths: TypeAlias = frozenset[SettingPath]  # where a mistake has been found already


def setting_path(loc: Loc) -> SettingPath:
    """Return a place as an admin would write it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(steps).removeprefix(".")
