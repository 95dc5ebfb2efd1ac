"""What is counted stays counted: over tables, processes and their violent ends."""

from __future__ import annotations

import mmap
import os
import random
import signal
import time
from collections import Counter

from rrdns.core.rate_limit import ResponseClass
from rrdns.shm.counters import (
    FIRST_SLOT,
    SPARE_SLOT,
    CounterReader,
    Counters,
    ResponseKind,
    counter_of,
    pool_counter,
)
from rrdns.shm.rotation_counter import RotationCounters
from rrdns.shm.segment import CELLS, CounterSegment
from rrdns.shm.shared_rotation import SharedRotationCounters

POOL, MEMBERS = FIRST_SLOT, (FIRST_SLOT + 1, FIRST_SLOT + 2, FIRST_SLOT + 3)
BOOT = pool_counter(POOL, MEMBERS)
END = FIRST_SLOT + 4


def test_who_reads_sees_what_is_counted_at_once() -> None:
    """Kinds, first places, retransmits, and what got no response."""
    counters = Counters()
    reader = CounterReader([counters.segment])
    assert (reader.queries(END), reader.unanswered()) == ({}, 0)
    turns = [counters.take(BOOT) for _ in range(4)]
    counters.segment.cells[POOL] += 1  # a retransmitted query
    assert counters.take(counter_of(ResponseKind.SOA)) == 0
    counters.count_unanswered(2)
    assert turns == [0, 1, 2, 0]
    assert reader.queries(END) == {("a", "noerror"): 5, ("soa", "noerror"): 1}
    assert [reader.count(slot) for slot in MEMBERS] == [2, 1, 1]
    assert reader.unanswered() == 2
    assert counters.rotation.peek(POOL) == 4


def test_each_kind_has_its_own_counters() -> None:
    """Also of what the rate limit withheld, which is named after the kind alone."""
    counters = Counters()
    for kind in ResponseKind:
        for cell, _ in kind.labels():
            counters.segment.cells[cell] += 1
    found = CounterReader([counters.segment]).queries(END)
    assert sum(found.values()) == 3 * len(ResponseKind)
    assert found["a", "slipped"] == found["a", "dropped"] == 3
    assert found["nxdomain", "nxdomain"] == found["nxdomain", "dropped"] == 1


def test_each_kind_has_its_class_of_the_rate_limit() -> None:
    """Negative responses, errors, and the rest."""
    assert ResponseKind.NODATA.response_class == ResponseClass.NEGATIVES
    assert ResponseKind.NXDOMAIN.response_class == ResponseClass.NEGATIVES
    assert ResponseKind.REFUSED.response_class == ResponseClass.ERRORS
    assert ResponseKind.A_SERVFAIL.response_class == ResponseClass.ERRORS
    assert ResponseKind.A.response_class == ResponseClass.ANSWERS


def test_workers_that_share_turns_count_their_own_first_places() -> None:
    """Each worker had other turns of the same pool; control adds them up."""
    rotation = SharedRotationCounters()
    workers = [Counters(rotation=rotation) for _ in range(2)]
    expected = [Counter[int](), Counter[int]()]
    rng = random.Random(5)
    for _ in range(900):
        worker = rng.randrange(2)
        expected[worker][MEMBERS[workers[worker].take(BOOT)]] += 1
    for counters, firsts in zip(workers, expected, strict=True):
        reader = CounterReader([counters.segment])
        assert {slot: reader.count(slot) for slot in MEMBERS} == firsts
    both = CounterReader([worker.segment for worker in workers])
    assert [both.count(slot) for slot in MEMBERS] == [300] * 3
    assert both.queries(END) == {("a", "noerror"): 900}


def test_what_has_no_slot_is_counted_for_no_member() -> None:
    """There are fewer slots than a config may have members."""
    counters = Counters()
    counters.take(pool_counter(SPARE_SLOT, (SPARE_SLOT,)))
    reader = CounterReader([counters.segment])
    assert reader.queries(END) == {("a", "noerror"): 1}
    assert [reader.count(slot) for slot in MEMBERS] == [0, 0, 0]


def kill_a_counter(counters: Counters, truth: memoryview, after: float) -> None:
    """Count in a process of its own, as fast as it goes, and kill that."""
    pid = os.fork()
    if pid == 0:
        counters.segment.register_process()
        while True:
            counters.take(BOOT)
            truth[0] += 1
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_kill_at_any_moment_loses_no_count() -> None:
    """Forty times; the next process goes on with the turns and the counts."""
    counters, truth = Counters(), memoryview(mmap.mmap(-1, 8)).cast("Q")
    reader, rng = CounterReader([counters.segment]), random.Random(1)
    done = 0
    while done < 40 or truth[0] < 1_000:  # a busy machine gets less far between two kills
        kill_a_counter(counters, truth, rng.uniform(0.005, 0.04))
        done += 1
        counted = reader.queries(END).get(("a", "noerror"), 0)
        # A kill may fall between a turn, its count, and the truth's.
        assert truth[0] <= counted <= truth[0] + done
        assert counted <= counters.rotation.peek(POOL) <= counted + done
    assert 0 < counters.segment.starts <= done


def test_segments_and_turns_begin_with_nothing() -> None:
    """Their memory is zero, however large it is."""
    segment, rotation = CounterSegment(), RotationCounters()
    assert segment.starts == 0
    assert not any(segment.cells[:END])
    assert rotation.peek(CELLS - 1) == 0
