"""Where a worker counts: in memory that outlives it, so that no count dies with its process.

A count is written before the answer that it counts is sent: a worker that is killed has
counted every answer that anybody received. When a journal has grown, what is over is summed up
in a new edition of it. Control only reads.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rrdns.shm.segment import FIRSTS, TURN, CounterRow, CounterSegment

_WORTH_RENEWING = 64 * 1024  # bytes of rows since the edition began
_TRIES = 5
_SPARE_SHARE = 8  # of the cells, the last eighth is for all rows that find no room, of any size
UNANSWERED = ""  # the kind of what got no answer

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class ResponseCounts:
    """What a worker has counted over all its processes; it never counts down."""

    queries: dict[str, int] = field(default_factory=dict)  # by "kind/rcode"
    turns: dict[str, dict[str, int]] = field(
        default_factory=dict
    )  # pool -> address -> first places
    dropped: int = 0


class Totals:
    """Counts that are being summed up."""

    def __init__(self, text: Sequence[Any] = ({}, {})) -> None:
        queries, turns = text
        self.queries: Counter[str] = Counter(queries)
        self.turns: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for pool, firsts in turns.items():
            self.turns[pool].update(firsts)

    def add(self, row: CounterRow, cells: memoryview) -> None:
        """Add what a row has counted."""
        total = row.responses(cells) + row.retransmits(cells)
        if total:
            self.queries[row.kind] += total
        if row.pool and total:
            self.turns[row.pool].update(row.first_counts(cells))

    def entry(self) -> list[Any]:
        """Return them as an entry of the journal."""
        return [self.queries, self.turns]

    def counts(self) -> ResponseCounts:
        """Return them as of now."""
        queries = dict(self.queries)
        dropped = queries.pop(UNANSWERED, 0)
        turns = {pool: dict(firsts) for pool, firsts in self.turns.items()}
        return ResponseCounts(queries, turns, dropped)


class CounterWriter:
    """A worker's hand: it opens rows, and closes them."""

    def __init__(self, pages: CounterSegment) -> None:
        self._pages = pages
        self.cells = pages.cells
        self._rows: dict[int, CounterRow] = {}  # by their first cell
        self._closed: dict[int, int] = {}  # first cell -> what it had at the last edition
        self._resting: list[CounterRow] = []  # summed up in the last edition
        self._free: defaultdict[int, list[int]] = defaultdict(list)  # first cells, by their number
        self._unused = 0  # the first cell that no row had yet
        before = CounterReader(pages)
        self._sums = before.sums()  # of the processes before this one
        self.turns = before.turns()  # pool -> the turn that the one before came to
        pages.register_process()
        pages.start_generation([self._sums.entry()])
        self._limit = 2 * pages.written() + _WORTH_RENEWING  # bytes, before the next edition

    def allocate(
        self, kind: str, pool: str, addresses: tuple[str, ...], start: int, *, shared: bool
    ) -> int:
        """Return the first cell of a new row; where no room is left, of one that nobody reads."""
        if self._pages.written() > self._limit:
            self._renew()
        count = FIRSTS + (len(addresses) if shared else 0)
        cell = self._allot(count)
        row = CounterRow(cell, start, shared, kind, pool, addresses)
        self.cells[cell] = start
        for other in range(cell + 1, cell + count):
            self.cells[other] = 0
        if cell < self._unused and self._pages.append(row.entry()):
            self._rows[cell] = row
        return cell

    def release(self, cell: int) -> None:
        """Note that a row will be counted in no more, but by who has not heard of it yet."""
        if cell in self._rows:
            self._closed[cell] = -1

    def _allot(self, count: int) -> int:
        if self._free[count]:
            return self._free[count].pop()
        cells = len(self.cells)
        if self._unused + count > cells - cells // _SPARE_SHARE:
            return cells - count
        self._unused += count
        return self._unused - count

    def _renew(self) -> None:
        """Write a new edition, in which the rows that stand still are summed up.

        A loop may be in the middle of a batch with the table before, and still count there:
        a row has to stand still for an edition, and its cells rest for another.
        """
        for row in self._resting:
            self._free[row.count].append(row.cell)
        self._resting = []
        for cell, before in list(self._closed.items()):
            row = self._rows[cell]
            total = row.responses(self.cells) + row.retransmits(self.cells)
            self._closed[cell] = total
            if total == before:
                self._sums.add(row, self.cells)
                self._resting.append(self._rows.pop(cell))
                del self._closed[cell]
        closed = [row.entry() for cell, row in self._rows.items() if cell in self._closed]
        lasting = [row.entry() for cell, row in self._rows.items() if cell not in self._closed]
        # Without room for another edition this one is the last, and no cell is used again.
        self._limit = self._pages.capacity
        if self._pages.start_generation([self._sums.entry(), *closed, *lasting]):
            # The next one is due when as much has been opened again as will last.
            share = len(lasting) / (len(closed) + len(lasting) or 1)
            written = self._pages.written()
            self._limit = written + max(int(written * share), _WORTH_RENEWING)


class CounterReader:
    """Control's eye: it reads what a worker has counted, also one that is no more."""

    def __init__(self, pages: CounterSegment) -> None:
        self._pages = pages
        self._edition = -1
        self._at = 0
        self._base = Totals().entry()
        self._rows: list[CounterRow] = []
        self._of_pool: defaultdict[str, list[CounterRow]] = defaultdict(list)

    @property
    def starts(self) -> int:
        """Return how many processes have counted here, one after the other."""
        return self._pages.starts

    def counts(self) -> ResponseCounts:
        """Return all that was counted."""
        return self.sums().counts()

    def sums(self) -> Totals:
        """Return all that was counted, to add to it."""
        return self._read_consistent(lambda: self._sum(self._rows))

    def queries(self) -> dict[str, int]:
        """Return how many queries were counted, by "kind/rcode"; NOTHING for the unanswered."""
        return self._read_consistent(self._queries)

    def first_counts(self, pool: str) -> dict[str, int]:
        """Return how often each address of a pool stood first."""

        def read() -> dict[str, int]:
            firsts = Counter(self._base[1].get(pool, {}))
            for row in self._of_pool.get(pool, ()):
                firsts.update(row.first_counts(self._pages.cells))
            return dict(firsts)

        return self._read_consistent(read)

    def next_turn(self, pool: str) -> int | None:
        """Return a pool's next turn, as far as this worker knows."""

        def read() -> int | None:
            rows = self._of_pool.get(pool)
            return int(self._pages.cells[rows[-1].cell + TURN]) if rows else None

        return self._read_consistent(read)

    def turns(self) -> dict[str, int]:
        """Return the next turn of every pool, as far as this worker knows."""
        cells = self._pages.cells
        return self._read_consistent(
            lambda: {pool: int(cells[rows[-1].cell + TURN]) for pool, rows in self._of_pool.items()}
        )

    def _queries(self) -> dict[str, int]:
        cells, queries = self._pages.cells, Counter(self._base[0])
        for row in self._rows:
            queries[row.kind] += row.responses(cells) + row.retransmits(cells)
        return dict(+queries)

    def _sum(self, rows: Iterable[CounterRow]) -> Totals:
        sums = Totals(self._base)
        for row in rows:
            sums.add(row, self._pages.cells)
        return sums

    def _read_consistent(self, read: Callable[[], _Told]) -> _Told:
        """Return what is read while no page was turned."""
        for _ in range(_TRIES):
            try:
                self._catch_up()
            except ValueError:  # the half was written anew under our eyes
                self._edition = -1
            told = read()
            if self._pages.generation == self._edition:
                break
        return told

    def _catch_up(self) -> None:
        edition = self._pages.generation
        if edition != self._edition:
            self._edition, self._at = edition, 0
            self._base, self._rows = Totals().entry(), []
            self._of_pool.clear()
        entries, self._at = self._pages.read(edition, self._at)
        for entry in entries:
            self._take(entry)

    def _take(self, entry: list[Any]) -> None:
        if len(entry) == len(self._base):
            self._base = entry
            return
        cell, start, shared, kind, pool, addresses = entry
        row = CounterRow(cell, start, shared, kind, pool, tuple(addresses))
        self._rows.append(row)
        if pool:
            self._of_pool[pool].append(row)
