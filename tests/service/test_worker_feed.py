"""Which serial everybody answers from, as workers come, lag, fall and never come back."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rrdns.core.orders.cache_expiry import STALE_WORKER_SECONDS
from rrdns.core.snapshot import PoolRRset, Snapshot, SnapshotDelta
from rrdns.service.publish.worker_channel import read_message
from rrdns.service.publish.worker_feed import WorkerFeed
from rrdns.service.runtime.log_setup import set_up
from rrdns.shm.counters import Counters
from rrdns.wire import worker_protocol

ROTA = PoolRRset("boot", "boot.example", 5, 4, ("10.0.0.1",))


class Worker:
    """The other end of the feed, which applies what it is told to."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.reader, self.writer = streams

    def apply(self, serial: int) -> None:
        self.writer.write(worker_protocol.encode(worker_protocol.Applied(serial)))


class Farm:
    """A publisher of two workers, whose clock stands still."""

    def __init__(self, address: Path) -> None:
        set_up("json")
        self.now = 100.0
        self.address = address
        self.changed = asyncio.Event()
        self.workers: list[Worker] = []
        self.worker_feed = WorkerFeed(
            (Counters(), Counters()), self.changed.set, clock=lambda: self.now
        )

    async def worker(self, number: int) -> Worker:
        """Let a worker come, and be told everything."""
        worker = Worker(await asyncio.open_unix_connection(self.address))
        self.workers.append(worker)
        worker.writer.write(worker_protocol.encode(worker_protocol.Hello(number, 0, os.getpid())))
        await read_message(worker.reader)
        return worker

    async def reaches(self, serial: int) -> None:
        async with asyncio.timeout(5):
            while self.worker_feed.applied_serial() != serial:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def a_farm(folder: Path) -> AsyncIterator[Farm]:
    farm = Farm(folder / "feed")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(farm.address))
    listening.listen()
    farm.worker_feed.publish_full(Snapshot(1, (), {"boot": ROTA}))
    await farm.worker_feed.start(listening)
    yield farm
    for worker in farm.workers:
        worker.writer.close()
        await worker.writer.wait_closed()
    await farm.worker_feed.stop()


async def test_what_is_reached_is_what_the_last_worker_has(tmp_path: Path) -> None:
    """A worker that has not come yet may be answering from anything."""
    async with a_farm(tmp_path) as farm:
        first = await farm.worker(0)
        first.apply(1)
        assert farm.worker_feed.applied_serial() == 0
        second = await farm.worker(1)
        second.apply(1)
        await farm.reaches(1)
        farm.worker_feed.publish(SnapshotDelta(2, (ROTA,)))
        first.apply(2)
        await asyncio.sleep(0.01)
        assert farm.worker_feed.applied_serial() == 1
        second.apply(2)
        await farm.reaches(2)


async def test_a_worker_that_fell_counts_until_it_is_surely_gone(tmp_path: Path) -> None:
    """It may be answering on while it connects again; after that it cannot be there."""
    async with a_farm(tmp_path) as farm:
        workers = [await farm.worker(number) for number in (0, 1)]
        for worker in workers:
            worker.apply(1)
        await farm.reaches(1)
        workers[1].writer.close()
        await farm.reaches(0)
        farm.now += STALE_WORKER_SECONDS - 0.1
        assert farm.worker_feed.applied_serial() == 0
        farm.now += 0.2
        assert farm.worker_feed.applied_serial() == 1


async def test_what_is_applied_waits_for_a_worker_that_has_yet_to_come(tmp_path: Path) -> None:
    """After a fall of the control process the workers answer on, from what they had."""
    async with a_farm(tmp_path) as farm:
        first = await farm.worker(0)
        first.apply(1)
        assert await farm.worker_feed.wait_applied(1, within=0.01) is False
        waiting = asyncio.create_task(farm.worker_feed.wait_applied(1, within=5))
        second = await farm.worker(1)
        assert not waiting.done()
        second.apply(1)
        assert await waiting is True
