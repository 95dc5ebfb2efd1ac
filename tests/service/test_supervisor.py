"""Who falls is started again, who hangs is replaced, and nothing outlives the supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rrdns.service.processes.supervisor import FIRST_DELAY, MAX_DELAY, restart_delay
from tests.peers import wait_until

PROGRAM = """
import os, signal, sys, time
from functools import partial
from pathlib import Path
from rrdns.service.runtime.log_writer import DropCounters
from rrdns.service.runtime.log_setup import set_up
from rrdns.service.processes.supervisor import Child, Supervisor

folder = Path(sys.argv[1])
fork = os.fork

def fork_where_there_is_room():
    if (folder / "no-room").exists():
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()

waitpid = os.waitpid

def wait_as_in_the_kernel(pid, options):
    while (folder / "kept").exists():  # no signal ends who waits for a disk
        if options & os.WNOHANG:
            return 0, 0
        time.sleep(0.1)
    return waitpid(pid, options)

def work(name, restarted, beat, lifeline):
    starts = folder / f"{name}.starts"
    with starts.open("a") as out:
        out.write(f"{os.getpid()} {restarted}\\n")
    while (folder / f"{name}.slow").exists():
        time.sleep(0.02)
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    signal.signal(signal.SIGHUP, lambda *_: (folder / "hup").write_text(name))
    beat.ready()
    while not stop:
        beat.alive()
        time.sleep(0.02)
        if (folder / f"{name}.hopeless").exists():
            sys.exit(78)

def child(name):
    early = name.startswith("worker")
    return Child(name, lambda restarted: partial(work, name, restarted), 1.0, early=early)

def prepare():
    end = time.monotonic() + 5
    while not (folder / "worker-0.starts").exists() and time.monotonic() < end:
        time.sleep(0.01)  # it works already, unless it could not be started
    (folder / "prepared").write_text(str((folder / "control.starts").exists()))

def enter():
    with (folder / "entered").open("a") as out:
        out.write(f"{os.getpid()}\\n")

os.fork = fork_where_there_is_room
os.waitpid = wait_as_in_the_kernel
def duty():
    while (folder / "hang").exists():
        time.sleep(0.02)

set_up("json", process="supervisor", drops=DropCounters(("supervisor",)))
children = [child("control"), child("worker-0")]
sys.exit(Supervisor(children, enter=enter, prepare=prepare, job=duty).run())
"""


@contextmanager
def supervised(
    folder: Path, log_to: Path | None = None, **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a supervisor with two children that note each start."""
    with (log_to or folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            stdout=log,
            stderr=log,
            env={**os.environ, **env},
        )
    try:
        wait_until(lambda: len(starts(folder, "control")) == 1, what="started")
        wait_until(lambda: len(starts(folder, "worker-0")) == 1, what="started")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(5)


def starts(folder: Path, name: str) -> list[tuple[int, bool]]:
    """Return (process id, was it a restart) for each start of a child so far."""
    file = folder / f"{name}.starts"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(line.split()[0]), line.split()[1] == "True") for line in lines]


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_workers_work_while_the_rest_is_prepared(tmp_path: Path) -> None:
    """The control process is started after that, and each child enters by itself, a restart too."""
    with supervised(tmp_path):
        assert (tmp_path / "prepared").read_text() == "False"
        os.kill(starts(tmp_path, "worker-0")[0][0], signal.SIGKILL)
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, what="started again")
        entered = {int(line) for line in (tmp_path / "entered").read_text().splitlines()}
        began = [*starts(tmp_path, "worker-0"), *starts(tmp_path, "control")]
        assert entered == {pid for pid, _ in began}


def test_a_child_that_is_killed_is_back_within_a_second(tmp_path: Path) -> None:
    """The first fall is made good at once, and the child knows that it is a restart."""
    with supervised(tmp_path):
        os.kill(starts(tmp_path, "worker-0")[0][0], signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, what="started again")
        assert time.monotonic() - killed < 1.0
        assert [restarted for _, restarted in starts(tmp_path, "worker-0")] == [False, True]
        assert len(starts(tmp_path, "control")) == 1


def test_a_child_that_keeps_falling_is_started_ever_more_slowly(tmp_path: Path) -> None:
    """Back-off: the pauses grow."""
    with supervised(tmp_path):
        for count in (1, 2, 3):
            wait_until(lambda count=count: len(starts(tmp_path, "worker-0")) == count)  # type: ignore[misc]  # bound now
            os.kill(starts(tmp_path, "worker-0")[-1][0], signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 4)
        assert time.monotonic() - killed > 0.15


def test_the_pause_before_a_start_grows_up_to_a_bound() -> None:
    """Also for a child that has been falling for days."""
    pauses = [restart_delay(failures) for failures in range(5_000)]
    assert pauses[:4] == [0.0, 0.0, FIRST_DELAY, 2 * FIRST_DELAY]
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_DELAY


def test_a_child_is_started_when_there_is_room_for_it_again(tmp_path: Path) -> None:
    """No process to be had (fork(2), EAGAIN): the others go on, and it is tried again."""
    with supervised(tmp_path) as process:
        (tmp_path / "no-room").touch()
        os.kill(starts(tmp_path, "worker-0")[0][0], signal.SIGKILL)
        tried = "a process cannot be started"
        wait_until(lambda: (tmp_path / "log").read_text().count(tried) > 2, what="tried")
        assert process.poll() is None
        (tmp_path / "no-room").unlink()
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, what="started again")
        assert len(starts(tmp_path, "control")) == 1


@pytest.mark.parametrize("log", ["/dev/full", "pipe"])
def test_a_log_that_takes_nothing_ends_no_process(tmp_path: Path, log: str) -> None:
    """A full disk, or a reader that is gone, costs log lines."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with supervised(tmp_path, log_to=tmp_path / log) as process:
        os.close(reader)
        os.kill(starts(tmp_path, "worker-0")[0][0], signal.SIGKILL)
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, what="started again")
        assert process.poll() is None
        assert len(starts(tmp_path, "control")) == 1


def test_who_stood_still_together_is_not_taken_for_hung(tmp_path: Path) -> None:
    """A paused virtual machine: children that ran as little as the supervisor keep running."""
    with supervised(tmp_path) as process:
        pids = [starts(tmp_path, name)[0][0] for name in ("worker-0", "control")]
        for pid in (process.pid, *pids):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2.3)  # longer than a child may be silent
        for pid in (process.pid, *pids):
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.1)
        assert all(is_alive(pid) for pid in pids)
        assert "hangs" not in (tmp_path / "log").read_text()


def test_a_child_that_hangs_is_replaced(tmp_path: Path) -> None:
    """A stopped process does not beat."""
    with supervised(tmp_path):
        hung = starts(tmp_path, "worker-0")[0][0]
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, what="replaced")
        assert not is_alive(hung)


def test_a_start_may_take_longer_than_a_beat(tmp_path: Path) -> None:
    """A large config on a slow host: killed for it, the child would never get through."""
    with supervised(tmp_path):
        (tmp_path / "control.slow").touch()
        os.kill(starts(tmp_path, "control")[0][0], signal.SIGKILL)
        wait_until(lambda: len(starts(tmp_path, "control")) == 2, what="started again")
        time.sleep(1.5)  # longer than it may be silent afterwards
        (tmp_path / "control.slow").unlink()
        (tmp_path / "control.starts").rename(tmp_path / "before")
        time.sleep(0.5)
        assert starts(tmp_path, "control") == []


def test_nothing_outlives_a_killed_supervisor_not_even_a_stopped_child(tmp_path: Path) -> None:
    """Otherwise somebody would hold the port against a restart."""
    with supervised(tmp_path) as process:
        pids = [starts(tmp_path, name)[0][0] for name in ("worker-0", "control")]
        os.kill(pids[0], signal.SIGSTOP)
        process.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in pids), what="gone")


def test_sigterm_ends_everything_cleanly_within_two_seconds(tmp_path: Path) -> None:
    """Exit status 0, and nobody is left."""
    with supervised(tmp_path) as process:
        pids = [starts(tmp_path, name)[0][0] for name in ("worker-0", "control")]
        process.terminate()
        began = time.monotonic()
        assert process.wait(5) == 0
        assert time.monotonic() - began < 2.0
        assert not any(is_alive(pid) for pid in pids)


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """A stopped child cannot act on SIGTERM; the supervisor ends in time all the same."""
    with supervised(tmp_path) as process:
        stopped = starts(tmp_path, "worker-0")[0][0]
        os.kill(stopped, signal.SIGSTOP)
        process.terminate()
        assert process.wait(5) == 0
        assert not is_alive(stopped)


def test_sighup_reaches_the_control_process_alone(tmp_path: Path) -> None:
    """Workers know no config."""
    with supervised(tmp_path) as process:
        process.send_signal(signal.SIGHUP)
        wait_until((tmp_path / "hup").exists, what="told")
        wait_until(lambda: (tmp_path / "hup").read_text() == "control")
        assert len(starts(tmp_path, "worker-0")) == 1


def test_a_reload_that_is_asked_for_too_early_is_not_lost(tmp_path: Path) -> None:
    """A control process that has only just been started cannot hear the signal yet."""
    with supervised(tmp_path) as process:
        (tmp_path / "control.slow").touch()
        os.kill(starts(tmp_path, "control")[0][0], signal.SIGKILL)
        wait_until(lambda: "fell" in (tmp_path / "log").read_text(), what="fallen")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert not (tmp_path / "hup").exists()
        (tmp_path / "control.slow").unlink()
        wait_until((tmp_path / "hup").exists, what="told")


def test_the_service_manager_hears_when_all_are_ready(tmp_path: Path) -> None:
    """sd_notify(3): READY=1 once, STOPPING=1 at the end."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        with supervised(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            assert manager.recv(100).startswith(b"READY=1")
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"


def test_a_duty_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    """The lock beside the store is looked at, which may be on a file server that hangs."""
    with supervised(tmp_path) as process:
        (tmp_path / "hang").touch()
        os.kill(starts(tmp_path, "worker-0")[0][0], signal.SIGKILL)
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, what="started again")
        os.kill(starts(tmp_path, "worker-0")[1][0], signal.SIGKILL)
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 3, what="started again")
        process.terminate()
        assert process.wait(5) == 0


def test_a_child_that_the_kernel_keeps_does_not_keep_the_supervisor(tmp_path: Path) -> None:
    """A disk that hangs: SIGTERM ends the service within 5 s, and the log says what is left."""
    with supervised(tmp_path) as process:
        (tmp_path / "kept").touch()
        process.terminate()
        assert process.wait(5) == 0
        assert "a process cannot be killed" in (tmp_path / "log").read_text()


def test_a_service_manager_that_reads_nothing_holds_up_nobody(tmp_path: Path) -> None:
    """Its socket is full: restarts and the end go on, and it hears of the start once it reads."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            other.connect(str(tmp_path / "notify"))
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.send(b"full")
        with supervised(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            time.sleep(0.7)  # it has tried
            os.kill(starts(tmp_path, "worker-0")[0][0], signal.SIGKILL)
            wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, what="started again")
            said = b"full"
            while said == b"full":
                said = manager.recv(100)
            assert said.startswith(b"READY=1")
            process.terminate()
            assert process.wait(5) == 0
