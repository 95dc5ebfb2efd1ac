"""Whom nobody has probed yet is not answered; pools do not wait for one another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import Member, Pool
from rrdns.service.control.probe_results import ProbeResultHandler
from rrdns.service.health.status_view import pool_status
from rrdns.web.metrics import ProbeMetrics
from tests.service.control_harness import MEMBERS, POOL, ZONES, Office

GOOD = ProbeResult(Verdict.OK, "fine", ProbeDepth.LIGHT, 0.002)
SILENT = ProbeResult(Verdict.TIMEOUT, "silence", ProbeDepth.LIGHT, 1.0)
UNSENT = ProbeResult(Verdict.LOCAL, "no buffer", ProbeDepth.LIGHT, 0.0)
OTHER = replace(
    POOL,
    name="other",
    hostname="other.example",
    members=tuple(replace(member, address=f"10.1.0.{n}") for n, member in enumerate(MEMBERS)),
)


class Start:
    """A control process that starts without a memory, with its two pools."""

    def __init__(self, *, restarted: bool = False) -> None:
        self.office = Office(pools=(POOL, OTHER), assume_up=False)
        self.states = self.office.states
        self.probe_results = ProbeResultHandler(self.office.context, ProbeMetrics())
        self.office.publisher.publish_first(ZONES, 1, all_pools=restarted)

    def probed(self, pool: Pool, *members: str, result: ProbeResult = GOOD) -> None:
        for member in members:
            self.probe_results.handle(pool.name, member, result)
        self.office.publisher.flush()

    def answers(self, pool: Pool) -> tuple[str, ...]:
        rrset = self.office.worker_feed.snapshot.rrsets[pool.name]
        assert rrset.addresses or rrset.is_silent
        return rrset.addresses

    @property
    def serial(self) -> int:
        return self.office.worker_feed.snapshot.serial


async def test_a_pool_is_published_with_the_last_of_its_first_results() -> None:
    """Not with the quickest one; the other pool is not waited for, and stays silent."""
    start = Start()
    start.probed(POOL, "pvs-1", "pvs-2")
    assert start.serial == 0
    start.probed(POOL, "pvs-3", result=SILENT)
    assert start.answers(POOL) == ("10.0.0.1", "10.0.0.2")
    assert start.answers(OTHER) == ()
    start.probed(OTHER, "pvs-1", "pvs-2", "pvs-3")
    assert len(start.answers(OTHER)) == 3


async def test_workers_that_answer_already_are_told_nothing_before_all_is_known() -> None:
    """A control process that comes again without a memory must not silence a pool."""
    start = Start(restarted=True)
    start.probed(POOL, "pvs-1", "pvs-2", "pvs-3")
    assert start.serial == 0
    start.probed(OTHER, "pvs-1", "pvs-2", "pvs-3")
    assert (len(start.answers(POOL)), len(start.answers(OTHER))) == (3, 3)


@pytest.mark.parametrize("over", ["time", "unsent"])
async def test_whose_result_does_not_come_is_assumed_to_be_up(over: str) -> None:
    """The time-out is over, or this host cannot probe: not the member's fault."""
    start = Start()
    start.probed(POOL, "pvs-1", "pvs-2")
    if over == "time":
        start.states.stop_awaiting("boot", ["pvs-1", "pvs-3", "pvs-9"])
        start.states.stop_awaiting("gone", ["pvs-1"])
        start.office.publisher.mark_changed("boot")
    else:
        start.probed(POOL, "pvs-3", result=UNSENT)
    assert len(start.answers(POOL)) == 3
    reasons = [member.why for member in pool_status(start.states, "boot", 1001.0).members]
    assert reasons == [
        EligibilityReason.HEALTHY,
        EligibilityReason.HEALTHY,
        EligibilityReason.ASSUMED,
    ]
    standings = [one for one in start.office.recorder.events.after(0) if one.action == "standing"]
    assert len(standings) == 2


async def test_a_member_that_a_reload_adds_waits_while_the_others_are_answered() -> None:
    """It comes in with its first good probe, and a dead one never does."""
    start = Start()
    start.probed(POOL, "pvs-1", "pvs-2", "pvs-3")
    more = replace(POOL, members=(*MEMBERS, Member("pvs-4", "10.0.0.4")))
    start.states.configure((more, OTHER), 1010.0)
    start.office.publisher.mark_changed("boot")
    start.office.publisher.flush()
    assert len(start.answers(POOL)) == 3
    start.probed(POOL, "pvs-4", result=SILENT)
    assert "10.0.0.4" not in start.answers(POOL)
    for _ in range(POOL.probe.rise):
        start.probed(POOL, "pvs-4")
    assert "10.0.0.4" in start.answers(POOL)


async def test_a_pool_whose_members_are_all_new_is_held_again() -> None:
    """As at a start: also the quickest of them waits for the others."""
    start = Start()
    start.probed(POOL, "pvs-1", "pvs-2", "pvs-3")
    moved = tuple(replace(member, address=f"10.9.0.{n}") for n, member in enumerate(MEMBERS))
    start.states.configure((replace(POOL, members=moved), OTHER), 1010.0)
    start.office.publisher.mark_changed("boot")
    start.probed(POOL, "pvs-1")
    assert start.answers(POOL) == ()
    assert not pool_status(start.states, "boot", 1011.0).everything_down
    start.probed(POOL, "pvs-2", "pvs-3")
    assert len(start.answers(POOL)) == 3


async def test_an_order_and_a_reload_meanwhile_do_not_publish_what_is_not_known() -> None:
    """`flush` tells the serial that is answered, and zones that change end the wait."""
    start = Start()
    start.office.publisher.mark_changed("boot")
    assert start.office.publisher.flush() == 0
    start.office.publisher.publish_all(ZONES, 1)
    assert start.answers(POOL) == ()
