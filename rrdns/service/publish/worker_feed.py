"""Give each new snapshot to every DNS worker, and read what they have counted.

Workers come and go. Each gets the whole snapshot when it connects and only changes afterwards.
Publishing never waits for a worker; `wait_applied` waits until all respond from a snapshot.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rrdns.core.model import Pool
from rrdns.core.orders.cache_expiry import STALE_WORKER_SECONDS
from rrdns.core.snapshot import Snapshot, SnapshotDelta, apply
from rrdns.core.status import WorkerStatus
from rrdns.service.publish.worker_channel import _check_owner, read_message
from rrdns.service.runtime.applied_config import AppliedConfig
from rrdns.service.runtime.log_setup import get_log
from rrdns.shm.counters import CounterReader, Counters, Labels
from rrdns.shm.slots import CounterSlots
from rrdns.wire import worker_protocol


@dataclass(slots=True)
class WorkerConnection:
    """One connected worker."""

    number: int
    pid: int
    writer: asyncio.StreamWriter
    serial: int = 0


@dataclass(slots=True)
class WorkerState:
    """What is known of a worker over all its restarts."""

    counters: Counters
    link: WorkerConnection | None = None
    gone_at: float = 0.0  # when the last link ended, monotonic seconds


class WorkerFeed:
    """The control process's end of the feed."""

    def __init__(
        self,
        counters: Sequence[Counters],
        on_workers: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        kept_slots: AppliedConfig | None = None,
    ) -> None:
        self._reader = CounterReader([one.segment for one in counters])
        self._rotation = counters[0].rotation if counters else None
        if kept_slots is not None:
            self.slots = CounterSlots(self._reader, kept_slots.text(), kept_slots.keep)
        else:
            self.slots = CounterSlots(self._reader)
        self.snapshot = Snapshot()
        self._clock = clock
        self._workers = {
            number: WorkerState(one, gone_at=clock()) for number, one in enumerate(counters)
        }
        self._on_workers = on_workers
        self._progress = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._log = get_log(part="worker-feed")

    async def start(self, listening: socket.socket) -> None:
        """Accept workers on a listening Unix socket."""
        self._server = await asyncio.start_unix_server(self._serve, sock=listening)
        self._check_owner_again()

    async def stop(self) -> None:
        """Let the workers go; they answer on."""
        if self._server is not None:
            self._server.close()
        for record in self._workers.values():
            if record.link is not None:
                record.link.writer.close()
        if self._server is not None:
            await self._server.wait_closed()

    def publish_full(self, snapshot: Snapshot) -> None:
        """Publish a snapshot as a whole."""
        self.snapshot = snapshot
        self._send(worker_protocol.encode(snapshot))

    def publish(self, change: SnapshotDelta) -> None:
        """Publish a change."""
        self.snapshot = apply(self.snapshot, change)
        self._send(worker_protocol.encode(change))

    async def wait_applied(self, serial: int, within: float) -> bool:
        """Wait until every worker answers from `serial` or later.

        A worker that is not connected is waited for, too: it answers on while it connects
        again, from what it had. Return False when one does not come or does not follow
        `within` seconds: it hangs or is gone, and the supervisor will replace it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within), self._progress:
                await self._progress.wait_for(lambda: self.applied_serial() >= serial)
        return self.applied_serial() >= serial

    def applied_serial(self) -> int:
        """Return the lowest serial from which a worker may still respond.

        A worker that lives connects again at once, and one that hangs is replaced: who is
        gone for longer than `STALE_WORKER_SECONDS` no longer responds.
        """
        now = self._clock()
        serials = [
            record.link.serial if record.link else 0
            for record in self._workers.values()
            if record.link is not None or now - record.gone_at < STALE_WORKER_SECONDS
        ]
        return min(serials, default=self.snapshot.serial)

    def connected(self) -> bool:
        """Return whether every worker is connected and responds from some snapshot."""
        return all(record.link and record.link.serial for record in self._workers.values())

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return the workers as of now."""
        return tuple(
            WorkerStatus(
                number=number,
                connected=record.link is not None,
                serial=record.link.serial if record.link else 0,
                restarts=max(record.counters.segment.starts - 1, 0),
            )
            for number, record in self._workers.items()
        )

    def assign_slots(self, pools: Iterable[Pool], serial: int = 0) -> None:
        """Give each pool and member its counter; `serial` is that of the last snapshot."""
        last = max(serial, self.snapshot.serial)
        self.slots.assign(pools, last + 1, self.applied_serial())

    def queries(self) -> Mapping[Labels, int]:
        """Return what all workers have counted, by kind and RCODE."""
        return self._reader.queries(self.slots.end, self.slots.retired)

    def unanswered(self) -> int:
        """Return how many datagrams got no response."""
        return self._reader.unanswered()

    def firsts(self, pool: str) -> dict[str, int]:
        """Return how often each address of a pool was first in a response."""
        return self.slots.counts(pool)

    def turn(self, pool: str) -> int | None:
        """Return a pool's next turn."""
        slot = self.slots.of(pool).get("")
        return None if self._rotation is None or slot is None else self._rotation.peek(slot)

    def _send(self, message: bytes) -> None:
        for record in self._workers.values():
            if record.link is not None and not record.link.writer.is_closing():
                record.link.writer.write(message)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link: WorkerConnection | None = None
        try:
            _check_owner(writer)
            while True:
                message = await read_message(reader)
                if isinstance(message, worker_protocol.Hello):
                    link = self._on_hello(message, writer)
                elif link is not None:
                    await self._on_message(link, message)
        except (EOFError, ConnectionError):
            pass  # it ended, or we did; the supervisor sees to it
        except ValueError as error:
            self._log.error("a worker sent an invalid message", error=str(error))
        finally:
            writer.close()
            self._on_disconnect(link)

    def _on_hello(
        self, hello: worker_protocol.Hello, writer: asyncio.StreamWriter
    ) -> WorkerConnection:
        record = self._workers.get(hello.worker)
        if record is None:
            raise ValueError(f"there is no worker {hello.worker}")
        if record.link is not None:  # its successor is quicker than its end of file
            record.link.writer.close()
        record.link = WorkerConnection(hello.worker, hello.pid, writer)
        if self.snapshot.serial:
            writer.write(worker_protocol.encode(self.snapshot))
        self._on_workers()
        return record.link

    async def _on_message(self, link: WorkerConnection, message: worker_protocol.Message) -> None:
        if isinstance(message, worker_protocol.Applied):
            async with self._progress:
                link.serial = message.serial
                self._progress.notify_all()
            self._on_workers()

    def _on_disconnect(self, link: WorkerConnection | None) -> None:
        if link is not None and self._workers[link.number].link is link:
            self._workers[link.number].link = None
            self._workers[link.number].gone_at = self._clock()
            self._on_workers()
            self._check_owner_again()

    def _check_owner_again(self) -> None:
        """Have it noticed, too, when a worker is gone for good."""
        asyncio.get_running_loop().call_later(STALE_WORKER_SECONDS + 0.01, self._on_workers)
