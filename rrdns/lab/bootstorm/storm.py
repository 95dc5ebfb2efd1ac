"""Boot many targets, as after a power cut or on a Monday morning, with one or more names.

A plan from a seed decides in advance when each target starts, with which firmware and which
IDs. Several ways to find a server run at the same time with separate targets. So the servers are
in the same state for all.
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
    """The state of a storm, with one way to find a server."""

    way: ServerSource
    count: int  # of targets
    started: int = 0
    boots: list[Boot] = field(default_factory=list)  # of the targets that are finished

    @property
    def booted(self) -> int:
        """Return the number of targets that have booted."""
        return sum(1 for boot in self.boots if boot.booted)

    @property
    def running(self) -> int:
        """Return the number of targets that are booting."""
        return self.started - len(self.boots)


def plan(clients: int, ramp: float, firmware: Sequence[Firmware], seed: int) -> tuple[Target, ...]:
    """Return the targets of a storm, each with a random start within the ramp.

    Several kinds of firmware are equally frequent, in random order.
    """
    rng = Random(seed)  # noqa: S311  # the same numbers in each run
    starts = sorted(rng.uniform(0.0, ramp) for _ in range(clients))
    kinds = [firmware[number % len(firmware)] for number in range(clients)]
    rng.shuffle(kinds)
    return tuple(
        Target(number, kind, start, rng.getrandbits(32))
        for number, (kind, start) in enumerate(zip(kinds, starts, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Storm:
    """Targets that boot within the ramp, once for each way to find a server."""

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
        """Return a storm that has not started."""
        targets = plan(clients, ramp, firmware, seed)
        return cls(targets, tuple(StormRun(way, clients) for way in ways), file, ramp, seed)

    async def run(self) -> None:
        """Boot all targets in every way; `courses` has the progress and the results."""
        epoch = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for target in self.targets:
                for storm_run in self.courses:
                    tasks.create_task(self._boot(target, storm_run, epoch))

    async def _boot(self, target: Target, storm_run: StormRun, epoch: float) -> None:
        await asyncio.sleep(epoch + target.start - asyncio.get_running_loop().time())
        storm_run.started += 1
        storm_run.boots.append(await boot(target, storm_run.way, self.file, epoch))
