"""What responses are counted as, and how control reads the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import NamedTuple

from rrdns.core.rate_limit import ResponseClass
from rrdns.shm.rotation_counter import RotationCounters
from rrdns.shm.segment import CounterSegment

NO_TURN = -1
Labels = tuple[str, str]  # kind and RCODE


class ResponseKind(Enum):
    """The kinds of responses, each with the labels of its metric.

    A kind has three counters: of responses, and of the truncated and the dropped ones among
    those that the rate limit withheld.
    """

    A = "a", "noerror"  # with counters of the members and the pool, if they have some
    A_SERVFAIL = "a", "servfail"
    A_SILENT = "a", "silent"
    NODATA = "nodata", "noerror"
    NXDOMAIN = "nxdomain", "nxdomain"
    SOA = "soa", "noerror"
    NS = "ns", "noerror"
    NAMESERVER = "nameserver", "noerror"
    ANY = "any", "noerror"
    CHAOS = "chaos", "noerror"
    COOKIE = "cookie", "noerror"
    PROHIBITED = "prohibited", "refused"
    FORMERR = "formerr", "formerr"
    SERVFAIL = "servfail", "servfail"
    NOTIMP = "notimp", "notimp"
    REFUSED = "refused", "refused"
    NOTAUTH = "notauth", "notauth"
    BADVERS = "badvers", "badvers"
    BADCOOKIE = "badcookie", "badcookie"

    def __init__(self, label: str, rcode: str) -> None:
        self.label = label
        self.responses = 3 * len(type(self).__members__)  # these three: where it is counted
        self.slipped = self.responses + 1
        self.dropped = self.responses + 2
        if label in ("nodata", "nxdomain"):
            self.response_class = ResponseClass.NEGATIVES
        else:
            is_answer = rcode == "noerror"
            self.response_class = ResponseClass.ANSWERS if is_answer else ResponseClass.ERRORS

    def labels(self) -> tuple[tuple[int, Labels], ...]:
        """Return where this kind is counted, each with its labels."""
        return (
            (self.responses, self.value),
            (self.slipped, (self.label, "slipped")),
            (self.dropped, (self.label, "dropped")),
        )


UNANSWERED = 3 * len(ResponseKind)  # where datagrams without a response are counted
FIRST_SLOT = UNANSWERED + 1  # from here on the counters that control allots
SPARE_SLOT = ResponseKind.A.responses  # of members and pools without a counter of their own


class RotationCounter(NamedTuple):
    """Where the turns of a response are, and for each turn where it is counted."""

    kind: ResponseKind
    slot: int  # of the pool: its turns, and its responses to retransmitted queries
    cells: tuple[int, ...]  # of the members in the order of their turns
    size: int
    response_class: int  # of the rate limit


@cache
def counter_of(kind: ResponseKind) -> RotationCounter:
    """Return the counter of a kind of response that does not rotate."""
    return RotationCounter(kind, NO_TURN, (kind.responses,), 1, kind.response_class)


def pool_counter(slot: int, members: tuple[int, ...]) -> RotationCounter:
    """Return the counter of a pool with these members in rotation, by their slots."""
    return RotationCounter(
        ResponseKind.A, slot, members, len(members), ResponseKind.A.response_class
    )


@dataclass(frozen=True, slots=True)
class Counters:
    """What a worker counts in, and the turns that it takes."""

    segment: CounterSegment = field(default_factory=CounterSegment)
    rotation: RotationCounters = field(default_factory=RotationCounters)

    def count_unanswered(self, count: int = 1) -> None:
        """Count datagrams that got no response, and responses that could not be sent."""
        self.segment.cells[UNANSWERED] += count

    def take(self, counter: RotationCounter) -> int:
        """Count a response, and return which of its turns it has."""
        slot, cells, size = counter.slot, counter.cells, counter.size
        turn = self.rotation.take(slot) % size if slot >= 0 else 0
        self.segment.cells[cells[turn]] += 1
        return turn


class CounterReader:
    """Adds up what all workers have counted."""

    def __init__(self, segments: Sequence[CounterSegment]) -> None:
        self._cells = [segment.cells for segment in segments]

    def count(self, slot: int) -> int:
        """Return what is counted in one slot."""
        return sum(cells[slot] for cells in self._cells)

    def clear(self, slot: int) -> None:
        """Set a slot back to 0; no worker may still count in it."""
        for cells in self._cells:
            cells[slot] = 0

    def queries(self, end: int, retired: int = 0) -> Mapping[Labels, int]:
        """Return the responses by kind and RCODE; slots are in use up to before `end`.

        `retired`: responses of members whose slots were set back.
        """
        found: Counter[Labels] = Counter()
        for kind in ResponseKind:
            for cell, labels in kind.labels():
                found[labels] += self.count(cell)
        found[ResponseKind.A.value] += retired
        for cells in self._cells:
            found[ResponseKind.A.value] += sum(cells[FIRST_SLOT:end])
        return +found

    def unanswered(self) -> int:
        """Return how many datagrams got no response."""
        return self.count(UNANSWERED)
