"""Say what an exporter is told, and which member stands first in it.

The first member matters where a system takes one address only (`next-server`): it stays
for as long as it is handed out, so that nothing is told without need, and moves on by one
when it is time to spread the leases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rrdns.core.model import Zone


class PoolScope(StrEnum):
    """How much of a pool an exporter is told."""

    FIRST = "first"  # one address: the first of the present rotation
    ALL = "all"  # every member that is handed out


class Option66(StrEnum):
    """What option 66 says (RFC 2132, section 9.4: one string)."""

    NONE = "none"
    NAME = "name"
    ADDRESS = "address"
    LIST = "list"  # addresses with semicolons between: not standard, understood by few


@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool at one moment: who is handed out, and who first."""

    pool: str
    hostname: str
    ttl: int
    in_rotation: tuple[tuple[str, str], ...]  # (name, address) of who is handed out, as configured
    first: str = ""  # the address that stands first; the task of each exporter decides
    zone: Zone | None = None  # that the hostname is in
    serial: int = 0  # of the snapshot
    at: float = 0.0  # Unix seconds
    everything_down: bool = False  # nobody is healthy: who is present may not boot a target

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """Return who is present, beginning with the first."""
        start = next((i for i, (_, at) in enumerate(self.in_rotation) if at == self.first), 0)
        return self.in_rotation[start:] + self.in_rotation[:start]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of who is present, beginning with the first."""
        return tuple(address for _, address in self.members)

    def option66(self, form: Option66) -> str:
        """Return the value of option 66 for the pool; empty where it is not wanted."""
        match form:
            case Option66.NAME:
                return self.hostname
            case Option66.ADDRESS:
                return self.first
            case Option66.LIST:
                return ";".join(self.addresses)
            case Option66.NONE:
                return ""

    def has_same_content(self, other: PoolView | None) -> bool:
        """Tell whether both say the same of the pool, at whatever moment."""
        return other is not None and replace(self, serial=other.serial, at=other.at) == other


def with_first(view: PoolView, before: PoolView | None, *, turn: bool) -> PoolView:
    """Return the view with its first member, given the view that was exported `before`.

    With `turn` the next one in order takes the first place. A first member that has left is
    followed by the one that stood behind it.
    """
    return replace(view, first=_first(view, before, turn=turn))


def limited_to(view: PoolView, scope: PoolScope) -> PoolView:
    """Return the view with no more members than the exporter's scope."""
    return replace(view, in_rotation=view.members[:1]) if scope is PoolScope.FIRST else view


def _first(view: PoolView, before: PoolView | None, *, turn: bool) -> str:
    addresses = [address for _, address in view.in_rotation]
    if before is None:
        return addresses[0]
    if before.first in addresses:
        at = addresses.index(before.first) + int(turn)
        return addresses[at % len(addresses)]
    followers = (address for address in before.addresses[1:] if address in addresses)
    return next(followers, addresses[0])


VERSION = 1


def to_json(exporter: str, views: Sequence[PoolView]) -> str:
    """Return the JSON text, with a line end."""
    value = {
        "version": VERSION,
        "exporter": exporter,
        "serial": max((view.serial for view in views), default=0),
        "at": max((view.at for view in views), default=0.0),
        "pools": [_pool(view) for view in views],
    }
    return json.dumps(value, indent=2) + "\n"


def _pool(view: PoolView) -> dict[str, object]:
    return {
        "pool": view.pool,
        "hostname": view.hostname,
        "ttl": view.ttl,
        "first": view.first,
        "addresses": list(view.addresses),
        "members": [{"name": name, "address": address} for name, address in view.members],
        "everything_down": view.everything_down,
    }
