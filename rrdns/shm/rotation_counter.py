"""The turns of the pools, in memory that outlives the workers."""

from __future__ import annotations

from rrdns.shm.segment import CELLS, shared_words


class RotationCounters:
    """The next turn of each pool, by its slot, for a worker alone.

    The threads of a worker need no lock: the interpreter switches threads at calls and at the
    ends of loops, and there is neither between reading a turn and writing the next.
    """

    def __init__(self) -> None:
        self.counters = shared_words(CELLS)

    def turns(self) -> Turns:
        """Return the turns as one thread takes them."""
        return Turns(self.counters)

    def take(self, slot: int) -> int:
        """Return the next turn of a slot, which no other response gets."""
        turn = self.counters[slot]
        self.counters[slot] = turn + 1
        return turn

    def peek(self, slot: int) -> int:
        """Return the next turn of a slot."""
        return self.counters[slot]


class Turns:
    """How a loop takes turns that no other worker takes: it reads one and writes the next.

    `counters` may be used while `held`.
    """

    __slots__ = ("counters", "held")

    def __init__(self, counters: memoryview) -> None:
        self.counters = counters
        self.held = True

    def hold(self) -> None:
        """Keep other workers from taking turns."""

    def release(self) -> None:
        """Let other workers take turns."""
