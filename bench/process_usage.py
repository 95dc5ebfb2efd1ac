"""Measure the CPU time and memory of a process tree, and how busy the host is (Linux).

A process's CPU clock counts nanoseconds, and includes threads that have ended. The times in
/proc are in kernel ticks: good enough for the host, too coarse for a load of a second.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

PROC = Path("/proc")
CPUCLOCK_SCHED = 2  # clock_getcpuclockid(3), and the kernel's posix-timers.h
TICK = 1 / os.sysconf("SC_CLK_TCK")
CALM_INTERVAL = 0.3  # seconds
IDLE_FIELDS = slice(3, 5)  # idle and iowait among the fields of a CPU (proc(5))
COUNTED_FIELDS = 8  # the fields after these are in user time already


def tree(root: int) -> list[int]:
    """Return a process and all its living descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending.extend(children[pid])
    return [pid for pid in found if _stat(pid)]


def cpu_of_tree(root: int) -> dict[int, float]:
    """Return the CPU seconds that each process of a tree has used so far."""
    return {pid: used for pid in tree(root) if (used := cpu_of(pid)) is not None}


def cpu_of(pid: int) -> float | None:
    """Return the CPU seconds that a process has used so far; None if it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        return None


def used_between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Return the CPU seconds between two readings of a tree; a new process counts in full."""
    return sum(used - before.get(pid, 0.0) for pid, used in after.items())


def memory_of_tree(root: int) -> int:
    """Return the bytes (PSS) that a process tree holds."""
    return sum(memory_of(pid) for pid in tree(root))


def memory_of(pid: int) -> int:
    """Return the bytes (PSS) that a process holds; 0 if the process is gone."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    sizes = (line.split()[1] for line in text.splitlines() if line.startswith("Pss:"))
    return int(next(sizes, "0")) * 1024


def host_busy(cpus: Iterable[int]) -> float:
    """Return the CPU seconds that these CPUs have worked since boot."""
    names = {f"cpu{cpu}" for cpu in cpus}
    busy = 0.0
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name in names:
            ticks = [int(field) for field in fields[:COUNTED_FIELDS]]
            busy += (sum(ticks) - sum(ticks[IDLE_FIELDS])) * TICK
    return busy


def wait_for_calm(max_busy: float, timeout: float = 20.0) -> bool:
    """Wait until the host uses less than this share of one CPU; return False on timeout."""
    cpus = range(os.cpu_count() or 1)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        before = host_busy(cpus)
        time.sleep(CALM_INTERVAL)
        if (host_busy(cpus) - before) / CALM_INTERVAL < max_busy:
            return True
    return False


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if the process is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name may hold spaces and brackets
