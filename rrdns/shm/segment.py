"""The memory that one worker counts in: an array of counters that outlives its processes.

Control allots the counters (`shm/slots.py`), workers count in them, control adds them up. A
response is counted before it is sent: a worker that is killed has counted every response that
a client received.
"""

from __future__ import annotations

import mmap

CELLS = 1 << 20  # enough for 100,000 pools of four members, and as many that were removed
_WORD = 8
# Pages that no process writes to take no memory, and none is set aside for them.
_SHARED = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)


def shared_words(count: int) -> memoryview:
    """Return so many 64-bit numbers, all 0, shared with every process forked from here on."""
    return memoryview(mmap.mmap(-1, _WORD * count, flags=_SHARED)).cast("Q")


class CounterSegment:
    """The counters of one worker."""

    __slots__ = ("_header", "cells")

    def __init__(self) -> None:
        words = shared_words(CELLS + 1)
        self.cells = words[:CELLS]
        self._header = words[CELLS:]

    @property
    def starts(self) -> int:
        """Return how many processes have counted here, one after the other."""
        return int(self._header[0])

    def register_process(self) -> None:
        """Note that a process begins to count here."""
        self._header[0] += 1
