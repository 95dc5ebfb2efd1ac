"""Millions of mutants: rrdns takes them in, and is afterwards as it was before."""

from __future__ import annotations

import socket
import statistics
import time
from pathlib import Path

import pytest

from rrdns.core.health.probe_result import ProbeDepth
from tests.e2e.farm import Rrdns
from tests.fuzz.mutate import Mutator
from tests.fuzz.seeds import IDENT, inputs
from tests.fuzz.targets import TARGETS
from tests.wire import sample_zones

DATAGRAMS = 10_000_000
REPLIES = 1_000_000
FLIGHT = 128  # mutants under way: what a receive buffer of the usual size can hold
GROWTH_BYTES = 8 * 1024 * 1024
QUERY = IDENT + sample_zones.query("boot.pvs.example.test")[2:]


@pytest.mark.long
@pytest.mark.alone
def test_ten_million_mutated_datagrams_leave_a_worker_as_it_was(tmp_path: Path) -> None:
    """Each is taken in; none breaks anything, memory stays, and good queries are as quick."""
    mutator = Mutator(list(inputs("dns").values()), seed=time.time_ns())
    farm = Rrdns(tmp_path, members=[("pvs-1", "127.0.0.1")])
    farm.write_config()
    farm.start()
    try:
        worker = farm.pids()["worker-0"]
        _flood(farm.dns_port, mutator, DATAGRAMS // 20)  # the memos are full
        before, quick = _resident_bytes(worker), _median_answer(farm.dns_port)
        _flood(farm.dns_port, mutator, DATAGRAMS - DATAGRAMS // 20)
        assert _kernel_drops(farm.dns_port) == 0, "some were never taken in"
        assert farm.pids()["worker-0"] == worker, "the worker was replaced"
        assert _resident_bytes(worker) < before + GROWTH_BYTES
        assert _median_answer(farm.dns_port) < 3 * quick + 0.001
    finally:
        farm.stop()
    assert "broke" not in farm.log.read_text()


@pytest.mark.long
@pytest.mark.longest
def test_a_million_tftp_replies_upset_no_probe() -> None:
    """Each input is a course of replies, read by a light and by a full probe."""
    run = TARGETS["tftp"]()
    mutator = Mutator(list(inputs("tftp").values()), seed=time.time_ns())
    for _ in range(REPLIES // len(ProbeDepth)):
        data = mutator.next()
        try:
            run(data)
        except Exception as error:
            raise AssertionError(f"broken by {data.hex()}") from error


def _flood(port: int, mutator: Mutator, count: int) -> None:
    """Send mutants, and wait behind each flight until the worker has seen all of it."""
    with _client(port) as sender, _client(port) as asker:
        flight = [mutator.next() for _ in range(FLIGHT)]
        for _ in range(count // FLIGHT + 1):
            for datagram in flight:
                sender.send(datagram)
            asker.send(QUERY)
            flight = [mutator.next() for _ in range(FLIGHT)]
            assert asker.recv(512)[:2] == IDENT


def _median_answer(port: int) -> float:
    """Return how many seconds a good query takes."""
    with _client(port) as asker:
        return statistics.median(_answer_time(asker) for _ in range(500))


def _answer_time(asker: socket.socket) -> float:
    begun = time.perf_counter()
    asker.send(QUERY)
    assert asker.recv(512)[3] & 15 == 0
    return time.perf_counter() - begun


def _client(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    return sock


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def _kernel_drops(port: int) -> int:
    """Return how many datagrams found the receive buffer full (proc(5))."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if f":{port:04X} 00000000:0000" in line)
