"""All that a worker knows: the zones, and for each pool the addresses in rotation.

Snapshots are immutable. A change of anything makes a new one. A `SnapshotDelta` has only what
is different, so its cost grows with what changed and not with what exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from rrdns.core.health.eligibility import EligibilityReason, Selection
from rrdns.core.model import OnEmpty, Pool, Zone

_OUT_BY_ORDER = frozenset({EligibilityReason.DRAINED, EligibilityReason.FORCED_DOWN})


@dataclass(frozen=True, slots=True)
class PoolRRset:
    """What a worker knows of one pool: which members are in rotation, and how."""

    pool: str
    hostname: str
    ttl: int
    answers: int  # most addresses in one answer
    addresses: tuple[str, ...]  # IPv4, in the order of the config; workers rotate them
    is_silent: bool = False  # with no address at all: do not respond, instead of SERVFAIL
    counter_slot: int = 0  # where the turns of this pool are
    member_slots: tuple[int, ...] = ()  # by address: where the responses are counted
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


def rrset_of(
    pool: Pool, selection: Selection, slots: Mapping[str, int] = MappingProxyType({})
) -> PoolRRset:
    """Return what workers shall know of a pool.

    `slots`: of the counters of the members by address, and of the pool by "".

    While first probes are missing, workers do not respond: a client repeats its query, but
    SERVFAIL may end a boot.
    """
    waits = not selection.members and selection.is_awaiting
    return PoolRRset(
        pool=pool.name,
        hostname=pool.hostname,
        ttl=pool.ttl,
        answers=pool.answers,
        addresses=tuple(member.address for member in selection.members),
        is_silent=waits or pool.on_empty is OnEmpty.SILENT,
        counter_slot=slots.get("", 0),
        member_slots=tuple(slots.get(member.address, 0) for member in selection.members),
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
