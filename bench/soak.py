"""Ten minutes of everything at once: `python -m bench.soak`.

Half of what one worker can take, with a change twice a second, a reload every ten seconds
and a killed worker every minute. Memory is looked at every ten seconds.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import cpu, load, peers, query, solo
from bench.configs import MEMBERS, pool_table

CHANGE_INTERVAL, RELOAD_INTERVAL, KILL_INTERVAL, POLL_INTERVAL = 0.5, 10.0, 60.0, 10.0


@dataclass(slots=True)
class Done:
    """What was done to rrdns meanwhile."""

    changes: int = 0
    refused: int = 0  # orders that found no control process or were turned down
    reloads: int = 0
    kills: int = 0
    memory_mb: list[float] = field(default_factory=list)


def main() -> None:
    """Find out half of the highest rate, then soak."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    wanted = parser.parse_args()
    peers.be_client(solo.CLIENT_CPU)
    with tempfile.TemporaryDirectory() as scratch, peers.members(solo.CLIENT_CPU):
        stream = query.write_stream(Path(scratch) / "hits", "hits", 1)
        with solo.service(pool_table("boot", query.HOST, MEMBERS)) as running:
            print(json.dumps(soak(running, stream, wanted.seconds)), flush=True)


def soak(running: solo.Service, stream: Path, seconds: float) -> dict[str, object]:
    """Load rrdns and disturb it; return what was lost and what its memory did."""
    client = solo.CLIENT_CPU
    rate = int(load.dnsperf(running.port, stream, 3, cpu=client).rate / 2)
    over, done = threading.Event(), Done()
    disturber = threading.Thread(target=disturb, args=(running, over, done))
    disturber.start()
    outcome = load.dnsperf(running.port, stream, seconds, cpu=client, rate=rate)
    over.set()
    disturber.join()
    return {
        "rate": rate,
        "queries": outcome.sent,
        "lost": outcome.lost,
        "rcodes": outcome.rcodes,
        "changes": done.changes,
        "refused": done.refused,
        "reloads": done.reloads,
        "kills": done.kills,
        "memory_mb": done.memory_mb,
    }


def disturb(running: solo.Service, over: threading.Event, done: Done) -> None:
    """Change, reload, kill and look, each in its own rhythm."""
    begun = time.monotonic()
    due = {"change": 0.0, "reload": RELOAD_INTERVAL, "kill": KILL_INTERVAL, "look": POLL_INTERVAL}
    every = {
        "change": CHANGE_INTERVAL,
        "reload": RELOAD_INTERVAL,
        "kill": KILL_INTERVAL,
        "look": POLL_INTERVAL,
    }
    while not over.wait(0.05):
        for what in [what for what, at in due.items() if at <= time.monotonic() - begun]:
            due[what] += every[what]
            _do(what, running, done)


def _do(what: str, running: solo.Service, done: Done) -> None:
    match what:
        case "change":
            try:
                (running.resume if done.changes % 2 else running.drain)("boot-1")
                done.changes += 1
            except (OSError, solo.Refused):
                done.refused += 1
        case "reload":
            solo.kill(running.pid, signal.SIGHUP)
            done.reloads += 1
        case "kill":
            worker = next(pid for pid in solo.children(running.pid) if pid != running.control)
            solo.kill(worker)
            done.kills += 1
        case _:
            done.memory_mb.append(round(cpu.memory(running.pid).pss / 1e6, 1))


if __name__ == "__main__":
    main()
