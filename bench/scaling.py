"""One worker against two: `python -m bench.scaling`.

On two cores dnsperf shares them with the two workers, so the second worker brings less
than it would with cores of its own; the figures say what was seen and no more.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from bench import cpu, load, peers, query, solo
from bench.configs import MEMBERS, pool_table


def main() -> None:
    """Run both in alternating rounds; print one line of JSON for each run."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    wanted = parser.parse_args()
    peers.be_client(None)
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as scratch, peers.members(max(cores)):
        stream = query.write_stream(Path(scratch) / "hits", "hits", 1)
        for number in range(wanted.rounds):
            for workers in (1, 2):
                found = measure(workers, stream, wanted.seconds)
                print(json.dumps({"round": number, "workers": workers} | found), flush=True)


def measure(workers: int, stream: Path, seconds: float) -> dict[str, float]:
    """Load rrdns with this many workers and no process bound to a core."""
    pools = pool_table("boot", query.HOST, MEMBERS)
    with solo.service(pools, workers=workers, server_cpu=None) as running:
        before = cpu.look(running.pid)
        outcome = load.dnsperf(running.port, stream, seconds, cpu=None, clients=16)
        used = cpu.spent(before, cpu.look(running.pid))
    return {
        "rate": round(outcome.rate),
        "lost": outcome.lost,
        "cpu_us": round(used.total / outcome.answered * 1e6, 2),
    }


if __name__ == "__main__":
    main()
