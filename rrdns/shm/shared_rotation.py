"""What several workers share: the turns of the pools, and the buckets of the rate limit.

A mutex makes the rotation exact over all of them. A worker that dies or is
stopped while it holds the mutex must not block the others: the mutex is robust, and a worker
that has waited once in vain does not wait again until it gets the mutex. Meanwhile it takes
turns without it. Some turns may then be given twice; nothing else happens.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import time
from collections.abc import Callable
from functools import partial

from rrdns.core.rate_limit import RATE_BUCKETS, RateBuckets
from rrdns.shm.rotation_counter import RotationCounters, Turns

# Seconds to wait for the mutex: a crowded host keeps a holder off its core for a tenth of one.
LOCK_TIMEOUT = 0.25
_TRIES = 20
_MUTEX_BYTES = 128  # pthread_mutex_t and its attributes are smaller everywhere
_PTHREAD_PROCESS_SHARED = 1
_PTHREAD_MUTEX_ROBUST = 1


class SharedRotationCounters(RotationCounters):
    """The next turn of each pool, by its slot, for several workers."""

    def __init__(self) -> None:
        super().__init__()
        self._mutex = _Mutex(mmap.mmap(-1, _MUTEX_BYTES))

    def turns(self) -> Turns:
        """Return the turns as one thread takes them."""
        return SharedTurns(self.counters, self._mutex)

    def take(self, slot: int) -> int:
        """Return the next turn of a slot, which no other response gets."""
        held = self._mutex.acquire()
        turn = super().take(slot)
        if held:
            self._mutex.release()
        return turn


class SharedTurns(Turns):
    """How a loop takes turns that other workers take too: one lock for a batch of responses."""

    __slots__ = ("_is_locked", "_mutex")

    def __init__(self, counters: memoryview, mutex: _Mutex) -> None:
        super().__init__(counters)
        self.held = self._is_locked = False
        self._mutex = mutex

    def hold(self) -> None:
        """Keep other workers from taking turns, if the mutex can be had in time."""
        self._is_locked = self._mutex.acquire()
        self.held = True

    def release(self) -> None:
        """Let other workers take turns."""
        self.held = False
        if self._is_locked:
            self._is_locked = False
            self._mutex.release()


def shared_rate_buckets() -> RateBuckets:
    """Return the buckets of networks, shared with every process forked after this.

    No mutex guards them: two workers that count in one bucket at once may count one response
    instead of two, and a flood is still over its limit.
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
        self._try: Callable[[], int] = partial(libc.pthread_mutex_trylock, self._mutex)
        self.release: Callable[[], int] = partial(libc.pthread_mutex_unlock, self._mutex)
        self._recover = libc.pthread_mutex_consistent
        self._wait_long = True
        # This call waits, and lets other threads run (CDLL): the holder may be a thread of this
        # process that needs the interpreter. It uses the monotonic clock (glibc 2.30): if the wall
        # clock is set back meanwhile, it would wait for hours.
        self._timed = ctypes.CDLL(None).pthread_mutex_clocklock

    def acquire(self) -> bool:
        """Lock; return whether that succeeded in time."""
        for _ in range(_TRIES if self._wait_long else 1):
            failed = self._try()
            if not failed:
                self._wait_long = True
                return True
            if failed != errno.EBUSY:
                return self._got(failed)
        if not self._wait_long:
            return False
        until = time.monotonic() + LOCK_TIMEOUT
        deadline = _Timespec(int(until), int(until % 1 * 1e9))
        return self._got(self._timed(self._mutex, time.CLOCK_MONOTONIC, ctypes.byref(deadline)))

    def _got(self, failed: int) -> bool:
        if failed == errno.EOWNERDEAD:  # its holder died; a counter is whole or not written
            self._recover(self._mutex)
            failed = 0
        self._wait_long = failed == 0
        return self._wait_long


class _Timespec(ctypes.Structure):
    """struct timespec."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))
