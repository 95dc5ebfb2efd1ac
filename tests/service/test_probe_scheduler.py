"""When members are probed, in virtual time: rhythm, doubt, depth, and one probe at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import structlog

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.health.standing import Standing, observe, thresholds_of
from rrdns.core.model import BootFile, Member, Pool, ProbeSpec
from rrdns.service.health.probe_scheduler import ProbeScheduler
from tests.virtual_time import run_virtually

SPEC = ProbeSpec((BootFile("ARDBP32.BIN"),))
Answer = Callable[[str, float], tuple[Verdict, float]]  # address, now -> verdict, seconds it takes


def a_pool(size: int, name: str = "boot", spec: ProbeSpec = SPEC) -> Pool:
    members = tuple(Member(f"pvs-{n}", f"10.0.0.{n}") for n in range(1, size + 1))
    return Pool(name, "boot.example", members, spec)


@dataclass
class Farm:
    """Members that answer as a test wants, and a note of every probe."""

    answer: Answer = lambda _address, _now: (Verdict.OK, 0.001)
    starts: list[tuple[str, float, ProbeDepth]] = field(default_factory=list)
    falls: list[tuple[str, float]] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)

    async def probe(self, address: str, spec: ProbeSpec, depth: ProbeDepth) -> ProbeResult:
        now = asyncio.get_running_loop().time()
        assert address not in self.running, "two probes of a member at once"
        self.starts.append((address, now, depth))
        verdict, seconds = self.answer(address, now)
        self.running.add(address)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.running.discard(address)
        return ProbeResult(verdict, "", depth, seconds)

    def told(self, pool: str, member: str, result: ProbeResult) -> Standing:
        before = self.standings.get(member, Standing(up=True, probed=False))
        after = observe(before, result.passed, thresholds_of(SPEC))
        self.standings[member] = after
        if before.up and not after.up:
            self.falls.append((member, asyncio.get_running_loop().time()))
        return after

    def times(self, address: str) -> list[float]:
        return [at for seen, at, _ in self.starts if seen == address]


def watch(farm: Farm, pools: list[Pool], seconds: float) -> None:
    async def main() -> None:
        probe_scheduler = ProbeScheduler(farm.probe, farm.told)
        probe_scheduler.configure(pools)
        await asyncio.sleep(seconds)
        await probe_scheduler.stop()

    run_virtually(main())


def test_each_member_is_probed_at_its_interval() -> None:
    """Start to start, without drift, however long a probe takes."""
    farm = Farm(answer=lambda _address, _now: (Verdict.OK, 0.3))
    watch(farm, [a_pool(1)], 10.5)
    assert farm.times("10.0.0.1") == pytest.approx([float(n) for n in range(11)])


def test_starts_are_spread_over_the_interval() -> None:
    """A hundred members do not knock at the same instant."""
    farm = Farm()
    watch(farm, [a_pool(100)], 0.999)
    starts = sorted(at for _, at, _ in farm.starts)
    assert len(starts) == 100
    assert max(b - a for a, b in pairwise(starts)) < 0.03


@pytest.mark.parametrize("dies_at", [0.05, 3.2, 7.9999, 8.0011, 31.5])
def test_a_silent_server_is_out_within_four_and_a_half_seconds(dies_at: float) -> None:
    """With the defaults, whenever it dies."""
    farm = Farm(
        answer=lambda _address, now: (
            (Verdict.OK, 0.001) if now < dies_at else (Verdict.TIMEOUT, 1.0)
        )
    )
    farm.standings["pvs-1"] = Standing(up=True)
    watch(farm, [a_pool(1)], dies_at + 6)
    assert farm.falls[0][1] - dies_at <= 4.5


def test_a_stopped_service_is_out_within_one_and_a_half_seconds() -> None:
    """A port that refuses costs no time-outs."""
    farm = Farm(
        answer=lambda _address, now: (
            (Verdict.OK, 0.001) if now < 5.0005 else (Verdict.REFUSED, 0.001)
        )
    )
    watch(farm, [a_pool(1)], 10)
    assert farm.falls[0][1] - 5.0005 <= 1.5


def test_the_first_probe_is_a_full_one_and_then_each_full_every_seconds() -> None:
    """In between only the first block is asked for."""
    farm = Farm()
    watch(farm, [a_pool(1)], 61.5)
    full = [at for _, at, depth in farm.starts if depth is ProbeDepth.FULL]
    assert full == pytest.approx([0.0, 30.0, 60.0])


def test_a_full_probe_that_fails_is_not_outvoted_by_light_ones() -> None:
    """A wrong file has a good first block too."""
    farm = Farm()

    async def probe(address: str, spec: ProbeSpec, depth: ProbeDepth) -> ProbeResult:
        result = await farm_probe(address, spec, depth)
        bad = depth is ProbeDepth.FULL and result.seconds > 0 and len(farm.starts) > 5
        return replace(result, verdict=Verdict.WRONG_CONTENT) if bad else result

    farm_probe, farm.probe = farm.probe, probe  # type: ignore[method-assign]  # this farm only
    watch(farm, [a_pool(1)], 33)
    assert farm.falls


def test_a_change_of_config_leaves_the_others_rhythm_alone() -> None:
    """Only members that are new, gone or asked otherwise are started or ended."""
    farm = Farm()

    async def main() -> None:
        probe_scheduler = ProbeScheduler(farm.probe, farm.told)
        probe_scheduler.configure([a_pool(2)])
        await asyncio.sleep(2.9)
        probe_scheduler.configure([a_pool(1), a_pool(3, "other")])
        await asyncio.sleep(2.0)
        await probe_scheduler.stop()

    run_virtually(main())
    assert farm.times("10.0.0.3")
    first = [at for at in farm.times("10.0.0.1") if at % 1 < 1e-6]
    assert first == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0])


def test_a_probe_that_breaks_is_told_and_the_member_is_probed_again() -> None:
    """A defect of ours must not leave a member as it is for ever."""
    farm = Farm()

    def broken_once(address: str, now: float) -> tuple[Verdict, float]:
        if now < 0.5:
            raise RuntimeError("a defect")
        return Verdict.OK, 0.001

    farm.answer = broken_once
    # Not from standard output: where lines go is what another test set up last.
    with structlog.testing.capture_logs() as logs:
        watch(farm, [a_pool(1)], 3.5)
    assert farm.times("10.0.0.1") == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert [(line["event"], line["member"]) for line in logs] == [("a probe broke", "pvs-1")]
