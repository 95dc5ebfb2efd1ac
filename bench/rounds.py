"""Run the loads against the servers in turns: what else the machine does hits all alike.

Each round runs every load; within a load the servers follow one another at once, and each
round begins with another server. Only figures of one round are set against one another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench import cpu, load, noise, query
from bench.latency import Latency, measure
from bench.peers import Running

FIXED_RATE = 20_000  # queries a second
STREAM = 300_000  # datagrams of a kind, more than the busiest server answers in two seconds
IDS = 65_536
SETTLE = 0.2  # seconds between two servers


@dataclass(frozen=True, slots=True)
class Sample:
    """What one server did under one load in one round."""

    server: str
    load: str
    round: int
    sent: int
    answered: int
    rate: float  # answers a second
    rcodes: dict[str, int]
    user_us: float  # CPU microseconds per answer, the server's whole process tree
    system_us: float
    busiest_us: float  # of the one process that used the most
    pss: int  # bytes, the whole tree, right after the load
    largest: int  # bytes, the largest process
    foreign: float  # share of the server's CPU that other processes took meanwhile
    p50_us: float | None = None
    p99_us: float | None = None
    p999_us: float | None = None

    @property
    def cpu_us(self) -> float:
        """Return CPU microseconds per answer, user and system."""
        return self.user_us + self.system_us

    @property
    def lost(self) -> int:
        """Return how many queries got no answer."""
        return self.sent - self.answered

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self) | {"cpu_us": self.cpu_us, "lost": self.lost}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Sample:
        """Return the sample that `to_json` wrote."""
        return cls(**{field.name: value[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Bench:
    """How the loads are run."""

    streams: Path  # a directory for the files that dnsperf reads
    seconds: float
    client_cpu: int
    server_cpu: int
    seed: int
    calm: float | None = None  # wait before each load until others use less of the machine

    def stream(self, kind: str) -> Path:
        """Return the file with the datagrams of a kind, written when it is first asked for."""
        path = self.streams / f"{kind}.stream"
        return path if path.exists() else query.write_stream(path, kind, STREAM, self.seed)


Result = load.Outcome | Latency
Load = Callable[[Bench, int], Result]


def _by_dnsperf(kind: str, *, rate: int | None = None, tcp: bool = False) -> Load:
    def run(bench: Bench, port: int) -> Result:
        return load.dnsperf(
            port, bench.stream(kind), bench.seconds, cpu=bench.client_cpu, rate=rate, tcp=tcp
        )

    return run


def _in_batches(kind: str) -> Load:
    def run(bench: Bench, port: int) -> Result:
        count = IDS if kind in query.REPEATING else STREAM
        return load.saturate(port, list(query.datagrams(kind, count, bench.seed)), bench.seconds)

    return run


def _timed(kind: str) -> Load:
    def run(bench: Bench, port: int) -> Result:
        return measure(port, list(query.datagrams(kind, 1, bench.seed)), FIXED_RATE, bench.seconds)

    return run


LOADS: dict[str, Load] = (
    {kind: _by_dnsperf(kind) for kind in query.KINDS}
    | {f"{kind}-batched": _in_batches(kind) for kind in query.KINDS}
    | {
        "tcp": _by_dnsperf("hits", tcp=True),
        "rate": _by_dnsperf("hits", rate=FIXED_RATE),
        "latency": _timed("hits"),
    }
)
KIND_TITLES = {
    "hits": "Plain A, hit",
    "edns": "A with EDNS, hit",
    "nxdomain": "Random names, NXDOMAIN",
    "case": "Random case (0x20)",
    "cookies": "EDNS with random cookies",
    "options": "EDNS with random unknown options",
}
TITLES = (
    {kind: f"{title} (dnsperf, 100 in flight)" for kind, title in KIND_TITLES.items()}
    | {
        f"{kind}-batched": f"{title} (in batches, 256 in flight)"
        for kind, title in KIND_TITLES.items()
    }
    | {
        "tcp": "Plain A over TCP (dnsperf, 10 connections, 100 in flight)",
        "rate": f"Plain A at {FIXED_RATE:,} queries/s (dnsperf)",
        "latency": f"Plain A at {FIXED_RATE:,} queries/s, evenly spaced",
    }
)


def run(
    bench: Bench, running: Sequence[Running], loads: Sequence[str], rounds: int
) -> Iterator[Sample]:
    """Run all loads against all servers `rounds` times; yield each sample as it comes."""
    for number in range(rounds):
        first = number % len(running)
        for name in loads:
            for server in [*running[first:], *running[:first]]:
                time.sleep(SETTLE)
                if bench.calm is not None:
                    noise.wait_for_calm(bench.calm)
                yield sample(bench, server, name, number)


def sample(bench: Bench, server: Running, name: str, number: int) -> Sample:
    """Run one load against one server."""
    begun, busy = time.monotonic(), noise.busy(bench.server_cpu)
    before = cpu.look(server.pid)
    result = LOADS[name](bench, server.port)
    used = cpu.spent(before, cpu.look(server.pid))
    foreign = noise.busy(bench.server_cpu) - busy - used.total
    took = time.monotonic() - begun
    held = cpu.memory(server.pid)
    timed = result if isinstance(result, Latency) else None
    answered = max(result.sent - result.lost, 1)
    return Sample(
        server=server.name,
        load=name,
        round=number,
        sent=result.sent,
        answered=result.sent - result.lost,
        rate=result.rate,
        rcodes={} if isinstance(result, Latency) else result.rcodes,
        user_us=used.user / answered * 1e6,
        system_us=used.system / answered * 1e6,
        busiest_us=used.busiest / answered * 1e6,
        pss=held.pss,
        largest=held.largest,
        foreign=max(foreign / took, 0.0),
        p50_us=timed.quantile(0.5) if timed else None,
        p99_us=timed.quantile(0.99) if timed else None,
        p999_us=timed.quantile(0.999) if timed else None,
    )
