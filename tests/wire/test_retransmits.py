"""Retransmitted queries are known for two seconds, in bounded memory."""

from __future__ import annotations

from rrdns.wire.answers.retransmits import MAX_ENTRIES, WINDOW, RetransmitFilter


class Pool:
    """A pool that gives turns as the responder does."""

    def __init__(self, retransmits: RetransmitFilter, slot: int = 1) -> None:
        self.retransmits, self.slot, self.next_turn = retransmits, slot, 0

    def turn(self, source: bytes, now: float) -> int:
        """Return the turn of a query at a time."""
        if now >= self.retransmits.ends:
            self.retransmits.begin_window(now)
        if now >= self.retransmits.busy_until:
            found = self.retransmits.find(source, self.slot, now)
            if found is not None:
                return found
            self.retransmits.remember(source, self.slot, self.next_turn, now)
        self.next_turn += 1
        return self.next_turn - 1


def test_a_repeat_within_two_seconds_takes_no_turn() -> None:
    """Wherever in a window the first one came; two seconds later it is a new query."""
    for start in (100.0, 100.5, 101.9):
        retransmits = RetransmitFilter()
        pool = Pool(retransmits)
        retransmits.begin_window(100.0)
        assert pool.turn(b"a", start) == 0
        assert pool.turn(b"b", start) == 1
        assert pool.turn(b"a", start + 1.99) == 0
        assert pool.turn(b"a", start + WINDOW) == 2
        assert pool.next_turn == 3


def test_another_pool_is_another_query() -> None:
    """One ID may ask for two names."""
    retransmits = RetransmitFilter()
    one, two = Pool(retransmits, 1), Pool(retransmits, 2)
    assert one.turn(b"a", 1.0) == 0
    assert two.turn(b"a", 1.0) == 0
    assert one.turn(b"b", 1.0) == 1


def test_a_full_window_watches_no_more_until_it_ends() -> None:
    """What is remembered is bounded, for any queries."""
    retransmits = RetransmitFilter()
    pool = Pool(retransmits)
    for number in range(5 * MAX_ENTRIES):
        assert pool.turn(number.to_bytes(4, "big"), 10.0) == number
    assert len(retransmits._now) == MAX_ENTRIES
    assert pool.turn(bytes(4), 11.9) == 5 * MAX_ENTRIES
    assert pool.turn(b"new", 12.1) == 5 * MAX_ENTRIES + 1
    assert pool.turn(b"new", 12.2) == 5 * MAX_ENTRIES + 1
    assert pool.turn(b"late", 99.0) == 5 * MAX_ENTRIES + 2
    assert not retransmits._before
