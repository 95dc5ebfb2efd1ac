"""The settings of exporters as frozen values, with their defaults.

`rrdns.config` builds them from the `[[exporters]]` tables. `find_mistakes` returns the
contradictions between the settings of one exporter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from rrdns.export.pool_view import Option66, PoolScope

ROTATE_INTERVAL = 60.0
KEA_REFRESH = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSettingsBase:
    """The settings that every exporter has; durations in seconds."""

    kind: ClassVar[str] = ""

    name: str
    pools: tuple[str, ...]
    scope: PoolScope = PoolScope.ALL
    rotate_every: float | None = None  # None: 60 s with the scope first, else never
    refresh_every: float = 0.0  # export even without a change; 0: never
    timeout: float = 10.0  # of one attempt

    @property
    def rotation(self) -> float:
        """Return after how many seconds the next member is first; 0: never."""
        if self.rotate_every is not None:
            return self.rotate_every
        return ROTATE_INTERVAL if self.scope is PoolScope.FIRST else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings(ExporterSettingsBase):
    """A file to replace, and a command or signal that makes its reader read it."""

    kind: ClassVar[str] = "file"

    path: Path
    template: str  # the name of a template of rrdns, or the path of another
    option66: Option66 = Option66.NAME
    mode: int = 0o644  # of a file that does not exist yet
    command: tuple[str, ...] = ()  # run after each write, without a shell
    pid_file: Path | None = None  # or: a process to signal
    signal: str = "HUP"
    process: str = ""  # the name of that process, so that a stale file signals no other


@dataclass(frozen=True, slots=True, kw_only=True)
class KeaSettings(ExporterSettingsBase):
    """A Kea DHCPv4 server, and the parts of its config that rrdns sets."""

    kind: ClassVar[str] = "kea"

    scope: PoolScope = PoolScope.FIRST
    refresh_every: float = KEA_REFRESH  # a restarted Kea has the config of its file again
    socket: Path | None = None  # the control socket
    url: str = ""  # or: the control agent, or Kea's own HTTP
    service: str = "dhcp4"  # the server behind the control agent; empty: none
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    subnets: tuple[int | str, ...] = ()  # by id or prefix
    shared_networks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    next_server: bool = True
    boot_file: str = ""  # boot-file-name, with $first, $hostname and $pool
    option66: Option66 = Option66.NONE
    write: bool = False  # `config-write`, too: Kea then rewrites its file without comments


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings(ExporterSettingsBase):
    """A URL that gets JSON."""

    kind: ClassVar[str] = "webhook"

    url: str
    secret_file: Path | None = None  # the key that signs
    ca_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings(ExporterSettingsBase):
    """A command that gets JSON on its standard input."""

    kind: ClassVar[str] = "command"

    command: tuple[str, ...]  # without a shell


ExporterSettings: TypeAlias = FileSettings | KeaSettings | WebhookSettings | CommandSettings

SINGLE_POOL_TEMPLATES = frozenset({"isc-dhcpd", "dnsmasq-options"})


def find_mistakes(settings: ExporterSettings) -> Iterator[tuple[str, str]]:
    """Return the contradictions between the settings of an exporter, as (setting, problem)."""
    if 0 < settings.rotation < 1:
        yield "rotate_every", "must be 0 (never) or at least 1 second"
    match settings:
        case FileSettings():
            yield from _of_file(settings)
        case KeaSettings():
            yield from _of_kea(settings)


def _of_file(settings: FileSettings) -> Iterator[tuple[str, str]]:
    if settings.command and settings.pid_file:
        yield "pid_file", "write either a command or a pid_file to signal, not both"
    if settings.template not in SINGLE_POOL_TEMPLATES:
        return
    if len(settings.pools) > 1:
        yield "pools", f"the template {settings.template!r} can have one pool only"
    if settings.option66 is Option66.NONE:
        yield (
            "option66",
            f"the template {settings.template!r} needs option 66: name, address or list",
        )


def _of_kea(settings: KeaSettings) -> Iterator[tuple[str, str]]:
    if (settings.socket is None) == (not settings.url):
        yield "socket", "write either the control socket or a url"
    if len(settings.pools) > 1:
        yield "pools", "a kea exporter can have one pool only; write one exporter for each pool"
    if not (settings.subnets or settings.shared_networks or settings.classes):
        yield "subnets", "name the subnets, shared_networks or classes that rrdns may change"
    if not (settings.next_server or settings.boot_file or settings.option66 is not Option66.NONE):
        yield "next_server", "the exporter sets nothing: use next_server, boot_file or option66"
    if bool(settings.user) != bool(settings.password_file):
        yield "user", "user and password_file belong together"
