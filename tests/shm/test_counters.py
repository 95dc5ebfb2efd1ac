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
from rrdns.shm.counters import NOTHING, Reader
from rrdns.shm.rotation_counter import Ledger, Rotation
from rrdns.shm.segment import Pages

MEMBERS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


class Shared:
    """Turns that two ledgers share."""

    def __init__(self) -> None:
        self.turn = 0

    def take(self, slot: int, count: int = 1) -> int:
        self.turn += count
        return self.turn - count

    def peek(self, slot: int) -> int:
        return self.turn


def storm(ledger: Ledger, changes: int, each: int = 3) -> Rotation:
    """Count `each` answers in each of so many rotations, one after the other."""
    for change in range(changes):
        rotation = ledger.rotation("boot", MEMBERS[: 1 + change % 3])
        rotation.take(None, each)
        if change < changes - 1:
            ledger.retire(rotation)
    return rotation


def test_who_reads_sees_what_is_counted_at_once() -> None:
    """Kinds, first places, repeats, and what got no answer."""
    pages = Pages()
    ledger, reader = Ledger(pages), Reader(pages)
    assert reader.counts() == counters.Counts()
    rotation = ledger.rotation("boot", MEMBERS, turn=7)
    assert (reader.turn("boot"), reader.turn("other")) == (7, None)
    for _ in range(4):
        rotation.take(None)
    rotation.repeat()
    ledger.kind("soa/noerror").take(None)
    ledger.drop(2)
    assert reader.queries() == {"a/noerror": 5, "soa/noerror": 1, NOTHING: 2}
    assert reader.firsts("boot") == {"10.0.0.1": 1, "10.0.0.2": 2, "10.0.0.3": 1}
    assert reader.firsts("other") == {}
    ledger.rotation("all-down", ())
    assert reader.firsts("all-down") == {}
    assert reader.turn("boot") == 11
    assert (
        ledger.counts()
        == reader.counts()
        == counters.Counts({"a/noerror": 5, "soa/noerror": 1}, {"boot": reader.firsts("boot")}, 2)
    )


def test_first_places_of_shared_turns_are_counted_one_by_one() -> None:
    """Each worker had other turns of the same pool; in batches of any size."""
    turns, pages = Shared(), (Pages(), Pages())
    rotations = [Ledger(one).rotation("boot", MEMBERS, slot=0) for one in pages]
    expected = [Counter[str](), Counter[str]()]
    dice = random.Random(5)
    for _ in range(200):
        worker, count = dice.randrange(2), dice.randrange(1, 9)
        turn = rotations[worker].take(turns, count)
        expected[worker].update(MEMBERS[(turn + step) % 3] for step in range(count))
    readers = [Reader(one) for one in pages]
    assert [reader.firsts("boot") for reader in readers] == expected
    assert max(reader.turn("boot") or 0 for reader in readers) == turns.turn
    assert sum(reader.queries()["a/noerror"] for reader in readers) == turns.turn


def test_the_next_process_goes_on_where_the_one_before_was_killed() -> None:
    """Its counts, and how many there were, also for a reader that begins later."""
    pages = Pages()
    early = Reader(pages)
    for _ in range(3):
        storm(Ledger(pages), 10)
        assert early.queries() == Reader(pages).queries()
    assert early.queries() == {"a/noerror": 90}
    assert sum(early.firsts("boot").values()) == 90
    assert early.starts == 3


def test_a_storm_of_changes_grows_neither_the_journal_nor_the_cells() -> None:
    """What is over is summed up, and its cells are used again; no count is lost by that."""
    pages = Pages()
    ledger, reader = Ledger(pages), Reader(pages)
    storm(ledger, 2_000)
    written, cells = pages.written(), ledger._book._unused
    last = storm(ledger, 20_000)
    assert reader.queries() == {"a/noerror": 66_000}
    assert sum(reader.firsts("boot").values()) == 66_000
    assert pages.edition > 20
    assert pages.written() < 2 * written + 100_000
    assert ledger._book._unused < 3 * cells + 5_000
    last.take(None)
    assert reader.queries() == {"a/noerror": 66_001}


def test_a_loop_that_has_not_heard_of_a_change_still_counts() -> None:
    """It is in the middle of a batch with the table before."""
    pages = Pages()
    ledger, reader = Ledger(pages), Reader(pages)
    late = ledger.rotation("late", MEMBERS)
    ledger.retire(late)
    edition = pages.edition
    while pages.edition < edition + 3:
        storm(ledger, 1, each=0)
        late.take(None)
    assert reader.queries() == {"a/noerror": late.turn}


def kill_a_counter(pages: Pages, truth: memoryview, after: float) -> None:
    """Count in a process of its own, as fast as it goes, and kill that."""
    pid = os.fork()
    if pid == 0:
        ledger = Ledger(pages)
        while True:
            rotation = ledger.rotation("boot", MEMBERS)
            for _ in range(3):
                rotation.take(None)
                truth[0] += 1
            ledger.retire(rotation)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_kill_at_any_moment_loses_no_count() -> None:
    """Forty times at least, in the middle of counting, opening rows and turning pages."""
    pages, truth = Pages(), memoryview(mmap.mmap(-1, 8)).cast("Q")
    reader, dice, done = Reader(pages), random.Random(1), 0
    while done < 40 or truth[0] < 1_000:  # a busy machine gets less far between two kills
        kill_a_counter(pages, truth, dice.uniform(0.005, 0.04))
        counted = reader.queries().get("a/noerror", 0)
        # A kill may fall between a count and the truth's.
        done += 1
        assert truth[0] <= counted <= truth[0] + done
        assert sum(reader.firsts("boot").values()) == counted


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Pages:
    """Return pages with room for few rows."""
    monkeypatch.setattr(segment, "CELLS", 64)
    monkeypatch.setattr(segment, "HALF_BYTES", 800)
    monkeypatch.setattr(segment, "BOOK_BYTES", 8 * (8 + 64) + 2 * 800)
    return Pages()


def test_where_no_cell_is_left_answers_go_on_uncounted(small: Pages) -> None:
    """And what was counted before stays right."""
    ledger, reader = Ledger(small), Reader(small)
    first = ledger.rotation("first", MEMBERS, slot=0)
    turns = Shared()
    for number in range(20):
        other = ledger.rotation(f"p{number}", MEMBERS, slot=1)
        other.take(turns)
        ledger.retire(other)
    first.take(turns, 5)
    assert sum(reader.firsts("first").values()) == 5
    assert 5 < reader.queries()["a/noerror"] < 25


def test_a_long_row_without_room_spoils_no_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted beside them, though less is left than it needs."""
    monkeypatch.setattr(segment, "CELLS", 64)
    monkeypatch.setattr(segment, "BOOK_BYTES", 8 * (8 + 64) + 2 * segment.HALF_BYTES)
    few = Pages()
    ledger, reader = Ledger(few), Reader(few)
    for number in range(40):
        ledger.kind(f"k{number}/noerror").take(None)
    before = reader.queries()
    ledger.rotation("boot", MEMBERS, slot=0).take(Shared(), 9)
    assert reader.queries() == before


def test_a_journal_that_cannot_be_renewed_is_read_on(small: Pages) -> None:
    """Its rows stay where they are; nothing is summed up twice."""
    ledger, reader = Ledger(small), Reader(small)
    rotations = [ledger.rotation(f"a-pool-of-a-long-name-{n}", MEMBERS) for n in range(7)]
    small.halves = small.halves[0][:300], small.halves[1]
    ledger._book._limit = 0
    for _ in range(3):
        ledger.rotation("more", MEMBERS)
    for rotation in rotations:
        rotation.take(None)
    assert small.edition == 1
    assert reader.queries()["a/noerror"] == len(reader._of_pool) - ("more" in reader._of_pool)


def test_who_reads_while_a_page_is_turned_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it sees that at the end, or stumbles over it; it never reads for ever."""
    pages = Pages()
    ledger = Ledger(pages)
    storm(ledger, 5)
    reader, read, failures = Reader(pages), Pages.read, [1]

    def stumble(self: Pages, edition: int, at: int) -> object:
        if failures:
            failures.pop()
            raise ValueError("torn")
        return read(self, edition, at)

    monkeypatch.setattr(Pages, "read", stumble)
    assert reader.queries() == {"a/noerror": 15}

    def turn_the_page(self: Pages, edition: int, at: int) -> object:
        found = read(self, edition, at)
        ledger._book._renew()
        return found

    monkeypatch.setattr(Pages, "read", turn_the_page)
    assert reader.queries() == {"a/noerror": 15}
