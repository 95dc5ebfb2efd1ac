"""All that a responder may know: the zones, and per pool the addresses to hand out now.

Snapshots are immutable. A change of anything makes a new one; a `Change` says only what
is different, so that its cost grows with what changed and not with what exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rrdns.core.health.eligibility import Selection, Why
from rrdns.core.model import OnEmpty, Pool, Zone

_OUT_BY_ORDER = frozenset({Why.DRAINED, Why.FORCED_DOWN})


@dataclass(frozen=True, slots=True)
class Rota:
    """What a responder knows of one pool: who is handed out, and how."""

    pool: str
    hostname: str
    ttl: int
    answers: int  # most addresses in one answer
    addresses: tuple[str, ...]  # IPv4, in the order of the config; rotated by the responder
    silent: bool = False  # with no address at all: do not respond, instead of SERVFAIL
    slot: int = 0  # where workers that share their turns count this pool's
    drained: bool = False  # there is no address since all members are drained


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole truth of one moment."""

    serial: int = 0  # rises with each publication
    zones: tuple[Zone, ...] = ()
    rotas: Mapping[str, Rota] = field(default_factory=dict)  # by pool name


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between two snapshots that have the same zones."""

    serial: int  # of the snapshot it leads to
    rotas: tuple[Rota, ...] = ()  # new or different
    gone: tuple[str, ...] = ()  # pools that are no more


def rota_of(pool: Pool, selection: Selection, slot: int = 0) -> Rota:
    """Return what responders shall know of a pool.

    Where only first probes can tell whom to answer, nothing is said: a client repeats its query,
    while SERVFAIL may end a boot.
    """
    waits = not selection.members and selection.is_awaiting
    return Rota(
        pool=pool.name,
        hostname=pool.hostname,
        ttl=pool.ttl,
        answers=pool.answers,
        addresses=tuple(member.address for member in selection.members),
        silent=waits or pool.on_empty is OnEmpty.SILENT,
        slot=slot,
        drained=not selection.members and _OUT_BY_ORDER.issuperset(selection.whys.values()),
    )


def difference(before: Snapshot, rotas: Iterable[Rota], gone: Iterable[str] = ()) -> Change | None:
    """Return the change that these rotas make to a snapshot, or None when they make none."""
    changed = tuple(rota for rota in rotas if before.rotas.get(rota.pool) != rota)
    left = tuple(name for name in gone if name in before.rotas)
    if not changed and not left:
        return None
    return Change(serial=before.serial + 1, rotas=changed, gone=left)


def apply(before: Snapshot, change: Change) -> Snapshot:
    """Return the snapshot after a change."""
    rotas = dict(before.rotas)
    for name in change.gone:
        rotas.pop(name, None)
    rotas.update((rota.pool, rota) for rota in change.rotas)
    return replace(before, serial=change.serial, rotas=rotas)
