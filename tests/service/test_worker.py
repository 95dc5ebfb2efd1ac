"""A worker says that it lives only while all of it does."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rrdns.core.connection_limits import TcpLimits
from rrdns.core.model import Zone
from rrdns.core.snapshot import Snapshot
from rrdns.service.processes import worker
from rrdns.service.processes.worker import Worker, WorkerParams
from rrdns.service.runtime.heartbeat import Heartbeat
from rrdns.service.runtime.log_setup import set_up
from rrdns.service.runtime.served_zones import ServedZones
from rrdns.shm.counters import Counters
from rrdns.store.last_snapshot import SnapshotFile


class Ending:
    """A loop that ends at once, as by a defect."""

    heartbeat = 0.0

    def run(self) -> None:
        pass

    def stop(self) -> None:
        pass


class Ear(Heartbeat):
    """Where a worker's beats are counted."""

    def __init__(self) -> None:
        self.beats, self.answers = 0, asyncio.Event()

    def alive(self) -> None:
        self.beats += 1

    def ready(self) -> None:
        self.answers.set()


async def test_a_worker_whose_udp_loop_has_ended_beats_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor then replaces it, though all else in it goes on."""
    set_up("json")
    monkeypatch.setattr(worker, "UdpLoop", lambda *_: Ending())
    monkeypatch.setattr(worker, "BEAT_INTERVAL", 0.01)
    snapshot_file = SnapshotFile(tmp_path / "last-good.db")
    await snapshot_file.save(Snapshot(1), {})
    await snapshot_file.close()
    ear, stopping = Ear(), asyncio.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        plan = WorkerParams(0, (udp,), (), TcpLimits(), "\0nobody", snapshot_file.path, Counters())
        running = asyncio.create_task(Worker(plan).run(ear, stopping))
        await asyncio.wait_for(ear.answers.wait(), 5)
        assert ear.beats  # while it waited for something to answer from
        await asyncio.sleep(0.05)
        before = ear.beats
        await asyncio.sleep(0.2)
        assert ear.beats == before
        stopping.set()
        await running


async def test_a_worker_does_not_answer_from_a_snapshot_of_other_zones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would refuse its own names by it: another rrdns's store was copied here."""
    set_up("json")
    monkeypatch.setattr(worker, "FEED_TIMEOUT", 0.05)
    monkeypatch.setattr(worker, "UdpLoop", lambda *_: Ending())
    snapshot_file = SnapshotFile(tmp_path / "last-good.db")
    await snapshot_file.save(Snapshot(1), {})
    await snapshot_file.close()
    ear, stopping = Ear(), asyncio.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        here = ServedZones([Zone("pvs.example.test", (), "hostmaster.example.test")])
        plan = WorkerParams(
            0,
            (udp,),
            (),
            TcpLimits(),
            "\0nobody",
            snapshot_file.path,
            Counters(),
            served=here,
        )
        with capture_logs() as lines:
            running = asyncio.create_task(Worker(plan).run(ear, stopping))
            await asyncio.sleep(0.3)
        assert not ear.answers.is_set()
        assert "the last good snapshot is another rrdns's" in {line["event"] for line in lines}
        stopping.set()
        await running
