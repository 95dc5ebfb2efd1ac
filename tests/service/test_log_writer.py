"""Lines are written when they can be, and nobody waits for that."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rrdns.service.runtime.log_writer import (
    FLUSH_TIMEOUT,
    MAX_WAITING_BYTES,
    DropCounters,
    ErrorStream,
    LogWriter,
)
from tests.peers import wait_until

F_SETPIPE_SZ = 1031


def a_writer(fd: int) -> tuple[LogWriter, DropCounters]:
    """Return a writer that tells of dropped lines in short."""
    drops = DropCounters(("control",))

    def event(count: int, why: str) -> bytes:
        return f"dropped {count}: {why}\n".encode()

    return LogWriter(fd, drops.cells("control")[0], event, drops.turns), drops


def a_pipe() -> tuple[int, int]:
    """Return both ends of a pipe that holds one page."""
    read_fd, write_fd = os.pipe()
    fcntl.fcntl(write_fd, F_SETPIPE_SZ, 4096)
    return read_fd, write_fd


def read_until(fd: int, wanted: bytes) -> list[bytes]:
    """Return the lines of a pipe up to the one that is wanted."""
    text = b""
    while wanted not in text:
        text += os.read(fd, 65536)
    return text.splitlines()


def test_what_fits_no_more_is_dropped_counted_and_told_in_its_place() -> None:
    """A line is handed over at once; a reader that is back gets what waits, then the count."""
    read_fd, write_fd = a_pipe()
    writer, drops = a_writer(write_fd)
    writer.put(b"x" * 4095 + b"\n")
    assert writer.flush(5.0)  # the pipe is full
    began = time.monotonic()
    for number in range(5_000):
        writer.put(b"%06d %s\n" % (number, b"x" * 93))
    assert time.monotonic() - began < 1.0
    dropped = drops.totals()["control"]
    assert 0 < dropped <= 5_000 - MAX_WAITING_BYTES // 101
    lines = read_until(read_fd, b"dropped")
    assert lines[-1] == f"dropped {dropped}: nobody read them".encode()
    assert [int(line[:6]) for line in lines[1:-1]] == list(range(5_000 - dropped))
    writer.put(b"after\n")
    assert read_until(read_fd, b"after") == [b"after"]
    assert drops.totals() == {"control": dropped}


def test_new_lines_come_behind_the_count_of_those_before_them() -> None:
    """The order of the log is kept where lines are missing."""
    read_fd, write_fd = a_pipe()
    writer, drops = a_writer(write_fd)
    while not drops.totals()["control"]:
        writer.put(b"x" * 999 + b"\n")
    text = b""
    while text.count(b"\n") < 20:  # room for one more
        text += os.read(read_fd, 4096)
    before = drops.totals()["control"]
    wait_until(lambda: _fits(writer, drops), what="room")
    lines = text.splitlines() + read_until(read_fd, b"fits")
    told = next(at for at, line in enumerate(lines) if line.startswith(b"dropped"))
    assert told < lines.index(b"fits")
    assert int(lines[told].split()[1].rstrip(b":")) >= before


def _fits(writer: LogWriter, drops: DropCounters) -> bool:
    before = drops.totals()["control"]
    writer.put(b"fits\n")
    return drops.totals()["control"] == before


def test_what_fails_is_counted_and_told_when_it_works_again(tmp_path: Path) -> None:
    """A reader that is gone (EPIPE) costs lines; the next one is told how many."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer, drops = a_writer(os.open(fifo, os.O_WRONLY))
    os.close(reader)
    for _ in range(3):
        writer.put(b"lost\n")
        assert writer.flush(5.0)
    assert drops.totals() == {"control": 3}
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer.put(b"back\n")
    assert writer.flush(5.0)
    assert os.read(reader, 100) == b"back\ndropped 3: Broken pipe\n"


@pytest.mark.parametrize("target", ["/dev/full", "closed"])
def test_a_full_disk_and_a_closed_descriptor_cost_lines(target: str) -> None:
    """ENOSPC and EBADF are counted, and nothing is written elsewhere."""
    writer, drops = a_writer(-1 if target == "closed" else os.open(target, os.O_WRONLY))
    for _ in range(10):
        writer.put(b"lost\n")
    assert writer.flush(1.0)
    assert drops.totals() == {"control": 10}


def test_the_end_of_a_process_waits_for_a_moment_only() -> None:
    """What is read is written, and a reader that does not come is not waited for."""
    read_fd, write_fd = a_pipe()
    writer, _ = a_writer(write_fd)
    writer.put(b"x" * 4096)
    assert writer.flush(5.0)
    writer.put(b"more\n")
    began = time.monotonic()
    assert not writer.flush()
    assert FLUSH_TIMEOUT <= time.monotonic() - began < FLUSH_TIMEOUT + 1.0
    os.read(read_fd, 4096)
    assert writer.flush(1.0)


def test_a_descriptor_that_others_made_non_blocking_gets_every_line() -> None:
    """Who shares the open file (node, some shells) may set O_NONBLOCK on it."""
    read_fd, write_fd = a_pipe()
    os.set_blocking(write_fd, False)
    writer, drops = a_writer(write_fd)
    for number in range(200):
        writer.put(b"%03d %s\n" % (number, b"x" * 95))
    lines = read_until(read_fd, b"199 ")
    assert [int(line[:3]) for line in lines] == list(range(200))
    assert drops.totals() == {"control": 0}


def test_a_forked_child_writes_none_of_its_parents_lines() -> None:
    """What waits is written once."""
    read_fd, write_fd = a_pipe()
    writer, _ = a_writer(write_fd)
    writer.put(b"x" * 4095 + b"\n")
    assert writer.flush(5.0)
    writer.put(b"parent\n")
    began = time.monotonic()
    writer.pause()  # the thread is held up in write(2)
    assert time.monotonic() - began < 1.0
    child, _ = a_writer(write_fd)
    child.pause()
    child.put(b"parent's\n")
    child.after_fork_in_child()
    child.put(b"child\n")
    writer.go_on()
    lines = read_until(read_fd, b"child\n")
    if b"parent" not in lines:  # two threads wait at the pipe, and either may be the first
        lines += read_until(read_fd, b"parent\n")
    assert sorted(lines) == [b"child", b"parent", b"x" * 4095]
    writer.pause()
    writer.put(b"again\n")
    assert writer._thread is None
    writer.go_on()
    assert read_until(read_fd, b"again") == [b"again"]


def test_without_a_thread_to_be_had_lines_wait_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limit on processes ends none of ours."""
    read_fd, write_fd = a_pipe()
    writer, _ = a_writer(write_fd)

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", none)
        writer.put(b"first\n")
    writer.put(b"second\n")
    assert read_until(read_fd, b"second") == [b"first", b"second"]


def test_standard_error_is_lines_too() -> None:
    """A traceback comes in many small pieces."""
    read_fd, write_fd = a_pipe()
    writer, _ = a_writer(write_fd)
    stream = ErrorStream(writer, write_fd)
    print("Traceback:\n  File", "a.py", file=stream)
    stream.write("no end")
    stream.flush()
    assert read_until(read_fd, b"end\n") == [b"Traceback:", b"  File a.py", b"no end"]
    assert (stream.fileno(), stream.writable(), stream.isatty()) == (write_fd, True, False)


PROGRAM = """
import logging, os, sys, warnings
from rrdns.service.runtime.log_writer import DropCounters
from rrdns.service.runtime.log_setup import flush, get_log, set_up

drops = DropCounters(("control", *"abc"))
set_up("json", process="control", drops=drops)
"""


def test_processes_that_share_a_pipe_tear_none_of_their_lines() -> None:
    """Lines longer than what a pipe takes in one piece, too."""
    program = """
for name in "abc":
    if not os.fork():
        set_up("json", process=name, drops=drops)
        for _ in range(5):
            get_log().info(name * 20_000)
        writers = sys.modules["rrdns.service.runtime.log_setup"]._writers
        while not all(writer.flush(10) for writer in writers):
            pass
        os._exit(0)
for _ in "abc":
    os.wait()
"""
    read_fd, write_fd = a_pipe()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM + program], stdout=write_fd)
    os.close(write_fd)
    text = b""
    while part := os.read(read_fd, 1000):  # slowly, so that all of them stand at the full pipe
        text += part
    assert process.wait(5) == 0
    lines = text.decode().splitlines()
    assert len(lines) == 15
    assert sum('"%s"' % (name * 20_000) in line for name in "abc" for line in lines) == 15


def test_what_libraries_say_on_standard_error_waits_for_nobody() -> None:
    """Their logs, warnings and a traceback, to a pipe that nobody reads; the end does not wait."""
    program = """
for number in range(2_000):
    logging.getLogger("asyncio").error("x" * 200)
    warnings.warn(f"{number} is deprecated", stacklevel=1)
print(sum(drops.totals().values()))
sys.stdout.flush()
raise ValueError("a defect")
"""
    read_fd, write_fd = a_pipe()
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        stdout=subprocess.PIPE,
        stderr=write_fd,
        check=False,
        timeout=5,
    )
    assert ended.returncode == 1
    assert int(ended.stdout) > 100
    os.close(read_fd)
