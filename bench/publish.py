"""How soon the answers follow a change: `python -m bench.publish`.

Two kinds of change. An order: from the call to the API until the first answer without the
member, HTTP and SQLite included. Health: the member's TFTP server is ended; from the moment
that the audit trail gives for its fall until the first answer without it. And: 20 orders a
second beside 20,000 queries a second, and reloads beside them; what is lost?
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import load, peers, query, solo
from bench.configs import MEMBERS, pool_table
from bench.latency import measure

RATE = 5_000  # queries a second that watch for the change: a grid of 0.2 ms
QUICK = 0.2  # seconds between two probes, where health changes are measured
CALM = 3600.0
OUT = MEMBERS[0]


@dataclass(slots=True)
class Watch:
    """When the answers stopped to name a member, by the kernel's clock."""

    first_without: int | None = None  # Unix time, nanoseconds
    relapses: int = 0  # answers that named it after that

    def __call__(self, reply: bytes, arrived: int) -> None:
        """Look at one answer."""
        if not solo.names(reply, OUT):
            self.first_without = self.first_without or arrived
        elif self.first_without:
            self.relapses += 1


@dataclass(slots=True)
class Found:
    """What the changes took."""

    what: str
    pools: int
    milliseconds: list[float] = field(default_factory=list)
    relapses: int = 0
    lost: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the figures that matter."""
        ranked = sorted(self.milliseconds)
        return {
            "what": self.what,
            "pools": self.pools,
            "changes": len(ranked),
            "median_ms": round(ranked[len(ranked) // 2], 2),
            "p99_ms": round(ranked[min(int(len(ranked) * 0.99), len(ranked) - 1)], 2),
            "max_ms": round(ranked[-1], 2),
            "relapses": self.relapses,
            "lost": self.lost,
        }


def main() -> None:
    """Measure what the command line asks for; print one line of JSON for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--pools", type=int, nargs="*", default=[1, 10_000])
    parser.add_argument("--seconds", type=float, default=10.0, help="of the loads beside changes")
    wanted = parser.parse_args()
    peers.be_client(solo.CLIENT_CPU)
    with peers.boot_files() as files, tempfile.TemporaryDirectory() as scratch:
        for count in wanted.pools:
            everyone = Members(files, Path(scratch) / "tftpd.log")
            with everyone.running(), solo.service(pools_of(count)) as running:
                print(json.dumps(by_order(running, count, wanted.changes).to_json()), flush=True)
                health = by_health(running, everyone, count, wanted.changes)
                print(json.dumps(health.to_json()), flush=True)
                print(json.dumps(busy(running, count, wanted.seconds)), flush=True)


def pools_of(count: int) -> str:
    """Return the usual pool, probed quickly, and `count - 1` that are seldom probed."""
    first = pool_table("boot", query.HOST, MEMBERS, interval=QUICK)
    others = solo.many_pools(count, 3, CALM).split("[[pools]]")[2:]
    return first + "".join(f"[[pools]]{table}" for table in others)


class Members:
    """The TFTP servers of the usual pool; the first one comes and goes."""

    def __init__(self, files: Path, log: Path) -> None:
        self._files = files
        self._log = log
        self._first = ExitStack()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run them all for the length of the block."""
        with ExitStack() as stack:
            for address in MEMBERS[1:]:
                stack.enter_context(self._server(address))
            self.begin()
            stack.callback(self.stop)
            yield

    def begin(self) -> None:
        """Start the first member's server."""
        self._first.enter_context(self._server(OUT))

    def stop(self) -> None:
        """End the first member's server."""
        self._first.close()

    def _server(self, address: str) -> AbstractContextManager[Any]:
        return peers.tftpd(address, self._files, solo.CLIENT_CPU, self._log)


def by_order(running: solo.Service, pools: int, changes: int) -> Found:
    """Drain a member again and again."""
    found = Found("order, from the call to the first answer without the member", pools)
    for _ in range(changes):
        begun: list[int] = []

        def order(begun: list[int] = begun) -> None:
            time.sleep(0.1)
            begun.append(time.time_ns())
            running.drain("boot-1")

        watch, lost = watch_during(running, order, 0.4)
        _note(found, watch, lost, begun[0])
        running.resume("boot-1")
    return found


def by_health(running: solo.Service, members: Members, pools: int, changes: int) -> Found:
    """End a member's TFTP server again and again."""
    found = Found("health, from the member's fall to the first answer without it", pools)
    for _ in range(changes):
        solo.wait_for(lambda: _is_named(running), 20)

        def fall() -> None:
            time.sleep(0.05)
            members.stop()

        watch, lost = watch_during(running, fall, QUICK * 3 + 1.0)
        entries = running.call("GET", "/v1/audit?limit=20&member=boot-1")
        _note(found, watch, lost, int(_last_fall(entries) * 1e9))
        members.begin()
    return found


def _last_fall(entries: Any) -> float:
    """Return when the member last fell, Unix seconds; the API tells whole milliseconds."""
    falls = (
        entry["at"]
        for entry in entries["entries"]
        if entry["action"] == "standing" and entry["after"] == "down"
    )
    return dt.datetime.fromisoformat(next(falls)).timestamp()


def _is_named(running: solo.Service) -> bool:
    reply = peers.ask(running.port, query.encode(query.HOST))
    return reply is not None and solo.names(reply, OUT)


def watch_during(
    running: solo.Service, act: Callable[[], None], seconds: float
) -> tuple[Watch, int]:
    """Look at the answers while something is done; return what was seen and what was lost."""
    watch = Watch()
    actor = threading.Thread(target=act)
    actor.start()
    result = measure(running.port, [query.encode(query.HOST)], RATE, seconds, watch)
    actor.join()
    return watch, result.lost


def _note(found: Found, watch: Watch, lost: int, begun: int) -> None:
    took = (watch.first_without - begun) / 1e6 if watch.first_without else float("inf")
    found.milliseconds.append(took)
    found.relapses += watch.relapses
    found.lost += lost


def busy(running: solo.Service, pools: int, seconds: float) -> dict[str, Any]:
    """Give 20 orders a second and a reload each second beside 20,000 queries a second."""
    done = threading.Event()
    orders: list[float] = []

    def give() -> None:
        number = 0
        while not done.wait(0.05):
            begun = time.monotonic()
            if number % 20 == 0:
                solo.kill(running.pid, signal.SIGHUP)
            (running.resume if number % 2 else running.drain)("boot-2")
            orders.append(time.monotonic() - begun)
            number += 1

    giver = threading.Thread(target=give)
    with tempfile.TemporaryDirectory() as scratch:
        stream = query.write_stream(Path(scratch) / "hits", "hits", 1)
        giver.start()
        outcome = load.dnsperf(running.port, stream, seconds, cpu=solo.CLIENT_CPU, rate=20_000)
        done.set()
        giver.join()
    return {
        "what": "orders and reloads beside 20,000 queries a second",
        "pools": pools,
        "orders_per_second": round(len(orders) / seconds, 1),
        "order_max_ms": round(max(orders) * 1e3, 1),
        "queries": outcome.sent,
        "lost": outcome.lost,
        "rcodes": outcome.rcodes,
    }


if __name__ == "__main__":
    main()
