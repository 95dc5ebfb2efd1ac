"""What is counted stays counted: over tables, editions, processes and their violent ends."""

from __future__ import annotations

import mmap
import os
import random
import signal
import time
from collections import Counter

import pytest

from rrdns.shm import counters, segment
from rrdns.shm.counters import UNANSWERED, CounterReader
from rrdns.shm.rotation_counter import CounterRegistry, RotationCounter
from rrdns.shm.segment import CounterSegment
from tests.shm.shared_turns import SharedTurns

MEMBERS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def storm(registry: CounterRegistry, changes: int, each: int = 3) -> RotationCounter:
    """Count `each` answers in each of so many rotations, one after the other."""
    for change in range(changes):
        rotation = registry.pool_counter("boot", MEMBERS[: 1 + change % 3])
        rotation.advance(None, each)
        if change < changes - 1:
            registry.release(rotation)
    return rotation


def test_who_reads_sees_what_is_counted_at_once() -> None:
    """Kinds, first places, repeats, and what got no answer."""
    pages = CounterSegment()
    registry, reader = CounterRegistry(pages), CounterReader(pages)
    assert reader.counts() == counters.ResponseCounts()
    rotation = registry.pool_counter("boot", MEMBERS, turn=7)
    assert (reader.next_turn("boot"), reader.next_turn("other")) == (7, None)
    for _ in range(4):
        rotation.advance(None)
    rotation.count_retransmit()
    registry.counter("soa/noerror").advance(None)
    registry.count_unanswered(2)
    assert reader.queries() == {"a/noerror": 5, "soa/noerror": 1, UNANSWERED: 2}
    assert reader.first_counts("boot") == {"10.0.0.1": 1, "10.0.0.2": 2, "10.0.0.3": 1}
    assert reader.first_counts("other") == {}
    registry.pool_counter("all-down", ())
    assert reader.first_counts("all-down") == {}
    assert reader.next_turn("boot") == 11
    assert (
        registry.counts()
        == reader.counts()
        == counters.ResponseCounts(
            {"a/noerror": 5, "soa/noerror": 1}, {"boot": reader.first_counts("boot")}, 2
        )
    )


def test_first_places_of_shared_turns_are_counted_one_by_one() -> None:
    """Each worker had other turns of the same pool; in batches of any size."""
    turns, pages = SharedTurns(), (CounterSegment(), CounterSegment())
    rotations = [CounterRegistry(one).pool_counter("boot", MEMBERS, slot=0) for one in pages]
    expected = [Counter[str](), Counter[str]()]
    rng = random.Random(5)
    for _ in range(200):
        worker, count = rng.randrange(2), rng.randrange(1, 9)
        turn = rotations[worker].advance(turns, count)
        expected[worker].update(MEMBERS[(turn + step) % 3] for step in range(count))
    readers = [CounterReader(one) for one in pages]
    assert [reader.first_counts("boot") for reader in readers] == expected
    assert max(reader.next_turn("boot") or 0 for reader in readers) == turns.peek(0)
    assert sum(reader.queries()["a/noerror"] for reader in readers) == turns.peek(0)


def test_the_next_process_goes_on_where_the_one_before_was_killed() -> None:
    """Its counts, and how many there were, also for a reader that begins later."""
    pages = CounterSegment()
    early = CounterReader(pages)
    for _ in range(3):
        storm(CounterRegistry(pages), 10)
        assert early.queries() == CounterReader(pages).queries()
    assert early.queries() == {"a/noerror": 90}
    assert sum(early.first_counts("boot").values()) == 90
    assert early.starts == 3


def test_a_storm_of_changes_grows_neither_the_journal_nor_the_cells() -> None:
    """What is over is summed up, and its cells are used again; no count is lost by that."""
    pages = CounterSegment()
    registry, reader = CounterRegistry(pages), CounterReader(pages)
    storm(registry, 2_000)
    written, cells = pages.written(), registry._writer._unused
    last = storm(registry, 20_000)
    assert reader.queries() == {"a/noerror": 66_000}
    assert sum(reader.first_counts("boot").values()) == 66_000
    assert pages.generation > 20
    assert pages.written() < 2 * written + 100_000
    assert registry._writer._unused < 3 * cells + 5_000
    last.advance(None)
    assert reader.queries() == {"a/noerror": 66_001}


def test_a_loop_that_has_not_heard_of_a_change_still_counts() -> None:
    """It is in the middle of a batch with the table before."""
    pages = CounterSegment()
    registry, reader = CounterRegistry(pages), CounterReader(pages)
    late = registry.pool_counter("late", MEMBERS)
    registry.release(late)
    edition = pages.generation
    while pages.generation < edition + 3:
        storm(registry, 1, each=0)
        late.advance(None)
    assert reader.queries() == {"a/noerror": late.turn}


def kill_a_counter(pages: CounterSegment, truth: memoryview, after: float) -> None:
    """Count in a process of its own, as fast as it goes, and kill that."""
    pid = os.fork()
    if pid == 0:
        registry = CounterRegistry(pages)
        while True:
            rotation = registry.pool_counter("boot", MEMBERS)
            for _ in range(3):
                rotation.advance(None)
                truth[0] += 1
            registry.release(rotation)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_kill_at_any_moment_loses_no_count() -> None:
    """Forty times at least, in the middle of counting, opening rows and turning pages."""
    pages, truth = CounterSegment(), memoryview(mmap.mmap(-1, 8)).cast("Q")
    reader, rng, done = CounterReader(pages), random.Random(1), 0
    while done < 40 or truth[0] < 1_000:  # a busy machine gets less far between two kills
        kill_a_counter(pages, truth, rng.uniform(0.005, 0.04))
        counted = reader.queries().get("a/noerror", 0)
        # A kill may fall between a count and the truth's.
        done += 1
        assert truth[0] <= counted <= truth[0] + done
        assert sum(reader.first_counts("boot").values()) == counted


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> CounterSegment:
    """Return pages with room for few rows."""
    monkeypatch.setattr(segment, "CELLS", 64)
    monkeypatch.setattr(segment, "HALF_BYTES", 800)
    monkeypatch.setattr(segment, "SEGMENT_BYTES", 8 * (8 + 64) + 2 * 800)
    return CounterSegment()


def test_where_no_cell_is_left_answers_go_on_uncounted(small: CounterSegment) -> None:
    """And what was counted before stays right."""
    registry, reader = CounterRegistry(small), CounterReader(small)
    first = registry.pool_counter("first", MEMBERS, slot=0)
    turns = SharedTurns()
    for number in range(20):
        other = registry.pool_counter(f"p{number}", MEMBERS, slot=1)
        other.advance(turns)
        registry.release(other)
    first.advance(turns, 5)
    assert sum(reader.first_counts("first").values()) == 5
    assert 5 < reader.queries()["a/noerror"] < 25


def test_a_long_row_without_room_spoils_no_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted beside them, though less is left than it needs."""
    monkeypatch.setattr(segment, "CELLS", 64)
    monkeypatch.setattr(segment, "SEGMENT_BYTES", 8 * (8 + 64) + 2 * segment.HALF_BYTES)
    few = CounterSegment()
    registry, reader = CounterRegistry(few), CounterReader(few)
    for number in range(40):
        registry.counter(f"k{number}/noerror").advance(None)
    before = reader.queries()
    registry.pool_counter("boot", MEMBERS, slot=0).advance(SharedTurns(), 9)
    assert reader.queries() == before


def test_a_journal_that_cannot_be_renewed_is_read_on(small: CounterSegment) -> None:
    """Its rows stay where they are; nothing is summed up twice."""
    registry, reader = CounterRegistry(small), CounterReader(small)
    rotations = [registry.pool_counter(f"a-pool-of-a-long-name-{n}", MEMBERS) for n in range(7)]
    small.halves = small.halves[0][:300], small.halves[1]
    registry._writer._limit = 0
    for _ in range(3):
        registry.pool_counter("more", MEMBERS)
    for rotation in rotations:
        rotation.advance(None)
    assert small.generation == 1
    assert reader.queries()["a/noerror"] == len(reader._of_pool) - ("more" in reader._of_pool)


def test_who_reads_while_a_page_is_turned_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it sees that at the end, or stumbles over it; it never reads for ever."""
    pages = CounterSegment()
    registry = CounterRegistry(pages)
    storm(registry, 5)
    reader, read, failures = CounterReader(pages), CounterSegment.read, [1]

    def stumble(self: CounterSegment, edition: int, at: int) -> object:
        if failures:
            failures.pop()
            raise ValueError("torn")
        return read(self, edition, at)

    monkeypatch.setattr(CounterSegment, "read", stumble)
    assert reader.queries() == {"a/noerror": 15}

    def turn_the_page(self: CounterSegment, edition: int, at: int) -> object:
        found = read(self, edition, at)
        registry._writer._renew()
        return found

    monkeypatch.setattr(CounterSegment, "read", turn_the_page)
    assert reader.queries() == {"a/noerror": 15}
