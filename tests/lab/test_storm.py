"""Storms: who starts when, and all of them on real sockets."""

from __future__ import annotations

from collections import Counter

from rrdns.lab.bootstorm.firmware import FIRMWARE, IPXE
from rrdns.lab.bootstorm.storm import Storm, StormRun, plan
from rrdns.lab.bootstorm.target import BootFileSource, ByRoundRobin
from rrdns.lab.tftpd.boot_files import boot_files
from rrdns.lab.tftpd.server import TftpServer

ADDRESSES = ("127.0.0.53", "127.0.0.54")


def test_a_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    """Starts, firmware and dice alike."""
    kinds = tuple(FIRMWARE.values())
    assert plan(50, 30.0, kinds, seed=7) == plan(50, 30.0, kinds, seed=7)
    assert plan(50, 30.0, kinds, seed=7) != plan(50, 30.0, kinds, seed=8)


def test_all_start_within_the_ramp_in_their_order() -> None:
    """Spread over it, as machines are that nobody starts in step."""
    starts = [target.start for target in plan(1000, 30.0, [IPXE], seed=1)]
    assert starts == sorted(starts)
    assert 0 <= starts[0] < 1 < 29 < starts[-1] <= 30
    assert 400 < sum(start < 15 for start in starts) < 600


def test_kinds_of_firmware_are_equally_frequent_and_mixed() -> None:
    """A quarter each of four."""
    kinds = [target.firmware.name for target in plan(200, 1.0, tuple(FIRMWARE.values()), seed=1)]
    assert set(Counter(kinds).values()) == {50}
    assert len(set(kinds[:10])) > 1


async def test_a_storm_boots_every_target_in_every_way() -> None:
    """At the same time; each course knows how it went."""
    async with (
        TftpServer(ADDRESSES[0], 0, boot_files()) as first,
        TftpServer(ADDRESSES[1], first.port, boot_files()),
    ):
        storm = Storm.planned(
            [ByRoundRobin(ADDRESSES), ByRoundRobin(ADDRESSES[:1])],
            BootFileSource("ARDBP32.BIN", first.port),
            clients=12,
            ramp=0.3,
            firmware=tuple(FIRMWARE.values()),
            seed=1,
        )
        await storm.run()
    both, alone = storm.courses
    assert Counter(one.server for one in both.boots) == dict.fromkeys(ADDRESSES, 6)
    assert Counter(one.server for one in alone.boots) == {ADDRESSES[0]: 12}
    for course in storm.courses:
        assert (course.count, course.started, course.booted, course.running) == (12, 12, 12, 0)
        assert all(0 <= one.began - one.target.start < 0.3 for one in course.boots)


def test_a_course_that_has_not_begun_has_nobody_on_the_way() -> None:
    """All are still to come."""
    course = StormRun(ByRoundRobin(ADDRESSES), 5)
    assert (course.booted, course.running) == (0, 0)
