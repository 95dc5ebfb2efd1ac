"""A DNS worker: an answer table, loops that respond from it, and the feed that renews it.

It never waits for the control process: with nothing on the feed it starts from the last
snapshot on disk, and it responds from what it has until something newer comes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrdns.core.connection_limits import TcpLimits
from rrdns.core.rate_limit import RateLimitState
from rrdns.core.snapshot import Snapshot, SnapshotDelta
from rrdns.errors import StoreFailed
from rrdns.net.server.loop import Loop
from rrdns.net.server.tcp import TcpLoop
from rrdns.net.server.udp import UdpLoop
from rrdns.service.publish.worker_channel import read_message
from rrdns.service.runtime.heartbeat import Heartbeat
from rrdns.service.runtime.log_setup import flush, get_log
from rrdns.service.runtime.served_zones import ServedZones
from rrdns.shm.counters import Counters
from rrdns.store.last_snapshot import SnapshotFile
from rrdns.wire import worker_protocol
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.dns.server_info import DEFAULT_SERVER_INFO, ServerInfo

BEAT_INTERVAL = 0.5
FEED_TIMEOUT = 0.3  # how long a starting worker waits for the feed before it looks on disk
RECONNECT_INTERVAL = 0.1
# Seconds: how long building a table, or one long query over TCP, may keep the UDP loop waiting.
SWITCH_INTERVAL = 0.0005


@dataclass(frozen=True, slots=True)
class WorkerParams:
    """All that a worker is given at its start."""

    number: int
    udp: tuple[socket.socket, ...]
    tcp: tuple[socket.socket, ...]
    limits: TcpLimits
    feed: str  # the address of the control process's Unix socket
    snapshot_path: Path | None
    counters: Counters  # where it counts, and the turns that it shares with other workers
    server_info: ServerInfo = DEFAULT_SERVER_INFO
    rate_limit: RateLimitState | None = None  # None: no rate is limited
    served: ServedZones | None = None  # None: whatever is on disk is this rrdns's
    restarted: bool = True  # False: with the whole service, so the feed brings nothing for a while


class Worker:
    """The parts of a worker."""

    def __init__(self, plan: WorkerParams) -> None:
        self._plan = plan
        plan.counters.segment.register_process()
        nothing = AnswerTable.build(Snapshot(), plan.counters, server_info=plan.server_info)
        self._answers = CurrentTable(nothing)
        self._has_table = asyncio.Event()
        loops = [UdpLoop(sock, self._answers, self._defect, plan.rate_limit) for sock in plan.udp]
        tcp = TcpLoop(plan.tcp, self._answers, plan.limits, self._defect)
        self._loops: list[Loop] = [*loops, tcp]
        self._threads = [
            threading.Thread(target=loop.run, name=f"dns-{index}", daemon=True)
            for index, loop in enumerate(self._loops)
        ]
        self._log = get_log()

    async def run(self, heartbeat: Heartbeat, stopping: asyncio.Event) -> None:
        """Answer until `stopping` is set."""
        duties = [
            self._follow_feed(),
            self._start_answering(heartbeat),
            self._run_heartbeat(heartbeat),
        ]
        tasks = [asyncio.create_task(self._never_failing(job)) for job in duties]
        await stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stop()

    async def _start_answering(self, heartbeat: Heartbeat) -> None:
        try:
            patience = FEED_TIMEOUT if self._plan.restarted else 0.0
            await asyncio.wait_for(self._has_table.wait(), patience)
        except TimeoutError:
            self._load_last_snapshot()
        await self._has_table.wait()
        for thread in self._threads:
            thread.start()
        heartbeat.ready()

    async def _stop(self) -> None:
        for loop in self._loops:
            loop.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1.0)

    def _load_last_snapshot(self) -> None:
        """Start from the disk: the control process is not there."""
        if self._plan.snapshot_path is None or self._has_table.is_set():
            return
        try:
            remembered = SnapshotFile(self._plan.snapshot_path).load()
        except StoreFailed as error:
            self._log.error("the last good snapshot cannot be read", because=str(error))
            return
        if remembered is None or not remembered.snapshot.serial:
            return
        if self._plan.served is None or self._plan.served.include(remembered.snapshot.zones):
            self._log.warning("answering from disk", serial=remembered.snapshot.serial)
            self._apply(remembered.snapshot)
        else:
            self._log.error(
                "the last good snapshot is another rrdns's",
                file=str(self._plan.snapshot_path),
                zones=[zone.name for zone in remembered.snapshot.zones],
                so="nothing is answered until the control process is there",
            )

    async def _follow_feed(self) -> None:
        """Take what the control process publishes, for as long as this process runs."""
        while True:
            with suppress(EOFError, ConnectionError, FileNotFoundError):
                await self._follow_once()
            await asyncio.sleep(RECONNECT_INTERVAL)

    async def _follow_once(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._plan.feed)
        try:
            writer.write(
                worker_protocol.encode(
                    worker_protocol.Hello(self._plan.number, self._serial, os.getpid())
                )
            )
            while True:
                message = await read_message(reader)
                if isinstance(message, SnapshotDelta) and message.serial != self._serial + 1:
                    return  # one was missed: a new connection begins with the whole
                if isinstance(message, Snapshot | SnapshotDelta):
                    self._apply(message)
                    writer.write(worker_protocol.encode(worker_protocol.Applied(self._serial)))
        finally:
            writer.close()

    def _apply(self, news: Snapshot | SnapshotDelta) -> None:
        """Answer from this news on; no more is encoded than what it changes."""
        table = self._answers.table
        if isinstance(news, SnapshotDelta):
            self._answers.table = table.with_delta(news)
        else:
            self._answers.table = AnswerTable.build(news, before=table)
        self._has_table.set()

    @property
    def _serial(self) -> int:
        return self._answers.table.snapshot.serial

    async def _run_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Beat only while every loop does: what hangs there is a hung worker."""
        seen = [-1.0 for _ in self._loops]
        while True:
            await asyncio.sleep(BEAT_INTERVAL)
            beats = [loop.heartbeat for loop in self._loops]
            # A thread that has ended still has an ident.
            started = bool(self._threads) and self._threads[0].ident is not None
            if not started or all(now != before for now, before in zip(beats, seen, strict=True)):
                heartbeat.alive()
                seen = beats

    def _defect(self, error: BaseException, datagram: bytes) -> None:
        self._log.error("a query broke the responder", query=datagram[:512].hex(), exc_info=error)

    async def _never_failing(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a duty that must not fail; a defect in one ends the process, and a new one comes."""
        try:
            await job
        except Exception:  # noqa: BLE001 - logged, and the end of the process
            self._log.critical("a duty of the worker broke", exc_info=True)
            flush()
            os._exit(1)


def main(plan: WorkerParams, heartbeat: Heartbeat, parent_pipe: int) -> None:
    """Be a worker until SIGTERM, or until the supervisor is gone."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_main(plan, heartbeat, parent_pipe))


async def _main(plan: WorkerParams, heartbeat: Heartbeat, parent_pipe: int) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_reader(parent_pipe, stopping.set)
    await Worker(plan).run(heartbeat, stopping)
