"""What else the machine does while something is measured (/proc/stat, in kernel ticks)."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
LOOK = 0.3  # seconds
IDLE = slice(3, 5)  # idle and iowait among a CPU's fields (proc(5))
COUNTED = 8  # guest time is in user time already


def busy(cpu: int | None = None) -> float:
    """Return the CPU seconds that one CPU, or all of them, have worked since the start."""
    title = "cpu" if cpu is None else f"cpu{cpu}"
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == title:
            ticks = [int(field) for field in fields[:COUNTED]]
            return (sum(ticks) - sum(ticks[IDLE])) * TICK
    return 0.0


def wait_for_calm(most: float, patience: float = 60.0) -> bool:
    """Wait until all CPUs together work less than this share of one; tell whether it came."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = busy()
        time.sleep(LOOK)
        if (busy() - before) / LOOK < most:
            return True
    return False
