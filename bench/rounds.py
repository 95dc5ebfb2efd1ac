"""Run every load against every server in alternating rounds.

Within a load the servers follow one another at once, and each round starts with the next
server. So other work on the machine affects all servers alike, and figures of one round can be
compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import load_generators, process_usage, query_streams
from bench.load_generators import IDS, Outcome
from bench.servers import CLIENT_CPU, Running, exchange

FIXED_RATE = 20_000  # queries a second
STREAM = 300_000  # datagrams of a kind, more than the fastest server answers in a second
COOKIE_CLIENTS = 100
TCP_CONNECTIONS = 10
PAUSE = 0.2  # seconds between two servers


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of one load on one server in one round."""

    server: str
    load: str
    round: int
    sent: int
    answered: int
    rate: float  # responses a second
    cpu_us: float  # CPU microseconds per response, of the server's whole process tree
    memory: int  # bytes (PSS) of the whole tree, right after the load
    other_load: float  # CPUs' worth of other work on the server's CPUs
    p50_us: float | None = None
    p99_us: float | None = None

    @property
    def lost(self) -> int:
        """Return how many queries got no response."""
        return self.sent - self.answered


@dataclass(frozen=True, slots=True)
class Plan:
    """How the loads are run."""

    streams: Path  # a directory for the files that dnsperf reads
    seconds: float
    seed: int
    sockets: int  # of dnsperf over UDP
    calm: float | None = None  # wait before each load until the host is less busy than this

    def stream(self, kind: str) -> Path:
        """Return the file with the datagrams of a kind."""
        path = self.streams / f"{kind}.stream"
        if not path.exists():
            query_streams.write_kind(path, kind, STREAM, self.seed)
        return path

    def cookie_stream(self, port: int) -> Path:
        """Return a file with the queries of clients that have a cookie of this server."""
        queries = query_streams.earned_cookies(partial(exchange, port), COOKIE_CLIENTS, self.seed)
        return query_streams.write_stream(self.streams / f"cookie-{port}.stream", queries)


# Prepares a load for the server at a port, and returns what runs it.
Load = Callable[[Plan, int], Callable[[], Outcome]]


def _dnsperf(kind: str, *, tcp: bool = False) -> Load:
    def prepare(plan: Plan, port: int) -> Callable[[], Outcome]:
        stream = plan.cookie_stream(port) if kind == "cookie" else plan.stream(kind)
        return partial(
            load_generators.dnsperf,
            port,
            stream,
            plan.seconds,
            cpu=CLIENT_CPU,
            clients=TCP_CONNECTIONS if tcp else plan.sockets,
            more=["-m", "tcp"] if tcp else [],
        )

    return prepare


def _batched(plan: Plan, port: int) -> Callable[[], Outcome]:
    datagrams = list(query_streams.datagrams("plain", IDS))
    return partial(load_generators.saturate, port, datagrams, plan.seconds)


def _latency(plan: Plan, port: int) -> Callable[[], Outcome]:
    query = query_streams.encode(query_streams.HOST)
    return partial(load_generators.measure_latency, port, query, FIXED_RATE, plan.seconds)


LOADS: dict[str, Load] = {
    "plain": _dnsperf("plain"),
    "cookie": _dnsperf("cookie"),
    **{kind: _dnsperf(kind) for kind in query_streams.KINDS if kind != "plain"},
    "tcp": _dnsperf("plain", tcp=True),
    "batched": _batched,
    "latency": _latency,
}
TITLES = {
    "plain": "plain clients: A, no EDNS",
    "cookie": f"cookie clients: {COOKIE_CLIENTS} clients that have a cookie of the server",
    "edns": "A with EDNS, no options",
    "new-cookie": "a new client cookie in each query",
    "nxdomain": "random names, NXDOMAIN",
    "case": "random case (0x20)",
    "options": "random unknown EDNS options",
    "tcp": f"A over TCP, {TCP_CONNECTIONS} connections",
    "batched": "A in batches, 256 in flight, one socket",
    "latency": f"A, {FIXED_RATE:,} evenly spaced queries a second, one socket",
}


def run(
    plan: Plan, running: Sequence[Running], loads: Sequence[str], rounds: int
) -> Iterator[Sample]:
    """Run all loads against all servers `rounds` times; yield each sample as it comes."""
    for number in range(rounds):
        first = number % len(running)
        for load in loads:
            for server in [*running[first:], *running[:first]]:
                time.sleep(PAUSE)
                start = LOADS[load](plan, server.port)
                if plan.calm is not None:
                    process_usage.wait_for_calm(plan.calm)
                yield measure(server, load, number, start)


class WrongResponse(Exception):
    """A server sends errors or nothing, so its cost means nothing."""


def measure(server: Running, load: str, number: int, start: Callable[[], Outcome]) -> Sample:
    """Run a load and return what it cost the server.

    Raises:
        WrongResponse: there is no response, or one with a response code that is not expected.
    """
    begin, busy, own = time.monotonic(), process_usage.host_busy(server.cpus), _own_cpu()
    before = process_usage.cpu_of_tree(server.pid)
    outcome = start()
    used = process_usage.used_between(before, process_usage.cpu_of_tree(server.pid))
    other = process_usage.host_busy(server.cpus) - busy - used
    other -= _own_cpu() - own if CLIENT_CPU in server.cpus else 0.0
    took = time.monotonic() - begin
    expected = "NXDOMAIN" if load == "nxdomain" else "NOERROR"
    if set(outcome.rcodes) - {expected} or not outcome.answered:
        raise WrongResponse(f"{server.name}, {load}: {outcome.rcodes}")
    return Sample(
        server=server.name,
        load=load,
        round=number,
        sent=outcome.sent,
        answered=outcome.answered,
        rate=outcome.rate,
        cpu_us=used / outcome.answered * 1e6,
        memory=process_usage.memory_of_tree(server.pid),
        other_load=max(other / took, 0.0),
        p50_us=outcome.quantile(0.5),
        p99_us=outcome.quantile(0.99),
    )


def _own_cpu() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
