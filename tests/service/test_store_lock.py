"""One rrdns at a time uses a store, whatever becomes of the lock's file."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rrdns.core.model import Nameserver, Zone
from rrdns.errors import StoreFailed
from rrdns.service.processes import store_lock
from rrdns.service.processes.store_lock import StoreInUse, StoreLock
from rrdns.service.runtime.served_zones import ServedZones

HOLDER = """
import sys, time
from pathlib import Path
from rrdns.service.processes.store_lock import StoreLock
lock = StoreLock(Path(sys.argv[1]))
lock.take()
print("held", flush=True)
time.sleep(60)
"""


class Time:
    """A clock that runs while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def a_lock(store: Path) -> tuple[StoreLock, Time]:
    time = Time()
    return StoreLock(store, time, time.sleep), time


@contextmanager
def a_holder(store: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_second_is_told_who_has_the_store_and_what_to_do(tmp_path: Path) -> None:
    """By whatever path it comes there."""
    (tmp_path / "link").symlink_to(tmp_path)
    with a_holder(tmp_path / "rrdns.db") as holder:
        for path in (tmp_path / "rrdns.db", tmp_path / "link" / ".." / tmp_path.name / "rrdns.db"):
            lock, time = a_lock(path)
            with pytest.raises(StoreInUse) as caught:
                lock.take()
            assert f"process {holder.pid} on " in str(caught.value)
            assert "a store.path of its own" in str(caught.value)
            assert time.now >= store_lock.TAKE_TIMEOUT
        holder.send_signal(signal.SIGKILL)
        holder.wait(5)
        a_lock(tmp_path / "rrdns.db")[0].take()  # nothing to delete by hand


def test_one_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    """As at a restart of the service."""
    store = tmp_path / "rrdns.db"
    with a_holder(store) as holder:
        time = Time()

        def sleep(seconds: float) -> None:
            time.now += seconds
            holder.kill()
            holder.wait(5)

        StoreLock(store, time, sleep).take()
        assert 0 < time.now < 1


def test_a_lock_whose_file_was_taken_away_is_taken_again(tmp_path: Path) -> None:
    """Else whoever clears the folder would let a second one in."""
    store = tmp_path / "rrdns.db"
    lock, time = a_lock(store)
    lock.take()
    lock.path.unlink()
    lock.keep()
    assert not lock.path.exists(), "looked before it was time"
    time.now += store_lock.CHECK_INTERVAL
    lock.keep()
    assert f"process {os.getpid()} on " in lock.path.read_text()
    with pytest.raises(StoreInUse):
        a_lock(store)[0].take()
    lock.path.rename(tmp_path / "elsewhere")
    tmp_path.chmod(0o700)
    time.now += store_lock.CHECK_INTERVAL
    lock.keep()
    with pytest.raises(StoreInUse):
        a_lock(store)[0].take()


def test_a_second_one_that_slipped_in_is_told_of_once(tmp_path: Path) -> None:
    """Between the file's removal and the next look."""
    store = tmp_path / "rrdns.db"
    lock, time = a_lock(store)
    lock.take()
    lock.path.unlink()
    with a_holder(store), capture_logs() as lines:
        for _ in range(3):
            time.now += store_lock.CHECK_INTERVAL
            lock.keep()
    assert [line["event"] for line in lines] == ["another rrdns uses the store"]


def test_a_folder_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    """The control process tells of it; the lock comes back with the folder."""
    folder = tmp_path / "state"
    folder.mkdir()
    lock, time = a_lock(folder / "rrdns.db")
    lock.take()
    lock.path.unlink()
    folder.rmdir()
    time.now += store_lock.CHECK_INTERVAL
    lock.keep()
    with pytest.raises(StoreFailed):
        a_lock(folder / "rrdns.db")[0].take()
    folder.mkdir()
    time.now += store_lock.CHECK_INTERVAL
    lock.keep()
    assert lock.path.exists()


def test_a_file_system_without_locks_is_told_of_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(store_lock, "_file_system", lambda _: "nfs4")
    with capture_logs() as lines:
        a_lock(tmp_path / "rrdns.db")[0].take()
    assert [line["event"] for line in lines] == [
        "the store cannot be locked",
        "the store is on a network file system",
    ]

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(StoreFailed, match="Input/output error"):
        a_lock(tmp_path / "rrdns.db")[0].take()


def test_the_type_of_a_file_system_is_known() -> None:
    """From the kernel's list of mounts."""
    assert store_lock._file_system(Path("/proc/self/status")) == "proc"


def zone(name: str) -> Zone:
    return Zone(
        name=name, nameservers=(Nameserver("ns.example.test"),), hostmaster="h.example.test"
    )


def test_a_snapshot_of_other_zones_is_not_this_ones() -> None:
    """But for those that were served until the last reload: the disk may lag behind."""
    served = ServedZones([zone("a.test"), zone("b.test")])
    assert served.include([zone("b.test"), zone("a.test")])
    assert not served.include([zone("a.test")])
    served.replace([zone("c.test")])
    served.replace([zone("c.test")])
    assert served.include([zone("c.test")])
    assert served.include([zone("a.test"), zone("b.test")])
    served.replace([zone("d.test")])
    assert not served.include([zone("a.test"), zone("b.test")])
