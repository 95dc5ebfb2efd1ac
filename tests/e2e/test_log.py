"""A log that nobody reads costs lines, and holds up nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.farm import Rrdns, Tftpd, a_farm, seconds_until
from tests.peers import wait_until

DROPPED = 'rrdns_log_dropped_total{process="control"}'
F_SETPIPE_SZ = 1031
WRONG = "".join(f'wrong{number} = "{"x" * 60}"\n' for number in range(400))


@contextmanager
def printing_to(fd: int, folder: Path) -> Iterator[tuple[Rrdns, dict[str, Tftpd]]]:
    """Run a farm whose rrdns prints to a descriptor."""
    try:
        with a_farm(folder, size=2, ttl=1, first_host=41, output=fd) as (rrdns, servers):
            yield rrdns, servers
    finally:
        os.close(fd)


def say_much(rrdns: Rrdns, dropped: float = 0.0) -> None:
    """Have the control process write more than anything buffers, by a config with mistakes."""
    assert rrdns.process is not None
    right = rrdns.config.read_text()
    rrdns.config.write_text(WRONG + right)

    def lost_some() -> bool:
        assert rrdns.process is not None
        rrdns.process.send_signal(signal.SIGHUP)
        return rrdns.metric(DROPPED) > dropped

    wait_until(lost_some, what="dropping lines")
    rrdns.config.write_text(right)


@pytest.mark.long
def test_a_pipe_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    """Probes, orders, restarts and the end go on; who reads again is told what is missing."""
    read_fd, write_fd = os.pipe()
    fcntl.fcntl(write_fd, F_SETPIPE_SZ, 4096)
    with printing_to(write_fd, tmp_path) as (rrdns, servers):
        say_much(rrdns)

        servers["pvs-2"].stop()
        alone = seconds_until(lambda: rrdns.addresses() == [servers["pvs-1"].address], 4.0)
        assert alone < 3.0
        servers["pvs-2"].start()
        wait_until(lambda: len(rrdns.addresses()) == 2, what="back")
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {"reason": "patch"})
        assert rrdns.addresses() == [servers["pvs-2"].address]
        os.kill(rrdns.pids()["worker-0"], signal.SIGKILL)
        wait_until(lambda: rrdns.metric('rrdns_worker_restarts_total{worker="0"}') == 1)
        assert rrdns.addresses_at_last() == [servers["pvs-2"].address]

        wait_until(lambda: rrdns.metric('rrdns_log_dropped_total{process="control"}') > 0)
        lines = _read_until(read_fd, "lines were dropped")
        event = json.loads(lines[-1])
        assert event["event"] == f"{event['dropped']:,} lines were dropped"
        assert event["dropped"] == rrdns.metric(DROPPED)
        assert (event["process"], event["level"]) == ("control", "warning")
        assert all(json.loads(line) for line in lines), "lines are torn"

        say_much(rrdns, dropped=event["dropped"])
        assert rrdns.process is not None
        rrdns.process.terminate()
        began = time.monotonic()
        assert rrdns.process.wait(5) == 0
        assert time.monotonic() - began < 2.5
    os.close(read_fd)


def test_a_stopped_terminal_holds_up_nothing(tmp_path: Path) -> None:
    """Ctrl-S in `rrdns serve`: orders go on, and so does a stop."""
    master, slave = pty.openpty()
    with printing_to(slave, tmp_path) as (rrdns, servers):
        say_much(rrdns)
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {"reason": "patch"})
        assert rrdns.addresses() == [servers["pvs-2"].address]
        assert rrdns.process is not None
        rrdns.process.terminate()
        assert rrdns.process.wait(5) == 0
    os.close(master)


def _read_until(fd: int, wanted: str) -> list[str]:
    """Return the lines of a pipe up to the one that has `wanted`."""
    text = b""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            text += os.read(fd, 65536)
        lines = text.decode().split("\n")[:-1]
        for number, line in enumerate(lines):
            if wanted in line:
                return lines[: number + 1]
    raise AssertionError(f"{wanted!r} is not in {text[-2000:].decode()}")
