"""Boot many targets, as after a power cut or on a Monday morning, in one or in several ways.

What can be decided beforehand is decided in a plan from a seed: who starts when, with which
firmware and which IDs. Several ways run at the same time, each with targets of its own, so
that they meet the same servers at the same moments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from rrdns.lab.bootstorm.firmware import Firmware
from rrdns.lab.bootstorm.target import Boot, BootFileSource, ServerSource, Target, boot


@dataclass(slots=True)
class StormRun:
    """How a storm goes, in one way of finding the server."""

    way: ServerSource
    count: int  # of targets
    started: int = 0
    boots: list[Boot] = field(default_factory=list)  # those that have ended

    @property
    def booted(self) -> int:
        """The number of targets that have booted."""
        return sum(1 for one in self.boots if one.booted)

    @property
    def running(self) -> int:
        """The number of targets that are on their way."""
        return self.started - len(self.boots)


def plan(clients: int, ramp: float, firmware: Sequence[Firmware], seed: int) -> tuple[Target, ...]:
    """Return the targets of a storm, each switched on at some moment of the ramp.

    Several kinds of firmware are equally frequent, in a shuffled order.
    """
    rng = Random(seed)  # noqa: S311  # to be the same each time
    starts = sorted(rng.uniform(0.0, ramp) for _ in range(clients))
    kinds = [firmware[number % len(firmware)] for number in range(clients)]
    rng.shuffle(kinds)
    return tuple(
        Target(number, kind, start, rng.getrandbits(32))
        for number, (kind, start) in enumerate(zip(kinds, starts, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Storm:
    """Targets that boot at about the same time, in every one of some ways."""

    targets: tuple[Target, ...]
    courses: tuple[StormRun, ...]
    file: BootFileSource
    ramp: float  # seconds within which all are switched on
    seed: int

    @classmethod
    def planned(
        cls,
        ways: Sequence[ServerSource],
        file: BootFileSource,
        *,
        clients: int,
        ramp: float,
        firmware: Sequence[Firmware],
        seed: int,
    ) -> Storm:
        """Return a storm that has not begun."""
        targets = plan(clients, ramp, firmware, seed)
        return cls(targets, tuple(StormRun(way, clients) for way in ways), file, ramp, seed)

    async def run(self) -> None:
        """Boot all targets in every way; the courses tell how it goes, and how it went."""
        epoch = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for target in self.targets:
                for storm_run in self.courses:
                    tasks.create_task(self._boot(target, storm_run, epoch))

    async def _boot(self, target: Target, storm_run: StormRun, epoch: float) -> None:
        await asyncio.sleep(epoch + target.start - asyncio.get_running_loop().time())
        storm_run.started += 1
        storm_run.boots.append(await boot(target, storm_run.way, self.file, epoch))
