"""Whom nobody has probed yet is not answered; pools do not wait for one another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.health.eligibility import Why
from rrdns.core.health.probe_result import Depth, ProbeResult, Verdict
from rrdns.core.model import Member, Pool
from rrdns.service.control.probe_results import Witness
from rrdns.service.health.pool_states import Roster
from rrdns.web.metrics import Stats
from tests.service.control_harness import MEMBERS, POOL, ZONES, Office

GOOD = ProbeResult(Verdict.OK, "fine", Depth.LIGHT, 0.002)
SILENT = ProbeResult(Verdict.TIMEOUT, "silence", Depth.LIGHT, 1.0)
UNSENT = ProbeResult(Verdict.LOCAL, "no buffer", Depth.LIGHT, 0.0)
OTHER = replace(
    POOL,
    name="other",
    hostname="other.example",
    members=tuple(replace(member, address=f"10.1.0.{n}") for n, member in enumerate(MEMBERS)),
)


class Start:
    """A control process that starts without a memory, with its two pools."""

    def __init__(self, *, restarted: bool = False) -> None:
        self.office = Office(pools=(POOL, OTHER))
        self.roster = Roster()
        self.office.publication._roster = self.roster
        self.roster.configure((POOL, OTHER), 1000.0)
        self.witness = Witness(
            self.roster,
            self.office.publication,
            self.office.herald,
            self.office.clock,
            Stats(),
        )
        self.office.publication.publish_first(ZONES, 1, all_pools=restarted)

    def probed(self, pool: Pool, *members: str, result: ProbeResult = GOOD) -> None:
        for member in members:
            self.witness.told(pool.name, member, result)
        self.office.publication.flush()

    def answers(self, pool: Pool) -> tuple[str, ...]:
        rota = self.office.publisher.snapshot.rotas[pool.name]
        assert rota.addresses or rota.silent
        return rota.addresses

    @property
    def serial(self) -> int:
        return self.office.publisher.snapshot.serial


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
        start.roster.stop_awaiting("boot", ["pvs-1", "pvs-3", "pvs-9"])
        start.roster.stop_awaiting("gone", ["pvs-1"])
        start.office.publication.mark("boot")
    else:
        start.probed(POOL, "pvs-3", result=UNSENT)
    assert len(start.answers(POOL)) == 3
    whys = [member.why for member in start.roster.report("boot", 1001.0).members]
    assert whys == [Why.HEALTHY, Why.HEALTHY, Why.ASSUMED]
    standings = [one for one in start.office.herald.events.after(0) if one.kind == "standing"]
    assert len(standings) == 2


async def test_a_member_that_a_reload_adds_waits_while_the_others_are_answered() -> None:
    """It comes in with its first good probe, and a dead one never does."""
    start = Start()
    start.probed(POOL, "pvs-1", "pvs-2", "pvs-3")
    more = replace(POOL, members=(*MEMBERS, Member("pvs-4", "10.0.0.4")))
    start.roster.configure((more, OTHER), 1010.0)
    start.office.publication.mark("boot")
    start.office.publication.flush()
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
    start.roster.configure((replace(POOL, members=moved), OTHER), 1010.0)
    start.office.publication.mark("boot")
    start.probed(POOL, "pvs-1")
    assert start.answers(POOL) == ()
    assert not start.roster.report("boot", 1011.0).everything_down
    start.probed(POOL, "pvs-2", "pvs-3")
    assert len(start.answers(POOL)) == 3


async def test_an_order_and_a_reload_meanwhile_do_not_publish_what_is_not_known() -> None:
    """`flush` tells the serial that is answered, and zones that change end the wait."""
    start = Start()
    start.office.publication.mark("boot")
    assert start.office.publication.flush() == 0
    start.office.publication.publish_all(ZONES, 1)
    assert start.answers(POOL) == ()
