"""What an admin decides about each exporter, as frozen values.

`rrdns.config` builds these from the `[[exporters]]` tables; `find_mistakes` says what is
wrong between the settings of one exporter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias
from urllib.parse import urlsplit

from rrdns.export.pool_view import Option66, PoolScope

ROTATE_INTERVAL = 60.0
KEA_REFRESH = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSettingsBase:
    """What every exporter has; durations in seconds."""

    kind: ClassVar[str] = ""

    name: str
    pools: tuple[str, ...]
    scope: PoolScope = PoolScope.ALL
    rotate_every: float | None = None  # None: 60 s where only the first is told, else never
    refresh_every: float = 0.0  # tell again even without a change; 0: never
    timeout: float = 10.0  # of one attempt

    @property
    def rotation(self) -> float:
        """Return after how many seconds the next member takes the first place; 0: never."""
        if self.rotate_every is not None:
            return self.rotate_every
        return ROTATE_INTERVAL if self.scope is PoolScope.FIRST else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings(ExporterSettingsBase):
    """A file that is written anew, and what makes its reader read it."""

    kind: ClassVar[str] = "file"

    path: Path
    template: str  # the name of a ready-made one, or the path of one's own
    option66: Option66 = Option66.NAME
    mode: int = 0o644  # of a file that is not there yet
    command: tuple[str, ...] = ()  # run after each write, without a shell
    pid_file: Path | None = None  # or: the process named there is signalled
    signal: str = "HUP"
    process: str = ""  # what that process must be called, lest a stale file name another


@dataclass(frozen=True, slots=True, kw_only=True)
class KeaSettings(ExporterSettingsBase):
    """A Kea DHCPv4 server, and the parts of its config that are ours."""

    kind: ClassVar[str] = "kea"

    scope: PoolScope = PoolScope.FIRST
    refresh_every: float = KEA_REFRESH  # a Kea that was restarted has its own file's config
    socket: Path | None = None  # the control socket
    url: str = ""  # or: the control agent, or Kea's own HTTP
    service: str = "dhcp4"  # which server the control agent is to ask; empty: none is named
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    subnets: tuple[int | str, ...] = ()  # by id or prefix
    shared_networks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    next_server: bool = True
    boot_file: str = ""  # boot-file-name; $first, $hostname and $pool are filled in
    option66: Option66 = Option66.NONE
    write: bool = False  # `config-write` too: Kea then rewrites its file, without the comments


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings(ExporterSettingsBase):
    """A URL that is told in JSON."""

    kind: ClassVar[str] = "webhook"

    url: str
    secret_file: Path | None = None  # the key that signs
    ca_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings(ExporterSettingsBase):
    """A command that is told in JSON on its standard input."""

    kind: ClassVar[str] = "command"

    command: tuple[str, ...]  # without a shell


ExporterSettings: TypeAlias = FileSettings | KeaSettings | WebhookSettings | CommandSettings

SINGLE_POOL_TEMPLATES = frozenset({"isc-dhcpd", "dnsmasq-options"})


def find_mistakes(settings: ExporterSettings) -> tuple[tuple[str, str], ...]:
    """Return what is wrong between the settings, as (setting, problem); empty: nothing."""
    return (*_of_delivery(settings), *_of_kind(settings))


def _of_delivery(settings: ExporterSettings) -> Iterator[tuple[str, str]]:
    if not settings.pools:
        yield "pools", "name at least one pool that is to be told"
    if 0 < settings.rotation < 1:
        yield "rotate_every", "must be 0 (never) or at least 1 second"
    if not settings.timeout > 0:
        yield "timeout", "must be more than 0 seconds"


def _of_kind(settings: ExporterSettings) -> Iterator[tuple[str, str]]:
    match settings:
        case FileSettings():
            yield from _of_file(settings)
        case KeaSettings():
            yield from _of_kea(settings)
        case WebhookSettings():
            yield from _of_url("url", settings.url)
        case CommandSettings():
            if not settings.command:
                yield "command", 'name the program and its arguments, as ["program", "argument"]'


def _of_file(settings: FileSettings) -> Iterator[tuple[str, str]]:
    if not settings.path.is_absolute():
        yield "path", "must be an absolute path"
    if settings.command and settings.pid_file:
        yield "pid_file", "give either a command or a pid_file to signal, not both"
    if settings.template in SINGLE_POOL_TEMPLATES and len(settings.pools) > 1:
        yield "pools", f"the template {settings.template!r} tells of one pool only"
    if settings.template in SINGLE_POOL_TEMPLATES and settings.option66 is Option66.NONE:
        yield (
            "option66",
            f"the template {settings.template!r} tells option 66: name, address or list",
        )


def _of_kea(settings: KeaSettings) -> Iterator[tuple[str, str]]:
    if (settings.socket is None) == (not settings.url):
        yield "socket", "give either the control socket or a url"
    if settings.url:
        yield from _of_url("url", settings.url)
    if len(settings.pools) > 1:
        yield "pools", "a kea exporter tells of one pool; make another exporter for the next"
    if not (settings.subnets or settings.shared_networks or settings.classes):
        yield "subnets", "name the subnets, shared_networks or classes that may be changed"
    if not (settings.next_server or settings.boot_file or settings.option66 is not Option66.NONE):
        yield "next_server", "nothing is left to tell: next_server, boot_file or option66"
    if bool(settings.user) != bool(settings.password_file):
        yield "user", "user and password_file belong together"


def _of_url(setting: str, url: str) -> Iterator[tuple[str, str]]:
    if not url.startswith(("http://", "https://")):
        yield setting, "must begin with http:// or https://"
    elif not _host_of(url):
        yield setting, "names no host: write https://HOST/PATH"


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets of an IPv6 address that do not close
        return ""
