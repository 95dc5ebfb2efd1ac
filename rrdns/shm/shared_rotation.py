"""Turns that all workers share, so that the rotation is exact over all of them.

One anonymous mapping, made before the workers are forked, holds a counter per pool and
one mutex. A worker that dies or is stopped while it holds the mutex must not hold up the
others: the mutex is robust, and whoever has waited once in vain waits no more until it has
the mutex again. It takes its turns without it meanwhile: some may then be given twice, and
that is all.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import time
from collections.abc import Callable

from rrdns.core.rate_limit import RATE_BUCKETS, RateBuckets

SLOTS = 65_536
# Seconds to wait for the mutex: a crowded host keeps a holder off its core for a tenth of one.
LOCK_TIMEOUT = 0.25
_TRIES = 20
_MUTEX_BYTES = 128  # pthread_mutex_t and its attributes are smaller everywhere
_PTHREAD_PROCESS_SHARED = 1
_PTHREAD_MUTEX_ROBUST = 1


class SharedRotationCounters:
    """One counter per slot, shared with every process forked after it was made.

    Pools beyond `SLOTS` share one with another pool: each of their turns is still nobody else's.
    """

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _MUTEX_BYTES + 8 * SLOTS)
        self._counters = memoryview(self._map)[_MUTEX_BYTES:].cast("Q")
        self._mutex = _Mutex(self._map)

    def take(self, slot: int, count: int = 1) -> int:
        """Return the next turn of a slot, and keep `count` turns from there for the caller."""
        counters, slot = self._counters, slot % SLOTS
        held = self._mutex.acquire()
        turn = counters[slot]
        counters[slot] = (turn + count) & 0x7FFF_FFFF_FFFF_FFFF
        if held:
            self._mutex.release()
        return turn

    def peek(self, slot: int) -> int:
        """Return the next turn of a slot: one word of memory, read without the mutex."""
        return self._counters[slot % SLOTS]


def shared_rate_buckets() -> RateBuckets:
    """Return the accounts of networks, shared with every process forked after this.

    No mutex guards them: two workers that take from one account at once may take one response
    instead of two, and a flood that does so is in debt all the same.
    """
    return memoryview(mmap.mmap(-1, 8 * RATE_BUCKETS)).cast("d")


class _Mutex:
    """A process-shared, robust pthread mutex in a mapping."""

    def __init__(self, room: mmap.mmap) -> None:
        # PyDLL keeps the interpreter's lock: these calls are too short to give it away.
        libc = ctypes.PyDLL(None)
        self._memory = (ctypes.c_char * _MUTEX_BYTES).from_buffer(room)
        self._mutex = ctypes.c_void_p(ctypes.addressof(self._memory))
        attributes = ctypes.create_string_buffer(64)
        libc.pthread_mutexattr_init(attributes)
        libc.pthread_mutexattr_setpshared(attributes, _PTHREAD_PROCESS_SHARED)
        libc.pthread_mutexattr_setrobust(attributes, _PTHREAD_MUTEX_ROBUST)
        failed = libc.pthread_mutex_init(self._mutex, attributes)
        if failed:
            raise OSError(failed, os.strerror(failed))
        self._try: Callable[[ctypes.c_void_p], int] = libc.pthread_mutex_trylock
        # This one waits, and lets other threads run (CDLL): a worker must not stand still for a
        # holder off its core, and the holder may be another thread here that needs the interpreter.
        # It counts on the monotonic clock (glibc 2.30), as a wall clock that is set back meanwhile
        # would make it wait for hours.
        self._timed = ctypes.CDLL(None).pthread_mutex_clocklock
        self._unlock: Callable[[ctypes.c_void_p], int] = libc.pthread_mutex_unlock
        self._recover = libc.pthread_mutex_consistent
        self._wait_long = True

    def acquire(self) -> bool:
        """Lock, and tell whether that succeeded in time."""
        for _ in range(_TRIES if self._wait_long else 1):
            failed = self._try(self._mutex)
            if failed != errno.EBUSY:
                return self._got(failed)
        if not self._wait_long:
            return False
        until = time.monotonic() + LOCK_TIMEOUT
        deadline = _Timespec(int(until), int(until % 1 * 1e9))
        return self._got(self._timed(self._mutex, time.CLOCK_MONOTONIC, ctypes.byref(deadline)))

    def release(self) -> None:
        """Unlock."""
        self._unlock(self._mutex)

    def _got(self, failed: int) -> bool:
        if failed == errno.EOWNERDEAD:  # its holder died; a counter is whole or not written
            self._recover(self._mutex)
            failed = 0
        self._wait_long = failed == 0
        return self._wait_long


class _Timespec(ctypes.Structure):
    """struct timespec."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))
