"""Save publications to disk, in order and in the background, as the last good snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from rrdns.core.snapshot import Snapshot, SnapshotDelta
from rrdns.errors import StoreFailed
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.health.saved_state import expiring_of, standings_of
from rrdns.service.publish.snapshot_publisher import Publication
from rrdns.service.runtime.clocks import Clocks
from rrdns.store.last_snapshot import SnapshotFile

SNAPSHOT_NOT_SAVED = "snapshot-not-kept"
RETRY_INTERVAL = 1.0  # seconds, after the disk failed
MAX_BEHIND = 256  # publications that wait for a slow disk

# What to save (None: everything), and the pools whose standings go with it.
_Save = tuple[SnapshotDelta | None, tuple[str, ...]]


class SnapshotSaver:
    """The queue of publications for the disk; without a file it saves nothing."""

    def __init__(
        self,
        states: PoolStates,
        snapshot_file: SnapshotFile | None,
        recorder: EventRecorder,
        clock: Clocks,
    ) -> None:
        self._states = states
        self._file = snapshot_file
        self._recorder = recorder
        self._clock = clock
        self._snapshot = Snapshot()
        self._queue: asyncio.Queue[_Save | asyncio.Event] = asyncio.Queue()
        self._has_failed = False

    def on_publication(self, publication: Publication) -> None:
        """Queue a publication; a disk that is far behind gets the whole snapshot at once."""
        self._snapshot = publication.snapshot
        self._put(publication.change, tuple(publication.selections))

    async def run(self) -> None:
        """Write publications to disk, one after the other, for as long as the service runs."""
        while True:
            entries = [await self._next_entry()]
            while not self._queue.empty():
                entries.append(self._queue.get_nowait())
            try:
                await self._save(entries)
            except StoreFailed as error:
                self._has_failed = True
                self._recorder.raise_alarm(SNAPSHOT_NOT_SAVED, str(error))
            else:
                self._has_failed = False
                self._recorder.clear_alarm(SNAPSHOT_NOT_SAVED)
            finally:
                for _ in entries:
                    self._queue.task_done()

    async def wait_saved(self) -> None:
        """Wait until everything that was published is written."""
        await self._queue.join()

    async def wait_synced(self, within: float) -> None:
        """Wait until a start of rrdns would answer from what is published now.

        A disk that takes longer than `within` seconds, or fails, has its own alarm.
        """
        if self._file is None:
            return
        synced = asyncio.Event()
        self._queue.put_nowait(synced)
        with suppress(TimeoutError):
            await asyncio.wait_for(synced.wait(), within)

    async def verify(self) -> None:
        """Write everything again if the file of the last good snapshot was taken away."""
        if self._file is None or self._has_failed or not self._queue.empty():
            return  # the next write finds out by itself
        if not await self._file.is_in_place():
            self._put(None, self._states.names())

    def _put(self, change: SnapshotDelta | None, pools: tuple[str, ...]) -> None:
        """Queue a write. In `wait_synced` a dropped entry is waited for until the time is over."""
        if self._queue.qsize() >= MAX_BEHIND:
            while not self._queue.empty():
                self._queue.get_nowait()
                self._queue.task_done()
            change, pools = None, self._states.names()
        self._queue.put_nowait((change, pools))

    async def _next_entry(self) -> _Save | asyncio.Event:
        """Return the next entry; after a failure, try again even if nothing is published."""
        if self._has_failed:
            with suppress(TimeoutError):
                return await asyncio.wait_for(self._queue.get(), RETRY_INTERVAL)
            self._queue.put_nowait((None, ()))
        return await self._queue.get()

    async def _save(self, entries: Sequence[_Save | asyncio.Event]) -> None:
        """Write publications in order, then sync once for all who wait.

        Raises:
            StoreFailed: the disk failed; what was not written is made good by the next write.
        """
        waiting = [entry for entry in entries if isinstance(entry, asyncio.Event)]
        writes = [entry for entry in entries if not isinstance(entry, asyncio.Event)]
        if waiting and not writes and self._has_failed:
            writes = [(None, ())]
        for change, pools in writes:
            await self._write(change, pools)
            self._has_failed = False
        if waiting and self._file is not None:
            await self._file.sync()
        for synced in waiting:
            synced.set()

    async def _write(self, change: SnapshotDelta | None, pools: Iterable[str]) -> None:
        if self._file is None:
            return
        # After a failure, only a whole snapshot makes good the change that was lost.
        whole = change is None or self._has_failed
        known = [name for name in pools if name in self._states]
        if whole:
            known = list(self._states.names())
        standings = standings_of(self._states, known)
        expiring = expiring_of(self._states, known, self._clock.steady())
        if change is None or whole:
            await self._file.save(self._snapshot, standings, expiring)
        else:
            await self._file.save_change(change, standings, expiring)
