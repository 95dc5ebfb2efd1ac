"""The memory that a worker counts in, as rows of cells, and what each row counts.

A count is one word of memory (a cell). A row tells what its cells count; rows stand in a
journal. The journal has two halves, and one word says which is in force: whoever dies while a
new edition is written leaves the one before.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CELLS = 1 << 20  # enough for 65,536 pools of four members, and as much again that is retired
HALF_BYTES = 16 << 20  # of the journal, for as many rows
_WORD = 8
_HEADER = 8  # words
_STARTS, _EDITION, _LENGTHS = 0, 1, 2  # in the header; the lengths are those of both halves
SEGMENT_BYTES = _WORD * (_HEADER + CELLS) + 2 * HALF_BYTES
_LENGTH_BYTES = 4  # before each entry of the journal
TURN, REPEATS, FIRSTS = 0, 1, 2  # a row's cells
# Pages that nobody writes to take no memory, and none is set aside for them.
_SHARED = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)


@dataclass(frozen=True, slots=True)
class CounterRow:
    """What the cells from one on count: the answers of one kind, in the order of their turns."""

    cell: int
    start: int  # the turn that it began with
    shared: bool  # the turns are those of several workers: first places are counted one by one
    kind: str
    pool: str
    addresses: tuple[str, ...]

    def entry(self) -> list[Any]:
        """Return it as an entry of the journal."""
        return [self.cell, self.start, self.shared, self.kind, self.pool, self.addresses]

    @property
    def count(self) -> int:
        """Return how many cells it has."""
        return FIRSTS + (len(self.addresses) if self.shared else 0)

    def responses(self, cells: memoryview) -> int:
        """Return how many answers are counted, without the repeated ones."""
        if self.shared:
            first = self.cell + FIRSTS
            return sum(cells[first : first + len(self.addresses)])
        return int(cells[self.cell]) - self.start

    def retransmits(self, cells: memoryview) -> int:
        """Return how many answers to a query that was sent again are counted."""
        return int(cells[self.cell + REPEATS])

    def first_counts(self, cells: memoryview) -> dict[str, int]:
        """Return how often each address stood first."""
        first, size = self.cell + FIRSTS, len(self.addresses)
        if self.shared:
            return dict(zip(self.addresses, cells[first : first + size], strict=True))
        if not size:
            return {}
        rounds, rest = divmod(self.responses(cells), size)
        begin = self.start % size
        return {
            address: rounds + ((index - begin) % size < rest)
            for index, address in enumerate(self.addresses)
        }


class CounterSegment:
    """The memory of one worker, in its parts; what no process wrote is zero."""

    __slots__ = ("cells", "halves", "header")

    def __init__(self) -> None:
        """Take memory that is shared with every process forked from here on."""
        room = memoryview(mmap.mmap(-1, SEGMENT_BYTES, flags=_SHARED))
        cells_end = _WORD * (_HEADER + CELLS)
        self.header = room[: _WORD * _HEADER].cast("Q")
        self.cells = room[_WORD * _HEADER : cells_end].cast("Q")
        middle = cells_end + HALF_BYTES
        self.halves = room[cells_end:middle], room[middle:]

    @property
    def generation(self) -> int:
        """Return which edition of the journal is in force."""
        return int(self.header[_EDITION])

    @property
    def starts(self) -> int:
        """Return how many processes have counted here, one after the other."""
        return int(self.header[_STARTS])

    def register_process(self) -> None:
        """Note that a process begins to count here."""
        self.header[_STARTS] += 1

    def read(self, edition: int, at: int) -> tuple[list[Any], int]:
        """Return the entries of an edition from a place on, and where they end."""
        half, end = self.halves[edition & 1], self.header[_LENGTHS + (edition & 1)]
        entries = []
        while at < end:
            begin = at + _LENGTH_BYTES
            at = begin + int.from_bytes(half[at:begin], "big")
            entries.append(json.loads(bytes(half[begin:at])))
        return entries, at

    def append(self, value: object) -> bool:
        """Add an entry to the edition in force; False where it has no room."""
        which = self.generation & 1
        at, entry = self.header[_LENGTHS + which], _entry(value)
        if at + len(entry) > len(self.halves[which]):
            return False
        self.halves[which][at : at + len(entry)] = entry
        self.header[_LENGTHS + which] = at + len(entry)
        return True

    @property
    def capacity(self) -> int:
        """Return how many bytes an edition may have."""
        return len(self.halves[0])

    def written(self) -> int:
        """Return how many bytes the edition in force has."""
        return int(self.header[_LENGTHS + (self.generation & 1)])

    def start_generation(self, values: Iterable[object]) -> bool:
        """Put a new edition in force; False, and all as before, where it has no room."""
        text, which = b"".join(map(_entry, values)), (self.generation + 1) & 1
        if len(text) > len(self.halves[which]):
            return False
        self.halves[which][: len(text)] = text
        self.header[_LENGTHS + which] = len(text)
        self.header[_EDITION] += 1  # one word: who reads sees all of it or nothing
        return True


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _entry(value: object) -> bytes:
    text = _encode(value).encode()
    return len(text).to_bytes(_LENGTH_BYTES, "big") + text
