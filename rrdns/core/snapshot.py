"""All that a responder may know: the zones, and per pool the addresses to hand out now.

Snapshots are immutable. A change of anything makes a new one; a `SnapshotDelta` says only what
is different, so that its cost grows with what changed and not with what exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rrdns.core.health.eligibility import EligibilityReason, Selection
from rrdns.core.model import OnEmpty, Pool, Zone

_OUT_BY_ORDER = frozenset({EligibilityReason.DRAINED, EligibilityReason.FORCED_DOWN})


@dataclass(frozen=True, slots=True)
class PoolRRset:
    """What a responder knows of one pool: who is handed out, and how."""

    pool: str
    hostname: str
    ttl: int
    answers: int  # most addresses in one answer
    addresses: tuple[str, ...]  # IPv4, in the order of the config; rotated by the responder
    is_silent: bool = False  # with no address at all: do not respond, instead of SERVFAIL
    counter_slot: int = 0  # where workers that share their turns count this pool's
    is_drained: bool = False  # there is no address since all members are drained


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole truth of one moment."""

    serial: int = 0  # rises with each publication
    zones: tuple[Zone, ...] = ()
    rrsets: Mapping[str, PoolRRset] = field(default_factory=dict)  # by pool name


@dataclass(frozen=True, slots=True)
class SnapshotDelta:
    """The difference between two snapshots that have the same zones."""

    serial: int  # of the snapshot it leads to
    rrsets: tuple[PoolRRset, ...] = ()  # new or different
    removed: tuple[str, ...] = ()  # pools that are no more


def rrset_of(pool: Pool, selection: Selection, slot: int = 0) -> PoolRRset:
    """Return what responders shall know of a pool.

    Where only first probes can tell whom to answer, nothing is said: a client repeats its query,
    while SERVFAIL may end a boot.
    """
    waits = not selection.members and selection.is_awaiting
    return PoolRRset(
        pool=pool.name,
        hostname=pool.hostname,
        ttl=pool.ttl,
        answers=pool.answers,
        addresses=tuple(member.address for member in selection.members),
        is_silent=waits or pool.on_empty is OnEmpty.SILENT,
        counter_slot=slot,
        is_drained=not selection.members and _OUT_BY_ORDER.issuperset(selection.reasons.values()),
    )


def diff(
    before: Snapshot, current: Iterable[PoolRRset], removed: Iterable[str] = ()
) -> SnapshotDelta | None:
    """Return the change that these RRsets make to a snapshot, or None when they make none."""
    changed = tuple(rrset for rrset in current if before.rrsets.get(rrset.pool) != rrset)
    left = tuple(name for name in removed if name in before.rrsets)
    if not changed and not left:
        return None
    return SnapshotDelta(serial=before.serial + 1, rrsets=changed, removed=left)


def apply(before: Snapshot, change: SnapshotDelta) -> Snapshot:
    """Return the snapshot after a change."""
    rrsets = dict(before.rrsets)
    for name in change.removed:
        rrsets.pop(name, None)
    rrsets.update((rrset.pool, rrset) for rrset in change.rrsets)
    return replace(before, serial=change.serial, rrsets=rrsets)
