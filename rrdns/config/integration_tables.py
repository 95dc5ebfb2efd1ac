"""The tables of exporters and webhooks in a config file, as pydantic checks them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator

from rrdns.config import validators
from rrdns.config.table import Identifier, Table, Text, required
from rrdns.export.pool_view import Option66, PoolScope
from rrdns.export.webhooks.settings import DEFAULT_TOPICS, EventTopic


class ExporterKind(StrEnum):
    """How an exporter tells."""

    FILE = "file"
    KEA = "kea"
    WEBHOOK = "webhook"
    COMMAND = "command"


Seconds = Annotated[float, AfterValidator(validators.InRange(0, 86400, "seconds"))]


class ExporterTable(Table):
    """`[[exporters]]`: the settings of all types; `exporters` knows which type has which."""

    heading: ClassVar[str] = "[[exporters]]"
    name: Identifier = required('name = "kea"')
    """Name in the API, in alarms and metrics."""
    type: Annotated[ExporterKind | None, BeforeValidator(validators.one_of(ExporterKind))] = (
        required('type = "file"', None)
    )
    """What the exporter updates; it decides which other settings apply."""
    pools: list[Identifier | None] = required('pools = ["boot"]', [])
    """Pools that it exports."""
    scope: Annotated[PoolScope | None, BeforeValidator(validators.one_of(PoolScope))] = None
    """`first`: one address, the first of the rotation; `all`: all that are in rotation. Default:
    `first` for Kea, otherwise `all`."""
    rotate_every: Seconds | None = None
    """Time until the next member is first; 0 means never. Default: 60 s with the scope `first`,
    otherwise never."""
    refresh_every: Seconds | None = None
    """Time until an export without a change; 0 means never. Default: 60 s for Kea, otherwise never.
    """
    timeout: Seconds | None = None
    """Time limit of one attempt. Default: 10 s."""
    option66: Annotated[Option66 | None, BeforeValidator(validators.one_of(Option66))] = None
    """Value of DHCP option 66. Default: `name` for files, `none` for Kea."""
    command: list[Text | None] | None = None
    """`command`: the program and its arguments; it gets JSON on standard input.

    `file`: a program to run after each write.
    """
    path: Text | None = None
    """`file`: the file to replace."""
    template: Text | None = None
    """`file`: name of a template of rrdns, or path of your own."""
    mode: Annotated[int, AfterValidator(validators.InRange(0, 0o7777))] | None = None
    """`file`: mode of a file that does not exist yet. Default: `0o644`."""
    pid_file: Text | None = None
    """`file`: file with the process id to signal after each write."""
    signal: Text | None = None
    """`file`: signal to send. Default: `HUP`."""
    process: Text | None = None
    """`file`: name that the process must have, so that a stale pid file signals no other."""
    socket: Text | None = None
    """`kea`: path of the control socket."""
    url: Text | None = None
    """`kea`: URL of the control agent. `webhook`: URL for the POST."""
    service: Text | None = None
    """`kea`: service behind the control agent. Default: `dhcp4`."""
    user: Text | None = None
    """`kea`: user for HTTP basic authentication."""
    password_file: Text | None = None
    """`kea`: file with the password."""
    ca_file: Text | None = None
    """`kea`, `webhook`: CA certificates in PEM, if the system's are not enough."""
    subnets: list[int | str | None] | None = None
    """`kea`: ids or prefixes of the subnets to set."""
    shared_networks: list[Text | None] | None = None
    """`kea`: names of the shared networks to set."""
    classes: list[Text | None] | None = None
    """`kea`: names of the client classes to set."""
    next_server: bool | None = None
    """`kea`: sets next-server. Default: true."""
    boot_file: Text | None = None
    """`kea`: sets the boot file name; `$first` is the first address."""
    write: bool | None = None
    """`kea`: lets Kea write its config file after a change. Default: false."""
    secret_file: Text | None = None
    """`webhook`: file with the key that signs each body."""
    headers: dict[str, str] | None = None
    """`webhook`: HTTP headers to add."""


class WebhookTable(Table):
    """`[[webhooks]]`."""

    heading: ClassVar[str] = "[[webhooks]]"
    name: Identifier = required('name = "chat"')
    """Name in the API, in alarms and metrics."""
    url: Text = required('url = "https://chat.example.test/hooks/rrdns"')
    """URL for the POST of each event."""
    secret_file: Text | None = None
    """File with the key that signs each body. Without it nothing is signed."""
    ca_file: Text | None = None
    """CA certificates in PEM, if the system's are not enough."""
    headers: dict[str, str] = {}
    """HTTP headers to add."""
    events: list[Annotated[EventTopic | None, BeforeValidator(validators.item_of(EventTopic))]] = (
        list(DEFAULT_TOPICS)
    )
    """Topics to send."""
    pools: list[Identifier | None] = []
    """Pools whose events are sent; by default all. Events without a pool are always sent."""
    timeout: Seconds = 10.0
    """Time limit of one attempt."""
    queue: Annotated[int, AfterValidator(validators.InRange(1, 100_000, "events"))] = 1000
    """Events that may wait; above that rrdns drops the oldest."""
