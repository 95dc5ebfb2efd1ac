"""Retransmitted queries are known for two seconds, in bounded memory."""

from __future__ import annotations

from rrdns.net.server.retransmits import MAX_ENTRIES, WINDOW, RetransmitFilter
from rrdns.shm.rotation_counter import CounterRegistry, RotationCounter


def pool(members: int = 3) -> RotationCounter:
    """Return the turns of a pool."""
    return CounterRegistry().pool_counter("boot", tuple(f"10.0.0.{n}" for n in range(members)))


def turn(repeats: RetransmitFilter, who: bytes, rotation: RotationCounter, now: float) -> int:
    """Return the turn of a query at a time."""
    if now >= repeats.busy_until:
        repeats.tick(now)
    return repeats.turn_for(who, rotation, None, now)


def test_a_repeat_within_two_seconds_takes_no_turn() -> None:
    """Wherever in a window the first one came; two seconds later it is a new query."""
    for start in (100.0, 100.5, 101.9):
        repeats, registry = RetransmitFilter(), CounterRegistry()
        rotation = registry.pool_counter("boot", ("10.0.0.1", "10.0.0.2", "10.0.0.3"))
        repeats.tick(100.0)
        assert turn(repeats, b"a", rotation, start) == 0
        assert turn(repeats, b"b", rotation, start) == 1
        assert turn(repeats, b"a", rotation, start + 1.99) == 0
        assert turn(repeats, b"a", rotation, start + WINDOW) == 2
        assert rotation.turn == 3
        assert registry.counts().queries == {"a/noerror": 4}


def test_another_pool_is_another_query() -> None:
    """One ID may ask for two names."""
    repeats, one, two = RetransmitFilter(), pool(), pool()
    assert turn(repeats, b"a", one, 1.0) == 0
    assert turn(repeats, b"a", two, 1.0) == 0
    assert turn(repeats, b"b", two, 1.0) == 1


def test_answers_that_never_turn_are_not_remembered() -> None:
    """They would only fill the window."""
    repeats, soa = RetransmitFilter(), CounterRegistry().counter("soa/noerror")
    assert [turn(repeats, b"a", soa, 1.0) for _ in range(3)] == [0, 1, 2]
    assert not repeats._now


def test_a_full_window_watches_no_more_until_it_ends() -> None:
    """What is remembered is bounded, whatever comes."""
    repeats, rotation = RetransmitFilter(), pool()
    for number in range(5 * MAX_ENTRIES):
        assert turn(repeats, number.to_bytes(4, "big"), rotation, 10.0) == number
    assert len(repeats._now) == MAX_ENTRIES
    assert turn(repeats, bytes(4), rotation, 11.9) == 5 * MAX_ENTRIES
    assert turn(repeats, b"new", rotation, 12.1) == 5 * MAX_ENTRIES + 1
    assert turn(repeats, b"new", rotation, 12.2) == 5 * MAX_ENTRIES + 1
    assert turn(repeats, b"late", rotation, 99.0) == 5 * MAX_ENTRIES + 2
    assert not repeats._before
