"""The tables of exporters and webhooks in a config file, one model for each type of exporter."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Discriminator, PlainValidator, Tag

from rrdns.config import validators
from rrdns.config.table import FilePath, Identifier, Table, Text, required
from rrdns.export.pool_view import Option66, PoolScope
from rrdns.export.settings import CommandSettings, FileSettings, KeaSettings, WebhookSettings
from rrdns.export.webhooks.settings import EventTopic, EventWebhookSettings

# Where the defaults of the tables come from.
_FILE = FileSettings(name="", pools=(), path=Path(), template="")
_KEA = KeaSettings(name="", pools=())
_WEBHOOK = WebhookSettings(name="", pools=(), url="")
_EVENTS = EventWebhookSettings(name="", url="")


class ExporterKind(StrEnum):
    """The types of exporters."""

    FILE = "file"
    KEA = "kea"
    WEBHOOK = "webhook"
    COMMAND = "command"


def _some_topics(topics: list[EventTopic | None]) -> list[EventTopic | None]:
    if not topics:
        raise ValueError(f"is empty; name some of {', '.join(EventTopic)}, or leave it out")
    return topics


Seconds = Annotated[float, AfterValidator(validators.InRange(0, 86400, "seconds"))]
Timeout = Annotated[float, AfterValidator(validators.InRange(0, 86400, "seconds", above=True))]
Url = Annotated[str, AfterValidator(validators.url)]
Topic = Annotated[EventTopic | None, BeforeValidator(validators.item_of(EventTopic))]
Option66Setting = Annotated[Option66, BeforeValidator(validators.one_of(Option66))]


class ExporterTable(Table):
    """`[[exporters]]`: the settings that all types have."""

    heading: ClassVar[str] = "[[exporters]]"
    name: Identifier = required('name = "kea"')
    """Name in the API, in alarms and metrics."""
    type: Annotated[ExporterKind | None, BeforeValidator(validators.one_of(ExporterKind))] = (
        required('type = "file"', None)
    )
    """What the exporter updates; it decides which other settings apply."""
    pools: list[Identifier | None] = required('pools = ["boot"]', [])
    """Pools that it exports."""
    scope: Annotated[PoolScope, BeforeValidator(validators.one_of(PoolScope))] = _FILE.scope
    """`first`: one address, the first of the rotation; `all`: all that are in rotation."""
    rotate_every: Seconds | None = _FILE.rotate_every
    """Time until the next member is first; 0 means never. Default: 60 s with the scope `first`,
    otherwise never."""
    refresh_every: Seconds = _FILE.refresh_every
    """Time until an export without a change; 0 means never."""
    timeout: Timeout = _FILE.timeout
    """Time limit of one attempt."""


class FileExporterTable(ExporterTable):
    """`[[exporters]]` that write a file."""

    heading: ClassVar[str] = '[[exporters]] with type = "file"'
    builds: ClassVar[type[Any]] = FileSettings
    path: Annotated[Path, BeforeValidator(validators.absolute_path)] = required(
        'path = "/var/lib/rrdns-export/dnsmasq.hosts"', _FILE.path
    )
    """The file to replace."""
    template: Text = required('template = "dnsmasq-hosts"')
    """Name of a template of rrdns, or path of your own."""
    option66: Option66Setting = _FILE.option66
    """Value of DHCP option 66."""
    mode: Annotated[int, AfterValidator(validators.InRange(0, 0o7777))] = _FILE.mode
    """Mode of a file that does not exist yet; 420 is `0o644`."""
    command: list[Text | None] = []
    """A program to run after each write, and its arguments."""
    pid_file: FilePath | None = None
    """File with the process id to signal after each write."""
    signal: Text = _FILE.signal
    """Signal to send."""
    process: Text = _FILE.process
    """Name that the process must have, so that a stale pid file signals no other."""


class KeaExporterTable(ExporterTable):
    """`[[exporters]]` that change the config of Kea."""

    heading: ClassVar[str] = '[[exporters]] with type = "kea"'
    builds: ClassVar[type[Any]] = KeaSettings
    scope: Annotated[PoolScope, BeforeValidator(validators.one_of(PoolScope))] = _KEA.scope
    """As above, with another default."""
    refresh_every: Seconds = _KEA.refresh_every
    """As above, with another default."""
    socket: FilePath | None = None
    """Path of the control socket."""
    url: Url = _KEA.url
    """URL of the control agent."""
    service: Text = _KEA.service
    """Service behind the control agent."""
    user: Text = _KEA.user
    """User for HTTP basic authentication."""
    password_file: FilePath | None = None
    """File with the password."""
    ca_file: FilePath | None = None
    """CA certificates in PEM, if the system's are not enough."""
    subnets: list[Annotated[int | str | None, PlainValidator(validators.subnet)]] = []
    """Ids or prefixes of the subnets to set."""
    shared_networks: list[Text | None] = []
    """Names of the shared networks to set."""
    classes: list[Text | None] = []
    """Names of the client classes to set."""
    next_server: bool = _KEA.next_server
    """Sets next-server."""
    boot_file: Text = _KEA.boot_file
    """Sets the boot file name; `$first` is the first address."""
    option66: Option66Setting = _KEA.option66
    """Value of DHCP option 66."""
    write: bool = _KEA.write
    """Lets Kea write its config file after a change."""


class WebhookExporterTable(ExporterTable):
    """`[[exporters]]` that POST to a URL."""

    heading: ClassVar[str] = '[[exporters]] with type = "webhook"'
    builds: ClassVar[type[Any]] = WebhookSettings
    url: Url = required('url = "https://ipam.example.test/hooks/pvs"')
    """URL for the POST."""
    secret_file: FilePath | None = None
    """File with the key that signs each body."""
    ca_file: FilePath | None = None
    """CA certificates in PEM, if the system's are not enough."""
    headers: dict[str, str] = dict(_WEBHOOK.headers)
    """HTTP headers to add."""


class CommandExporterTable(ExporterTable):
    """`[[exporters]]` that run a command."""

    heading: ClassVar[str] = '[[exporters]] with type = "command"'
    builds: ClassVar[type[Any]] = CommandSettings
    command: list[Text | None] = required('command = ["/usr/local/bin/update-ipam"]', [])
    """The program and its arguments; it gets JSON on standard input."""


def _type_of(table: object) -> str:
    """Return the type that a table has written, or "" if it is not one that rrdns knows."""
    written = table.get("type") if isinstance(table, dict) else None
    return written if isinstance(written, str) and written in set(ExporterKind) else ""


AnyExporterTable: TypeAlias = Annotated[
    Annotated[ExporterTable, Tag("")]
    | Annotated[FileExporterTable, Tag("file")]
    | Annotated[KeaExporterTable, Tag("kea")]
    | Annotated[WebhookExporterTable, Tag("webhook")]
    | Annotated[CommandExporterTable, Tag("command")],
    Discriminator(_type_of),
]
EXPORTER_TABLES: dict[str, type[ExporterTable]] = {
    tag.tag: table for table, tag in map(get_args, get_args(get_args(AnyExporterTable)[0]))
}


class WebhookTable(Table):
    """`[[webhooks]]`."""

    heading: ClassVar[str] = "[[webhooks]]"
    builds: ClassVar[type[Any]] = EventWebhookSettings
    name: Identifier = required('name = "chat"')
    """Name in the API, in alarms and metrics."""
    url: Url = required('url = "https://chat.example.test/hooks/rrdns"')
    """URL for the POST of each event."""
    secret_file: FilePath | None = None
    """File with the key that signs each body. Without it nothing is signed."""
    ca_file: FilePath | None = None
    """CA certificates in PEM, if the system's are not enough."""
    headers: dict[str, str] = dict(_EVENTS.headers)
    """HTTP headers to add."""
    events: Annotated[list[Topic], AfterValidator(_some_topics)] = list(_EVENTS.events)
    """Topics to send."""
    pools: list[Identifier | None] = []
    """Pools whose events are sent; by default all. Events without a pool are always sent."""
    timeout: Timeout = _EVENTS.timeout
    """Time limit of one attempt."""
    queue: Annotated[int, AfterValidator(validators.InRange(1, 100_000, "events"))] = _EVENTS.queue
    """Events that may wait; above that rrdns drops the oldest."""
