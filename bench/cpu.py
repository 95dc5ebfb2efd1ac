"""What a server costs, by the operating system's own account: CPU time and memory of its processes.

The total comes from each process's CPU clock, which counts nanoseconds and the threads that
have ended; how much of it is user and how much system comes from /proc, where the kernel
samples it at its ticks.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PROCESS_CLOCK = 2  # CPUCLOCK_SCHED: see clock_getcpuclockid(3) and the kernel's posix-timers.h
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds that a process has used since it began."""

    total: float
    user: float  # in ticks of the kernel: coarse
    system: float


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds that a tree of processes used between two looks, and its busiest process."""

    user: float
    system: float
    busiest: float  # of the one process that used the most: a DNS worker

    @property
    def total(self) -> float:
        """Return user and system together."""
        return self.user + self.system


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a tree of processes, and of its busiest process."""

    pss: int  # shared pages are divided among those who share them
    largest: int  # the PSS of the process that holds most
    unshared: int  # of that process: what it alone holds


def tree(root: int) -> list[int]:
    """Return a process and all its descendants that are alive."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children[int(fields[1])].append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children[pid])
    return [pid for pid in found if _stat(pid)]


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits for its parent does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def look(root: int) -> dict[int, Cpu]:
    """Return what each process of a tree has used so far."""
    seen = {pid: _cpu(pid) for pid in tree(root)}
    return {pid: cpu for pid, cpu in seen.items() if cpu is not None}


def spent(before: Mapping[int, Cpu], after: Mapping[int, Cpu]) -> Spent:
    """Return what was used between two looks; a process that came in between counts in full."""
    none = Cpu(0.0, 0.0, 0.0)
    totals = {pid: cpu.total - before.get(pid, none).total for pid, cpu in after.items()}
    user = sum(cpu.user - before.get(pid, none).user for pid, cpu in after.items())
    system = sum(cpu.system - before.get(pid, none).system for pid, cpu in after.items())
    total = sum(totals.values())
    share = user / (user + system) if user + system else 0.0
    return Spent(total * share, total * (1 - share), max(totals.values(), default=0.0))


def memory(root: int) -> Memory:
    """Return what a tree of processes holds in memory now."""
    held = [_rollup(pid) for pid in tree(root)]
    largest = max(held, key=lambda fields: fields.get("Pss", 0), default={})
    return Memory(
        pss=sum(fields.get("Pss", 0) for fields in held),
        largest=largest.get("Pss", 0),
        unshared=largest.get("Private_Clean", 0) + largest.get("Private_Dirty", 0),
    )


def memory_of(pid: int) -> int:
    """Return the bytes that one process holds, its share of shared pages included."""
    return _rollup(pid).get("Pss", 0)


def _cpu(pid: int) -> Cpu | None:
    fields = _stat(pid)
    if not fields:
        return None
    user, system = int(fields[11]) * TICK, int(fields[12]) * TICK
    try:
        total = time.clock_gettime((~pid << 3) | PROCESS_CLOCK)
    except OSError:
        total = user + system
    return Cpu(total, user, system)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if the process is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name may hold spaces and brackets


def _rollup(pid: int) -> dict[str, int]:
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return {}
    lines = (line.split() for line in text.splitlines()[1:])
    return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines if len(fields) == 3}
