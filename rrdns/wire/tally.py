"""Whose turn it is, and how often each answer was given.

A turn is taken for every answer, so that the turns are the count; over the turns of a pool
each address stands first equally often. All of this is plain integers: one assignment is
whole under the interpreter's lock, and the threads of a worker share these objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from rrdns.core.rates import Family
from rrdns.wire.feed import Counts

ALONE = -1


class Turns(Protocol):
    """Counters that several workers share."""

    def take(self, slot: int, count: int = 1) -> int:
        """Return the next turn of a slot, and keep `count` turns from there for the caller."""
        ...

    def peek(self, slot: int) -> int:
        """Return the next turn of a slot."""
        ...


def family_of(kind: str) -> int:
    """Return which account a kind of answer, such as "nodata/noerror", is taken from."""
    name, _, rcode = kind.partition("/")
    if name in ("nodata", "nxdomain"):
        return Family.NEGATIVES
    return Family.ANSWERS if rcode == "noerror" else Family.ERRORS


class Rotation:
    """The turns of one kind of answer: of a pool's addresses, or of an answer that never turns."""

    __slots__ = (
        "addresses",
        "family",
        "firsts",
        "kind",
        "pool",
        "repeats",
        "size",
        "slot",
        "start",
        "turn",
    )

    def __init__(
        self,
        kind: str,
        pool: str = "",
        addresses: tuple[str, ...] = (),
        *,
        turn: int = 0,
        slot: int = ALONE,
    ) -> None:
        self.kind = kind
        self.family = family_of(kind)
        self.pool = pool
        self.addresses = addresses
        self.size = len(addresses) or 1
        self.start = self.turn = turn
        self.slot = slot  # where workers share the turns; ALONE where `turn` is all there is
        self.repeats = 0  # retransmitted queries, which took no turn
        self.firsts = [0] * self.size  # per address, counted only where turns are shared

    def take(self, turns: Turns | None, count: int = 1) -> int:
        """Return the next turn; it and the `count` - 1 behind it are nobody else's."""
        if self.slot < 0 or turns is None:
            turn = self.turn
            self.turn = turn + count  # no call since the line above: no other thread got in
            return turn
        turn = turns.take(self.slot, count)
        for step in range(count):
            self.firsts[(turn + step) % self.size] += 1
        return turn

    def peek(self, turns: Turns | None) -> int:
        """Return the next turn, which is whoever's takes it first."""
        return self.turn if self.slot < 0 or turns is None else turns.peek(self.slot)

    def places(self) -> list[int]:
        """Return how often each address stood first since this rotation began."""
        rounds, rest = divmod(self.turn - self.start, self.size)
        first = self.start % self.size
        return [
            rounds + ((index - first) % self.size < rest) + shared
            for index, shared in enumerate(self.firsts)
        ]

    def total(self) -> int:
        """Return how many turns were taken since this rotation began."""
        return self.turn - self.start + sum(self.firsts)


class Ledger:
    """What a worker has answered since it started; successive tables share one."""

    def __init__(self) -> None:
        self.dropped = 0  # datagrams that got no answer
        self._kinds: dict[str, Rotation] = {}
        self._queries: Counter[str] = Counter()
        self._places: dict[str, Counter[str]] = {}
        self._retired: dict[Rotation, int] = {}  # with the total at the last look

    def kind(self, name: str) -> Rotation:
        """Return the counter of a kind of answer, such as "nxdomain/nxdomain"."""
        return self._kinds.setdefault(name, Rotation(name))

    def retire(self, rotation: Rotation) -> None:
        """Keep what a rotation has counted, and what the table before still counts on it."""
        self._retired[rotation] = -1

    def counts(self, rotations: Iterable[Rotation]) -> Counts:
        """Return all counts, with those of the rotations that are in use now."""
        self._settle()
        queries = Counter(self._queries)
        places = {pool: Counter(firsts) for pool, firsts in self._places.items()}
        for rotation in (*self._retired, *rotations):
            _add(rotation, queries, places)
        for kind in list(self._kinds.values()):
            queries[kind.kind] += kind.turn
        return Counts(
            queries=dict(+queries),
            turns={pool: dict(firsts) for pool, firsts in places.items()},
            dropped=self.dropped,
        )

    def _settle(self) -> None:
        """Fold in the retired rotations that have stood still since the last look.

        A loop may be in the middle of a batch with the table before, and still count there.
        """
        for rotation, before in list(self._retired.items()):
            total = rotation.total() + rotation.repeats
            if total == before:
                _add(rotation, self._queries, self._places)
                del self._retired[rotation]
            else:
                self._retired[rotation] = total


def _add(rotation: Rotation, queries: Counter[str], places: dict[str, Counter[str]]) -> None:
    total = rotation.total()
    if not total:
        return
    queries[rotation.kind] += total + rotation.repeats
    firsts = places.setdefault(rotation.pool, Counter())
    firsts.update(dict(zip(rotation.addresses, rotation.places(), strict=True)))
