"""How rrdns grows with its pools and members: `python -m bench.growth`.

Per size: seconds until the first right answer, memory per worker, and what one member's
change costs (the order is given over the API; its CPU includes HTTP and SQLite).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench import cpu, peers, solo

SIZES = ((1, 3), (100, 3), (10_000, 3), (1, 30), (1, 1_000))
CHANGES = 20
CALM = 3600.0  # seconds between two probes: growth is measured, not probing


@dataclass(frozen=True, slots=True)
class Grown:
    """What rrdns needs at one size."""

    pools: int
    members: int
    ready_seconds: float
    worker_mb: float  # its own pages and its share of those it shares
    control_mb: float
    change_ms: float  # wall time of one order, from the call to the acknowledgement, median
    change_worker_cpu_ms: float  # CPU of one change
    change_control_cpu_ms: float


def main() -> None:
    """Measure each size and print one line of JSON for it."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--most", type=int, default=10_000, help="pools")
    wanted = parser.parse_args()
    peers.be_client(solo.CLIENT_CPU)
    with peers.boot_files() as files, tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "tftpd.log"
        with peers.tftpd("0.0.0.0", files, solo.CLIENT_CPU, log):
            for pools, members in SIZES:
                if pools <= wanted.most:
                    print(json.dumps(asdict(measure(pools, members))), flush=True)


def measure(pools: int, members: int) -> Grown:
    """Start rrdns at one size and look at it."""
    last = "boot" if pools == 1 else f"p{pools - 1}"
    text = solo.many_pools(pools, members, CALM)
    with solo.service(text, hostname=f"{last}.pvs.example.test") as running:
        time.sleep(1.0)  # the disk and the first probes
        held = cpu.memory_of(running.workers[0]), cpu.memory_of(running.control)
        before = cpu.look(running.pid)
        walls = [_change(running, number) for number in range(CHANGES)]
        after = cpu.look(running.pid)
    return Grown(
        pools=pools,
        members=members,
        ready_seconds=round(running.ready_after, 3),
        worker_mb=round(held[0] / 1e6, 1),
        control_mb=round(held[1] / 1e6, 1),
        change_ms=round(median(walls) * 1e3, 2),
        change_worker_cpu_ms=_cpu_ms(before, after, running.workers[0]),
        change_control_cpu_ms=_cpu_ms(before, after, running.control),
    )


def _change(running: solo.Service, number: int) -> float:
    begun = time.monotonic()
    if number % 2:
        running.resume("boot-1")
    else:
        running.drain("boot-1")
    return time.monotonic() - begun


def _cpu_ms(before: dict[int, cpu.Cpu], after: dict[int, cpu.Cpu], pid: int) -> float:
    return round((after[pid].total - before[pid].total) / CHANGES * 1e3, 2)


if __name__ == "__main__":
    main()
