"""Load rrdns for ten minutes while it gets orders and reloads and loses workers.

The load is half of what the worker can take. An order comes twice a second, a reload every ten
seconds, and every minute the worker is killed. Memory is read every ten seconds. An order's time
ends when the worker has applied it. With --pools there are more pools, which are not probed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench import process_usage, query_streams, servers
from bench.load_generators import dnsperf
from bench.server_configs import MEMBERS, pool_table
from bench.servers import CLIENT_CPU
from bench.tables import Spread

INTERVALS = {"orders": 0.5, "reloads": 10.0, "kills": 60.0, "memory": 10.0}  # seconds
NEVER = 3600.0  # seconds between probes


def main() -> None:
    """Find the highest rate, then run the soak; print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--pools", type=int, default=1)
    options = parser.parse_args()
    servers.use_client_cpu()
    tables = pool_table("boot", query_streams.HOST, MEMBERS) + "".join(
        pool_table(f"p{n}", f"p{n}.{query_streams.ZONE}", MEMBERS, interval=NEVER)
        for n in range(1, options.pools)
    )
    with (
        tempfile.TemporaryDirectory() as scratch,
        servers.members(),
        servers.rrdns(tables) as rrdns,
    ):
        stream = query_streams.write_kind(Path(scratch) / "plain", "plain", 1)
        about = {"configuration": "default, 1 worker", "pools": options.pools}
        print(json.dumps(about | soak(rrdns, stream, options.seconds)))


@dataclass(slots=True)
class Disturbance:
    """What was done to rrdns, and what was seen of it."""

    done: Counter[str] = field(default_factory=Counter)
    order_ms: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


def soak(rrdns: servers.Rrdns, stream: Path, seconds: float) -> dict[str, object]:
    """Load rrdns and disturb it; return what was lost and how its memory grew."""
    rate = int(dnsperf(rrdns.port, stream, 3, cpu=CLIENT_CPU).rate / 2)
    over, seen = threading.Event(), Disturbance()
    disturber = threading.Thread(target=disturb, args=(rrdns, over, seen))
    disturber.start()
    try:
        outcome = dnsperf(rrdns.port, stream, seconds, cpu=CLIENT_CPU, more=["-Q", str(rate)])
    finally:
        over.set()
        disturber.join()
    return {
        "ready s": round(rrdns.ready_seconds, 2),
        "queries/s": rate,
        "queries": outcome.sent,
        "lost": outcome.lost,
        "rcodes": outcome.rcodes,
        **{name: seen.done[name] for name in ("orders", "refused orders", "reloads", "kills")},
        "order ms": Spread.of(seen.order_ms or [0.0]).text(1),
        "memory MB": seen.memory_mb,
    }


def disturb(rrdns: servers.Rrdns, over: threading.Event, seen: Disturbance) -> None:
    """Send orders, reload, kill and read memory, each at its own interval."""
    start = time.monotonic()
    due = dict(INTERVALS)
    while not over.wait(0.05):
        for what in [what for what, at in due.items() if at <= time.monotonic() - start]:
            due[what] += INTERVALS[what]
            seen.done[what] += 1
            match what:
                case "orders":
                    order(rrdns, seen)
                case "reloads":
                    os.kill(rrdns.pid, signal.SIGHUP)
                case "kills":
                    children = servers.children_of(rrdns.pid)
                    os.kill(next(pid for pid in children if pid != rrdns.control), signal.SIGKILL)
                case _:
                    held = process_usage.memory_of_tree(rrdns.pid)
                    seen.memory_mb.append(round(held / 1e6, 1))


def order(rrdns: servers.Rrdns, seen: Disturbance) -> None:
    """Drain a member, or resume it."""
    start = time.monotonic()
    try:
        rrdns.order("drain" if seen.done["orders"] % 2 else "resume", "boot-1")
    except OSError:
        seen.done["refused orders"] += 1
    seen.order_ms.append((time.monotonic() - start) * 1000)


if __name__ == "__main__":
    main()
