"""Publish the state of the pools to the workers, and the publication to its subscribers.

Changes within a few milliseconds become one publication. The workers get it first. The disk,
the exporters and the alarms follow as subscribers, since a slow disk must not keep a dead
server in the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rrdns.core.health.eligibility import Selection
from rrdns.core.health.probe_timing import PUBLISH_SECONDS
from rrdns.core.model import Zone
from rrdns.core.snapshot import Snapshot, SnapshotDelta, diff
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.publish.worker_feed import WorkerFeed
from rrdns.service.runtime.clocks import Clocks

COALESCE = 0.002  # seconds between two publications


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published together."""

    at: float  # Unix seconds
    snapshot: Snapshot
    change: SnapshotDelta | None  # None: the whole snapshot is new
    selections: Mapping[str, Selection]  # of the pools that changed, also if their RRset did not
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unapplied:
    """A publication that not all workers answer from yet."""

    serial: int
    pools: tuple[str, ...]
    since: float | None  # on the loop's clock; None: the answers did not change


class SnapshotPublisher:
    """Publishes what changed in the states of the pools."""

    def __init__(
        self,
        states: PoolStates,
        worker_feed: WorkerFeed,
        clock: Clocks,
        on_applied: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.published_at = 0.0
        self._states = states
        self._worker_feed = worker_feed
        self._clock = clock
        self._subscribers: list[Callable[[Publication], None]] = []
        self._changed: set[str] = set()
        # Zones, serial, and whether all pools are waited for: nothing was published yet.
        self._first: tuple[tuple[Zone, ...], int, bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0  # on the loop's clock
        self._changed_at = 0.0  # on the loop's clock: the first change that waits
        self._on_applied = on_applied  # called with the seconds until all workers had a change
        self._unapplied: list[_Unapplied] = []

    def subscribe(self, subscriber: Callable[[Publication], None]) -> None:
        """Call `subscriber` with each publication, after the workers; it must not wait."""
        self._subscribers.append(subscriber)

    def publish_first(self, zones: tuple[Zone, ...], serial: int, *, all_pools: bool) -> None:
        """Publish everything once the state of one pool is known, or of all pools.

        A worker that starts has no answers until then and reads nothing, so that queries wait
        in its sockets. One that goes on from before must not be told to be silent: `all_pools`.
        """
        self._first = zones, serial, all_pools
        self._begin()

    def _begin(self) -> None:
        """Publish for the first time, if it is time."""
        if self._first is None:
            return
        zones, serial, all_pools = self._first
        held = len(self._states.held_pools)
        if not held or (not all_pools and held < len(self._states.names())):
            self.publish_all(zones, serial)

    def mark_changed(self, pool: str) -> None:
        """Publish a pool's change soon."""
        self._changed.add(pool)
        self._begin()
        if self._timer is None and self._first is None and self._changed:
            loop = asyncio.get_running_loop()
            self._changed_at = loop.time()
            # The first change goes out at once; those that follow close on it share the next.
            self._timer = loop.call_at(max(loop.time(), self._flushed_at + COALESCE), self.flush)

    def flush(self, removed: Iterable[str] = ()) -> int:
        """Publish at once what is marked; return the serial that holds it."""
        if self._first is not None:
            return self._worker_feed.snapshot.serial
        self._flushed_at = asyncio.get_running_loop().time()
        since = self._changed_at if self._timer is not None else self._flushed_at
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        changed, self._changed = self._changed, set()
        removed = tuple(removed)
        pools = tuple(sorted(name for name in changed if name in self._states))
        before = self._worker_feed.snapshot
        change = diff(before, [self._states.rrset(name) for name in pools], removed)
        if change is not None:
            self._worker_feed.publish(change)
            self._published(change, pools, removed, since)
        else:  # no answer changed, but perhaps a standing, which is saved
            self._published(SnapshotDelta(before.serial), pools, removed, None)
        return self._worker_feed.snapshot.serial

    def publish_all(self, zones: tuple[Zone, ...], serial: int) -> None:
        """Publish everything: at the start, and when zones changed."""
        self._first = None
        pools = self._states.names()
        removed = tuple(self._worker_feed.snapshot.rrsets.keys() - set(pools))
        rrsets = {name: self._states.rrset(name) for name in pools}
        self._changed.clear()
        self._worker_feed.publish_full(Snapshot(serial=serial, zones=zones, rrsets=rrsets))
        self._published(None, pools, removed, asyncio.get_running_loop().time())

    def on_worker_progress(self) -> None:
        """Note from which snapshot every worker answers now: no older answer is given any more."""
        applied, at = self._worker_feed.applied_serial(), self._clock.steady() + PUBLISH_SECONDS
        while self._unapplied and self._unapplied[0].serial <= applied:
            first = self._unapplied.pop(0)
            if first.since is not None:
                self._on_applied(asyncio.get_running_loop().time() - first.since)
            for name in first.pools:
                self._states.on_applied(name, first.serial, at)

    def _published(
        self,
        change: SnapshotDelta | None,
        pools: tuple[str, ...],
        removed: tuple[str, ...],
        since: float | None,
    ) -> None:
        """Note what was published, and call the subscribers."""
        self.published_at = self._clock()
        snapshot = self._worker_feed.snapshot
        selections = {name: self._states.on_published(name, snapshot.serial) for name in pools}
        self._unapplied.append(_Unapplied(snapshot.serial, pools, since))
        self.on_worker_progress()
        if pools or removed or change is None:
            publication = Publication(self.published_at, snapshot, change, selections, removed)
            for subscriber in self._subscribers:
                subscriber(publication)
