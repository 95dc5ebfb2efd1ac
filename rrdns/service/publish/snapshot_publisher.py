"""Turn the state of the pools into what the workers answer, and save it on disk.

Changes within a few milliseconds become one publication. The workers get it first; the
disk follows in the background, in order, since a slow disk must not keep a dead server
in the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from rrdns.core.health.eligibility import EligibilityReason, Selection
from rrdns.core.health.probe_timing import PUBLISH_SECONDS
from rrdns.core.model import Pool, Zone, is_inside
from rrdns.core.snapshot import Snapshot, SnapshotDelta, diff
from rrdns.errors import StoreFailed
from rrdns.export.manager import ExporterManager
from rrdns.export.pool_view import PoolView
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.publish.worker_feed import WorkerFeed
from rrdns.service.runtime.clocks import Clocks
from rrdns.store.last_snapshot import SnapshotFile

COALESCE = 0.002  # seconds between two publications
EVERYTHING_DOWN = "everything-down"
NOT_REMEMBERED = "snapshot-not-kept"
TRY_DISK_INTERVAL = 5.0  # seconds, after it failed
MAX_BEHIND = 256  # publications that wait for a slow disk

ToWrite = tuple[
    SnapshotDelta | None, tuple[str, ...]
]  # what to save (None: everything), whose standings


class SnapshotPublisher:
    """Publishes what changed in the states of the pools."""

    def __init__(
        self,
        states: PoolStates,
        worker_feed: WorkerFeed,
        recorder: EventRecorder,
        snapshot_file: SnapshotFile | None,
        dispatch: ExporterManager,
        clock: Clocks,
        on_settled: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.published_at = 0.0
        self._dispatch = dispatch
        self._states = states
        self._worker_feed = worker_feed
        self._recorder = recorder
        self._snapshot_file = snapshot_file
        self._clock = clock
        self._dirty: set[str] = set()
        # Zones, serial, and whether all pools are waited for: nothing was published yet.
        self._first: tuple[tuple[Zone, ...], int, bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0  # on the loop's clock
        self._to_disk: asyncio.Queue[ToWrite | asyncio.Event] = asyncio.Queue()
        self._disk_is_behind = False
        self._on_settled = on_settled  # told how long it took until all answered by a change
        self._marked_at = 0.0  # on the loop's clock: when the first change that waits came
        self._unsettled: list[
            tuple[int, tuple[str, ...], float | None]
        ] = []  # serial, pools, since

    def publish_first(self, zones: tuple[Zone, ...], serial: int, *, all_pools: bool) -> None:
        """Publish everything once it is known of one pool whom to answer, or of all pools.

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
        self._dirty.add(pool)
        self._begin()
        if self._timer is None and self._first is None and self._dirty:
            loop = asyncio.get_running_loop()
            self._marked_at = loop.time()
            # The first change goes out at once; those that follow close on it share the next.
            self._timer = loop.call_at(max(loop.time(), self._flushed_at + COALESCE), self.flush)

    def flush(self, gone: Iterable[str] = ()) -> int:
        """Publish at once what is marked; return the serial that holds it."""
        if self._first is not None:
            return self._worker_feed.snapshot.serial
        self._flushed_at = since = asyncio.get_running_loop().time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, since = None, self._marked_at
        dirty, self._dirty = self._dirty, set()
        left = tuple(gone)
        names = sorted(name for name in dirty if name in self._states)
        before = self._worker_feed.snapshot
        change = diff(before, [self._states.rrset(name) for name in names], left)
        if change is not None:
            self._worker_feed.publish(change)
        self._after(names, since if change is not None else None)
        self._update_exporters(names, left)
        if names or left:
            self._keep(change or SnapshotDelta(before.serial), tuple(names))
        return self._worker_feed.snapshot.serial

    def publish_all(self, zones: tuple[Zone, ...], serial: int) -> None:
        """Publish everything anew: at the start, and when zones changed."""
        self._first = None
        names = self._states.names()
        gone = self._worker_feed.snapshot.rrsets.keys() - set(names)
        rrsets = {name: self._states.rrset(name) for name in names}
        snapshot = Snapshot(serial=serial, zones=zones, rrsets=rrsets)
        self._dirty.clear()
        self._worker_feed.publish_full(snapshot)
        self._after(names, asyncio.get_running_loop().time())
        self._update_exporters(names, gone)
        self._keep(None, names)

    async def run_saver(self) -> None:
        """Write publications to disk, one after the other, for as long as the service runs."""
        while True:
            task = await self._next_task()
            try:
                await self._write_or_sync(task)
            except StoreFailed as error:
                self._disk_is_behind = True
                self._recorder.raise_alarm(NOT_REMEMBERED, str(error))
            else:
                self._disk_is_behind = False
                self._recorder.clear_alarm(NOT_REMEMBERED)
            finally:
                self._to_disk.task_done()

    async def _next_task(self) -> ToWrite | asyncio.Event:
        """Wait for what is to be written; after a failure nobody need publish anything anew."""
        if self._disk_is_behind:
            with suppress(TimeoutError):
                return await asyncio.wait_for(self._to_disk.get(), TRY_DISK_INTERVAL)
            self._to_disk.put_nowait((None, ()))
        return await self._to_disk.get()

    async def wait_saved(self) -> None:
        """Wait until the disk has all that was published."""
        await self._to_disk.join()

    async def verify_disk(self) -> None:
        """Write everything anew where the file of the last good snapshot was taken away."""
        if self._snapshot_file is None or self._disk_is_behind or not self._to_disk.empty():
            return  # what waits finds out by itself
        if not await self._snapshot_file.is_in_place():
            self._keep(None, self._states.names())

    async def wait_synced(self, within: float) -> None:
        """Wait until a start of everything would answer by what is published now.

        A disk that takes longer than `within` seconds, or fails, has its own alarm.
        """
        if self._snapshot_file is None:
            return
        synced = asyncio.Event()
        self._to_disk.put_nowait(synced)
        with suppress(TimeoutError):
            await asyncio.wait_for(synced.wait(), within)

    async def _write_or_sync(self, task: ToWrite | asyncio.Event) -> None:
        if not isinstance(task, asyncio.Event):
            await self._write(*task)
        elif self._snapshot_file is not None:
            if self._disk_is_behind:
                await self._write(None, ())
            await self._snapshot_file.sync()
            task.set()

    def _keep(self, change: SnapshotDelta | None, names: tuple[str, ...]) -> None:
        """Have a publication written to disk; a disk that is far behind gets the whole at once.

        Whoever waits in `kept` meanwhile waits in vain, as with any disk that is too slow.
        """
        if self._to_disk.qsize() >= MAX_BEHIND:
            while not self._to_disk.empty():
                self._to_disk.get_nowait()
                self._to_disk.task_done()
            change, names = None, tuple(self._states.names())
        self._to_disk.put_nowait((change, names))

    async def _write(self, change: SnapshotDelta | None, names: Iterable[str]) -> None:
        if self._snapshot_file is None:
            return
        now = self._clock.steady()
        if change is None or self._disk_is_behind:  # only a whole one makes good a lost change
            known = list(self._states.names())
            ups, fading = self._states.up_standings(known), self._states.expiring(known, now)
            await self._snapshot_file.save(self._worker_feed.snapshot, ups, fading)
        else:
            known = [name for name in names if name in self._states]
            ups, fading = self._states.up_standings(known), self._states.expiring(known, now)
            await self._snapshot_file.save_change(change, ups, fading)

    def on_worker_progress(self) -> None:
        """Note what every worker answers by now: no older answer is given from here on."""
        reached, at = self._worker_feed.applied_serial(), self._clock.steady() + PUBLISH_SECONDS
        while self._unsettled and self._unsettled[0][0] <= reached:
            serial, names, since = self._unsettled.pop(0)
            if since is not None:
                self._on_settled(asyncio.get_running_loop().time() - since)
            for name in names:
                self._states.on_applied(name, serial, at)

    def _after(self, names: Iterable[str], since: float | None) -> None:
        self.published_at = self._clock()
        serial = self._worker_feed.snapshot.serial
        for name in names:
            self._states.on_published(name, serial)
            self._update_alarms(name)
        self._unsettled.append((serial, tuple(names), since))
        self.on_worker_progress()

    def _update_exporters(self, names: Iterable[str], gone: Iterable[str]) -> None:
        """Hand over to the exporters what is known; who is only assumed to be up is not told."""
        snapshot = self._worker_feed.snapshot
        views = []
        for name in names:
            record = self._states.record(name)
            selection = record.selection()
            if (
                EligibilityReason.ASSUMED not in selection.reasons.values()
                and not selection.is_awaiting
            ):
                views.append(_view(record.pool, selection, snapshot, self.published_at))
        self._dispatch.publish(views, gone)

    def _update_alarms(self, name: str) -> None:
        selection = self._states.record(name).selection()
        pool = self._states.record(name).pool
        if not selection.everything_down:
            self._recorder.clear_alarm(EVERYTHING_DOWN, name)
        elif selection.members:
            self._recorder.raise_alarm(
                EVERYTHING_DOWN,
                f"no member of pool {name!r} is healthy; all {len(selection.members)} that are "
                f"not drained are answered for {pool.hostname}, in the hope that one boots",
                name,
            )
        else:
            self._recorder.raise_alarm(
                EVERYTHING_DOWN,
                f"no member of pool {name!r} is healthy, and {pool.hostname} is answered with "
                f"{'silence' if pool.on_empty == 'silent' else 'SERVFAIL'}: nothing can boot",
                name,
            )


def _view(pool: Pool, selection: Selection, snapshot: Snapshot, at: float) -> PoolView:
    zones = (zone for zone in snapshot.zones if is_inside(pool.hostname, zone.name))
    return PoolView(
        pool=pool.name,
        hostname=pool.hostname,
        ttl=pool.ttl,
        in_rotation=tuple((member.name, member.address) for member in selection.members),
        zone=next(zones, None),
        serial=snapshot.serial,
        at=at,
        everything_down=selection.everything_down,
    )
