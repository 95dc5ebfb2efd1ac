"""Probe every member in its turn, for as long as it is configured.

One task a member, so that two probes of a member never overlap. When the next one is due is
decided in `core.health.standing.next_probe_at`, what a probe means in `pool_states`.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult
from rrdns.core.health.probe_timing import initial_delay, next_probe_at
from rrdns.core.health.standing import Standing
from rrdns.core.model import Member, Pool, ProbeSpec
from rrdns.service.runtime.log_setup import get_log

Probe = Callable[[str, ProbeSpec, ProbeDepth], Awaitable[ProbeResult]]
Told = Callable[[str, str, ProbeResult], Standing]  # pool, member, result -> standing after it


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """What one task does: a change of any of it ends the task and starts another."""

    pool: str
    member: Member
    spec: ProbeSpec


MANY_MEMBERS = 2000  # that fill a whole interval with their first probes, however urgent


class ProbeScheduler:
    """The tasks that probe."""

    def __init__(self, probe: Probe, told: Told) -> None:
        self._probe = probe
        self._told = told
        self._tasks: dict[ProbeJob, asyncio.Task[None]] = {}
        self._turns = itertools.count()
        self._log = get_log(part="probe-scheduler")

    def configure(self, pools: Iterable[Pool], *, at_once: bool = False) -> float:
        """Probe the members of these pools from now on, and no others.

        `at_once`: queries wait for the first results, so few members are not spread over a
        whole interval. Return the seconds until the last of the first probes starts.
        """
        duties = {
            ProbeJob(pool.name, member, pool.probe) for pool in pools for member in pool.members
        }
        for job in self._tasks.keys() - duties:
            self._tasks.pop(job).cancel()
        spread = min(1.0, len(duties) / MANY_MEMBERS) if at_once else 1.0
        last = 0.0
        for job in sorted(duties - self._tasks.keys(), key=lambda job: job.member.name):
            wait = initial_delay(next(self._turns), job.spec.interval) * spread
            self._start(job, wait)
            last = max(last, wait)
        return last

    async def stop(self) -> None:
        """End all probes."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, job: ProbeJob, wait: float) -> None:
        task = asyncio.create_task(self._watch(job, wait))
        task.add_done_callback(lambda ended: self._restart(job, ended))
        self._tasks[job] = task

    def _restart(self, job: ProbeJob, ended: asyncio.Task[None]) -> None:
        """Go on after a defect of ours: a member that nobody probes would stay as it is."""
        if ended.cancelled() or self._tasks.get(job) is not ended:
            return
        self._log.error(
            "a probe broke",
            pool=job.pool,
            member=job.member.name,
            exc_info=ended.exception(),
        )
        self._start(job, job.spec.interval)

    async def _watch(self, job: ProbeJob, wait: float) -> None:
        clock = asyncio.get_running_loop().time
        due, full_due = clock() + wait, -math.inf
        while True:
            await asyncio.sleep(due - clock())
            started = clock()
            depth = ProbeDepth.FULL if started >= full_due else ProbeDepth.LIGHT
            result = await self._probe(job.member.address, job.spec, depth)
            standing = self._told(job.pool, job.member.name, result)
            if result.depth is ProbeDepth.FULL and result.passed:  # it may be lighter than asked
                full_due = started + job.spec.full_every
            # Measured from when it was due: a late start must not push the rhythm back.
            due = next_probe_at(standing, job.spec, max(due, started - job.spec.interval), clock())
