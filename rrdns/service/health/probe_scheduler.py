"""Probe every member in its turn, for as long as it is configured.

One task a member, so that two probes of a member never overlap; when the next one is due
is the core's decision (`core.health.next_start`), and what a probe means is the roster's.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from rrdns.core.health.probe_result import Depth, ProbeResult
from rrdns.core.health.standing import Standing, next_start, stagger
from rrdns.core.model import Member, Pool, ProbeSpec
from rrdns.service.runtime.log_setup import get_log

Probe = Callable[[str, ProbeSpec, Depth], Awaitable[ProbeResult]]
Told = Callable[[str, str, ProbeResult], Standing]  # pool, member, result -> standing after it


@dataclass(frozen=True, slots=True)
class Duty:
    """What one task does: a change of any of it ends the task and starts another."""

    pool: str
    member: Member
    spec: ProbeSpec


MANY_MEMBERS = 2000  # that fill a whole interval with their first probes, however urgent


class Checker:
    """The tasks that probe."""

    def __init__(self, probe: Probe, told: Told) -> None:
        self._probe = probe
        self._told = told
        self._tasks: dict[Duty, asyncio.Task[None]] = {}
        self._turns = itertools.count()
        self._log = get_log(part="checker")

    def configure(self, pools: Iterable[Pool], *, at_once: bool = False) -> float:
        """Probe the members of these pools from now on, and no others.

        `at_once`: queries wait for the first results, so few members are not spread over a
        whole interval. Return the seconds until the last of the first probes starts.
        """
        duties = {Duty(pool.name, member, pool.probe) for pool in pools for member in pool.members}
        for duty in self._tasks.keys() - duties:
            self._tasks.pop(duty).cancel()
        spread = min(1.0, len(duties) / MANY_MEMBERS) if at_once else 1.0
        last = 0.0
        for duty in sorted(duties - self._tasks.keys(), key=lambda duty: duty.member.name):
            wait = stagger(next(self._turns), duty.spec.interval) * spread
            self._start(duty, wait)
            last = max(last, wait)
        return last

    async def stop(self) -> None:
        """End all probes."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, duty: Duty, wait: float) -> None:
        task = asyncio.create_task(self._watch(duty, wait))
        task.add_done_callback(lambda ended: self._restart(duty, ended))
        self._tasks[duty] = task

    def _restart(self, duty: Duty, ended: asyncio.Task[None]) -> None:
        """Go on after a defect of ours: a member that nobody probes would stay as it is."""
        if ended.cancelled() or self._tasks.get(duty) is not ended:
            return
        self._log.error(
            "a probe broke",
            pool=duty.pool,
            member=duty.member.name,
            exc_info=ended.exception(),
        )
        self._start(duty, duty.spec.interval)

    async def _watch(self, duty: Duty, wait: float) -> None:
        clock = asyncio.get_running_loop().time
        due, full_due = clock() + wait, -math.inf
        while True:
            await asyncio.sleep(due - clock())
            started = clock()
            depth = Depth.FULL if started >= full_due else Depth.LIGHT
            result = await self._probe(duty.member.address, duty.spec, depth)
            standing = self._told(duty.pool, duty.member.name, result)
            if result.depth is Depth.FULL and result.passed:  # it may be lighter than asked
                full_due = started + duty.spec.full_every
            # Measured from when it was due: a late start must not push the rhythm back.
            due = next_start(standing, duty.spec, max(due, started - duty.spec.interval), clock())
