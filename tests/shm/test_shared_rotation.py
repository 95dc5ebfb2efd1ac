"""Counters that workers share: exact while all live, and nobody waits for the dead."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import threading
import time
from unittest.mock import MagicMock

import pytest

from rrdns.shm import shared_rotation
from rrdns.shm.rotation_counter import RotationCounters
from rrdns.shm.segment import CELLS
from rrdns.shm.shared_rotation import LOCK_TIMEOUT, SharedRotationCounters
from tests.peers import wait_until


@pytest.mark.parametrize("kind", [RotationCounters, SharedRotationCounters])
def test_turns_rise_by_what_is_taken(kind: type[RotationCounters]) -> None:
    """Slot by slot, first and last included."""
    turns = kind()
    assert [turns.take(0), turns.take(0), turns.take(1), turns.peek(0)] == [0, 1, 0, 2]
    assert turns.take(CELLS - 1) == 0


@pytest.mark.parametrize("kind", [RotationCounters, SharedRotationCounters])
def test_a_loop_holds_the_turns_for_a_batch(kind: type[RotationCounters]) -> None:
    """Others go on when it lets go; to let go twice, or of nothing, is no harm."""
    rotation = kind()
    mine, others = rotation.turns(), rotation.turns()
    mine.release()
    for turns in (mine, others, mine):
        if not turns.held:
            turns.hold()
        turns.counters[3] += 1
        turns.release()
        turns.release()
    assert rotation.take(3) == 3


def test_a_loop_that_waits_in_vain_goes_on_without_the_mutex(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And leaves it to its holder."""
    monkeypatch.setattr(shared_rotation, "LOCK_TIMEOUT", 0.01)
    rotation = SharedRotationCounters()
    holder, other = rotation.turns(), rotation.turns()
    holder.hold()
    other.hold()
    assert other.held
    other.release()
    assert not rotation._mutex.acquire()
    holder.release()
    assert rotation._mutex.acquire()
    rotation._mutex.release()  # the C library keeps a list of the robust mutexes of a thread


def test_threads_of_a_worker_hold_each_other_up_no_longer_than_it_takes() -> None:
    """One that is held up between lock and unlock needs the interpreter to go on."""
    turns = SharedRotationCounters()
    lock, wait = turns._mutex.acquire, turns._mutex._timed
    waits: list[float] = []

    def lock_and_be_held_up() -> bool:
        held = lock()
        time.sleep(0.001)  # another thread gets the interpreter
        return held

    def wait_and_be_timed(*args: object) -> int:
        began = time.monotonic()
        failed = int(wait(*args))
        waits.append(time.monotonic() - began)
        return failed

    turns._mutex.acquire = lock_and_be_held_up  # type: ignore[method-assign]
    turns._mutex._timed = wait_and_be_timed  # type: ignore[assignment]
    threads = [
        threading.Thread(target=lambda: [turns.take(1) for _ in range(20)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits
    assert max(waits) < LOCK_TIMEOUT / 2
    assert turns.peek(1) == 60


def test_a_mutex_that_cannot_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """pthread_mutex_init returns an error number: EAGAIN where the system lacks resources."""
    libc = MagicMock()
    libc.pthread_mutex_init.return_value = errno.EAGAIN
    monkeypatch.setattr(ctypes, "PyDLL", lambda _: libc)
    with pytest.raises(BlockingIOError):
        SharedRotationCounters()


def test_processes_that_race_lose_no_turn() -> None:
    """Four processes take 10,000 turns each of one slot."""
    turns = SharedRotationCounters()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            for _ in range(10_000):
                turns.take(5)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert turns.take(5) == 40_000


def test_a_dead_holder_is_survived() -> None:
    """The mutex of a process that died with it is taken over."""
    turns = SharedRotationCounters()
    child = os.fork()
    if child == 0:
        turns._mutex.acquire()
        os._exit(0)
    os.waitpid(child, 0)
    assert [turns.take(1) for _ in range(3)] == [0, 1, 2]
    assert turns._mutex.acquire()
    turns._mutex.release()


def test_a_stopped_holder_is_waited_for_once_and_no_more() -> None:
    """Turns go on without the mutex, and with it again when its holder is gone."""
    turns = SharedRotationCounters()
    child = os.fork()
    if child == 0:
        turns._mutex.acquire()
        turns.take(9)  # sees itself as the holder, waits in vain, and counts
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(1)
    wait_until(lambda: turns.counters[9] == 1, what="held")
    os.waitpid(child, os.WUNTRACED)
    began = time.monotonic()
    assert [turns.take(1) for _ in range(100)] == list(range(100))
    assert time.monotonic() - began < 1.0  # once 50 ms, and not a hundred times
    assert not turns._mutex.acquire()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert turns._mutex.acquire()
    turns._mutex.release()


def test_who_waits_for_another_process_holds_up_no_other_thread() -> None:
    """A worker beats, and serves TCP, while one of its loops waits for a holder off its core."""
    turns, lived, done = SharedRotationCounters(), list[float](), threading.Event()
    child = os.fork()
    if child == 0:
        turns._mutex.acquire()
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(1)
    os.waitpid(child, os.WUNTRACED)

    def live() -> None:
        while not done.wait(LOCK_TIMEOUT / 20):
            lived.append(time.monotonic())

    thread = threading.Thread(target=live)
    thread.start()
    try:
        began = time.monotonic()
        assert turns.take(1) == 0
        ended = time.monotonic()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        done.set()
        thread.join()
    assert ended - began >= LOCK_TIMEOUT * 0.9
    assert len([at for at in lived if began < at < ended]) >= 3
