"""Turn what the roster says into what the workers answer, and remember it on disk.

Changes within a few milliseconds become one publication. The workers get it first; the
disk follows in the background, in order, since a slow disk must not keep a dead server
in the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from rrdns.core.health.eligibility import Selection, Why
from rrdns.core.model import Pool, Zone, is_inside
from rrdns.core.snapshot import Change, Snapshot, difference
from rrdns.errors import StoreFailed
from rrdns.export.manager import Dispatch
from rrdns.export.pool_view import Telling
from rrdns.service.events.recorder import Herald
from rrdns.service.health.pool_states import PUBLISH_TIME, Roster
from rrdns.service.publish.worker_feed import Publisher
from rrdns.service.runtime.clocks import Clocks
from rrdns.store.last_snapshot import LastGood

COALESCE = 0.002  # seconds between two publications
EVERYTHING_DOWN = "everything-down"
NOT_REMEMBERED = "snapshot-not-kept"
TRY_DISK_EVERY = 5.0  # seconds, after it failed
MOST_BEHIND = 256  # publications that wait for a slow disk

ToWrite = tuple[Change | None, tuple[str, ...]]  # what to save (None: everything), whose standings


class Publication:
    """Publishes what changed in the roster."""

    def __init__(
        self,
        roster: Roster,
        publisher: Publisher,
        herald: Herald,
        last_good: LastGood | None,
        dispatch: Dispatch,
        clock: Clocks,
        on_settled: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.published_at = 0.0
        self._dispatch = dispatch
        self._roster = roster
        self._publisher = publisher
        self._herald = herald
        self._last_good = last_good
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
        held = len(self._roster.held)
        if not held or (not all_pools and held < len(self._roster.names())):
            self.publish_all(zones, serial)

    def mark(self, pool: str) -> None:
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
            return self._publisher.snapshot.serial
        self._flushed_at = since = asyncio.get_running_loop().time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, since = None, self._marked_at
        dirty, self._dirty = self._dirty, set()
        left = tuple(gone)
        names = sorted(name for name in dirty if name in self._roster)
        before = self._publisher.snapshot
        change = difference(before, [self._roster.rota(name) for name in names], left)
        if change is not None:
            self._publisher.publish(change)
        self._after(names, since if change is not None else None)
        self._tell_others(names, left)
        if names or left:
            self._keep(change or Change(before.serial), tuple(names))
        return self._publisher.snapshot.serial

    def publish_all(self, zones: tuple[Zone, ...], serial: int) -> None:
        """Publish everything anew: at the start, and when zones changed."""
        self._first = None
        names = self._roster.names()
        gone = self._publisher.snapshot.rotas.keys() - set(names)
        rotas = {name: self._roster.rota(name) for name in names}
        snapshot = Snapshot(serial=serial, zones=zones, rotas=rotas)
        self._dirty.clear()
        self._publisher.replace(snapshot)
        self._after(names, asyncio.get_running_loop().time())
        self._tell_others(names, gone)
        self._keep(None, names)

    async def keep_on_disk(self) -> None:
        """Write publications to disk, one after the other, for as long as the service runs."""
        while True:
            task = await self._next_task()
            try:
                await self._write_or_sync(task)
            except StoreFailed as error:
                self._disk_is_behind = True
                self._herald.alarm(NOT_REMEMBERED, str(error))
            else:
                self._disk_is_behind = False
                self._herald.calm(NOT_REMEMBERED)
            finally:
                self._to_disk.task_done()

    async def _next_task(self) -> ToWrite | asyncio.Event:
        """Wait for what is to be written; after a failure nobody need publish anything anew."""
        if self._disk_is_behind:
            with suppress(TimeoutError):
                return await asyncio.wait_for(self._to_disk.get(), TRY_DISK_EVERY)
            self._to_disk.put_nowait((None, ()))
        return await self._to_disk.get()

    async def on_disk(self) -> None:
        """Wait until the disk has all that was published."""
        await self._to_disk.join()

    async def verify_disk(self) -> None:
        """Write everything anew where the file of the last good snapshot was taken away."""
        if self._last_good is None or self._disk_is_behind or not self._to_disk.empty():
            return  # what waits finds out by itself
        if not await self._last_good.is_in_place():
            self._keep(None, self._roster.names())

    async def kept(self, within: float) -> None:
        """Wait until a start of everything would answer by what is published now.

        A disk that takes longer than `within` seconds, or fails, has its own alarm.
        """
        if self._last_good is None:
            return
        synced = asyncio.Event()
        self._to_disk.put_nowait(synced)
        with suppress(TimeoutError):
            await asyncio.wait_for(synced.wait(), within)

    async def _write_or_sync(self, task: ToWrite | asyncio.Event) -> None:
        if not isinstance(task, asyncio.Event):
            await self._write(*task)
        elif self._last_good is not None:
            if self._disk_is_behind:
                await self._write(None, ())
            await self._last_good.sync()
            task.set()

    def _keep(self, change: Change | None, names: tuple[str, ...]) -> None:
        """Have a publication written to disk; a disk that is far behind gets the whole at once.

        Whoever waits in `kept` meanwhile waits in vain, as with any disk that is too slow.
        """
        if self._to_disk.qsize() >= MOST_BEHIND:
            while not self._to_disk.empty():
                self._to_disk.get_nowait()
                self._to_disk.task_done()
            change, names = None, tuple(self._roster.names())
        self._to_disk.put_nowait((change, names))

    async def _write(self, change: Change | None, names: Iterable[str]) -> None:
        if self._last_good is None:
            return
        now = self._clock.steady()
        if change is None or self._disk_is_behind:  # only a whole one makes good a lost change
            known = list(self._roster.names())
            ups, fading = self._roster.up_standings(known), self._roster.fading(known, now)
            await self._last_good.save(self._publisher.snapshot, ups, fading)
        else:
            known = [name for name in names if name in self._roster]
            ups, fading = self._roster.up_standings(known), self._roster.fading(known, now)
            await self._last_good.save_change(change, ups, fading)

    def settle(self) -> None:
        """Note what every worker answers by now: no older answer is given from here on."""
        reached, at = self._publisher.reached(), self._clock.steady() + PUBLISH_TIME
        while self._unsettled and self._unsettled[0][0] <= reached:
            serial, names, since = self._unsettled.pop(0)
            if since is not None:
                self._on_settled(asyncio.get_running_loop().time() - since)
            for name in names:
                self._roster.settled(name, serial, at)

    def _after(self, names: Iterable[str], since: float | None) -> None:
        self.published_at = self._clock()
        serial = self._publisher.snapshot.serial
        for name in names:
            self._roster.published(name, serial)
            self._sound_alarms(name)
        self._unsettled.append((serial, tuple(names), since))
        self.settle()

    def _tell_others(self, names: Iterable[str], gone: Iterable[str]) -> None:
        """Hand over to the exporters what is known; who is only assumed to be up is not told."""
        snapshot = self._publisher.snapshot
        tellings = []
        for name in names:
            record = self._roster.record(name)
            selection = record.selection()
            if Why.ASSUMED not in selection.whys.values() and not selection.is_awaiting:
                tellings.append(_telling(record.pool, selection, snapshot, self.published_at))
        self._dispatch.publish(tellings, gone)

    def _sound_alarms(self, name: str) -> None:
        selection = self._roster.record(name).selection()
        pool = self._roster.record(name).pool
        if not selection.everything_down:
            self._herald.calm(EVERYTHING_DOWN, name)
        elif selection.members:
            self._herald.alarm(
                EVERYTHING_DOWN,
                f"no member of pool {name!r} is healthy; all {len(selection.members)} that are "
                f"not drained are answered for {pool.hostname}, in the hope that one boots",
                name,
            )
        else:
            self._herald.alarm(
                EVERYTHING_DOWN,
                f"no member of pool {name!r} is healthy, and {pool.hostname} is answered with "
                f"{'silence' if pool.on_empty == 'silent' else 'SERVFAIL'}: nothing can boot",
                name,
            )


def _telling(pool: Pool, selection: Selection, snapshot: Snapshot, at: float) -> Telling:
    zones = (zone for zone in snapshot.zones if is_inside(pool.hostname, zone.name))
    return Telling(
        pool=pool.name,
        hostname=pool.hostname,
        ttl=pool.ttl,
        present=tuple((member.name, member.address) for member in selection.members),
        zone=next(zones, None),
        serial=snapshot.serial,
        at=at,
        everything_down=selection.everything_down,
    )
