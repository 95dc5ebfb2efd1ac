"""Whose turn it is, and how often each answer was given.

A turn is taken for every answer, so that the turns are the count; over the turns of a pool
each address stands first equally often. The counts are words of memory that outlives the
worker; one assignment is whole under the interpreter's lock, and the threads of a worker
share these objects.
"""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from rrdns.core.rate_limit import ResponseClass
from rrdns.shm.counters import UNANSWERED, CounterReader, CounterWriter, ResponseCounts
from rrdns.shm.segment import FIRSTS, REPEATS, CounterSegment

NOT_SHARED = -1


class SharedRotation(Protocol):
    """Counters that several workers share."""

    def take(self, slot: int, count: int = 1) -> int:
        """Return the next turn of a slot, and keep `count` turns from there for the caller."""
        ...

    def peek(self, slot: int) -> int:
        """Return the next turn of a slot."""
        ...


def response_class_of(kind: str) -> int:
    """Return which account a kind of answer, such as "nodata/noerror", is taken from."""
    name, _, rcode = kind.partition("/")
    if name in ("nodata", "nxdomain"):
        return ResponseClass.NEGATIVES
    return ResponseClass.ANSWERS if rcode == "noerror" else ResponseClass.ERRORS


class RotationCounter:
    """The turns of one kind of answer: of a pool's addresses, or of an answer that never turns.

    `turn` is a plain integer, and `cells[cell]` the same for who comes after us: whoever sets
    one sets the other, with no call in between, so that no other thread gets in.
    """

    __slots__ = (
        "addresses",
        "cell",
        "cells",
        "kind",
        "pool",
        "response_class",
        "size",
        "slot",
        "turn",
    )

    def __init__(
        self,
        kind: str,
        pool: str,
        addresses: tuple[str, ...],
        *,
        turn: int,
        slot: int,
        writer: CounterWriter,
    ) -> None:
        self.kind = kind
        self.response_class = response_class_of(kind)
        self.pool = pool
        self.addresses = addresses
        self.size = len(addresses) or 1
        self.turn = turn
        self.slot = slot  # where workers share the turns; ALONE where `turn` is all there is
        self.cells = writer.cells
        self.cell = writer.allocate(kind, pool, addresses, turn, shared=slot >= 0)

    def advance(self, turns: SharedRotation | None, count: int = 1) -> int:
        """Return the next turn; it and the `count` - 1 behind it are nobody else's."""
        cells, cell = self.cells, self.cell
        if self.slot < 0 or turns is None:
            turn = self.turn
            cells[cell] = self.turn = turn + count
            return turn
        turn = turns.take(self.slot, count)
        cells[cell] = turn + count
        rounds, rest = divmod(count, self.size)
        for step in range(min(count, self.size)):
            cells[cell + FIRSTS + (turn + step) % self.size] += rounds + (step < rest)
        return turn

    def count_retransmit(self) -> None:
        """Count an answer to a query that was sent again, which takes no turn."""
        self.cells[self.cell + REPEATS] += 1

    def next_turn(self, turns: SharedRotation | None) -> int:
        """Return the next turn, which is whoever's takes it first."""
        return self.turn if self.slot < 0 or turns is None else turns.peek(self.slot)


class CounterRegistry:
    """What a worker answers; successive tables share one."""

    def __init__(self, pages: CounterSegment | None = None) -> None:
        self._pages = pages or CounterSegment()
        self.cells = self._pages.cells
        self._writer = CounterWriter(self._pages)
        self._kinds: dict[str, RotationCounter] = {}
        self._opening = Lock()  # loops meet new kinds while the worker builds a table
        self._nothing = self.counter(UNANSWERED)

    def counter(self, name: str) -> RotationCounter:
        """Return the counter of a kind of answer, such as "nxdomain/nxdomain"."""
        with self._opening:
            found = self._kinds.get(name)
            if found is None:
                found = RotationCounter(name, "", (), turn=0, slot=NOT_SHARED, writer=self._writer)
                self._kinds[name] = found
            return found

    def pool_counter(
        self, pool: str, addresses: tuple[str, ...], *, turn: int = 0, slot: int = NOT_SHARED
    ) -> RotationCounter:
        """Return the turns of a pool's addresses, which go on from a turn."""
        with self._opening:
            return RotationCounter(
                "a/noerror", pool, addresses, turn=turn, slot=slot, writer=self._writer
            )

    def last_turn(self, pool: str) -> int:
        """Return the turn of a pool that the process before this one came to; 0 without any."""
        return self._writer.turns.get(pool, 0)

    def release(self, rotation: RotationCounter) -> None:
        """Keep what a rotation has counted, and what the table before still counts on it."""
        with self._opening:
            self._writer.release(rotation.cell)

    def count_unanswered(self, count: int = 1) -> None:
        """Count datagrams that got no answer, and answers that could not be sent."""
        self._nothing.advance(None, count)

    @property
    def dropped(self) -> int:
        """Return how many datagrams got no answer."""
        return self._nothing.turn

    def counts(self) -> ResponseCounts:
        """Return all counts."""
        return CounterReader(self._pages).counts()
