"""Summarize a storm: how many targets booted, how fast, from which servers, and why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rrdns.lab.bootstorm.target import Boot

_STEPS = tuple(step * 10.0**power for power in range(-3, 3) for step in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Share:
    """The targets of one boot server."""

    server: str
    asked: int  # targets that were sent to it
    booted: int

    @property
    def failed(self) -> int:
        """Return the number of its targets that did not boot."""
        return self.asked - self.booted


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some targets did not boot. Figures in the sentence are those of the first target."""

    targets: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from power-on to the last byte of the boot file."""

    least: float
    median: float
    p95: float
    most: float


@dataclass(frozen=True, slots=True)
class Bin:
    """The number of boots within a range of seconds."""

    low: float  # seconds, exclusive
    high: float
    boots: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of a storm, with one way to find a server."""

    targets: int
    booted: int
    shares: tuple[Share, ...]  # of the servers, by address
    uneven: float | None  # the largest deviation of a server that served from an even share
    times: Times | None  # of the targets that booted
    reasons: tuple[Reason, ...]  # the most frequent first

    @property
    def failed(self) -> int:
        """Return the number of targets that did not boot."""
        return self.targets - self.booted


def summarize(boots: Sequence[Boot]) -> Summary:
    """Return the summary of the targets' results."""
    booted = [boot for boot in boots if boot.booted]
    return Summary(
        targets=len(boots),
        booted=len(booted),
        shares=_shares(boots),
        uneven=unevenness(Counter(boot.server for boot in booted)),
        times=_times([boot.seconds for boot in booted]),
        reasons=_reasons(boots),
    )


def unevenness(served: Counter[str]) -> float | None:
    """Return the largest deviation of a server from an even share, as a fraction of that share."""
    if not served:
        return None
    even = served.total() / len(served)
    return max(abs(count - even) for count in served.values()) / even


def histogram(seconds: Sequence[float]) -> tuple[Bin, ...]:
    """Return the boots by time, in steps of 1, 2 and 5, without the empty bins at both ends."""
    edges = (0.0, *_STEPS, float("inf"))
    bins = [
        Bin(low, high, sum(1 for value in seconds if low < value <= high))
        for low, high in pairwise(edges)
    ]
    filled = [number for number, bar in enumerate(bins) if bar.boots]
    return tuple(bins[filled[0] : filled[-1] + 1]) if filled else ()


def _shares(boots: Sequence[Boot]) -> tuple[Share, ...]:
    asked = Counter(boot.server for boot in boots if boot.server)
    booted = Counter(boot.server for boot in boots if boot.booted)
    return tuple(
        Share(server, asked[server], booted[server]) for server in sorted(asked, key=_order)
    )


def _order(server: str) -> tuple[int, ...] | tuple[()]:
    """Return the key that sorts IPv4 addresses by number."""
    return tuple(int(part) for part in server.split(".") if part.isdigit())


def _times(seconds: Sequence[float]) -> Times | None:
    if not seconds:
        return None
    took = sorted(seconds)
    p95 = took[min(len(took) - 1, round(0.95 * len(took)))]
    return Times(took[0], took[len(took) // 2], p95, took[-1])


def _reasons(boots: Sequence[Boot]) -> tuple[Reason, ...]:
    """Group the failures by server and verdict."""
    groups: dict[tuple[str, str], list[Boot]] = {}
    for boot in boots:
        if not boot.booted:
            # Without a server there is no verdict, and DNS has few different reasons.
            kind = (boot.server, boot.verdict or "") if boot.server else ("", boot.reason)
            groups.setdefault(kind, []).append(boot)
    reasons = [Reason(len(group), group[0].reason) for group in groups.values()]
    return tuple(sorted(reasons, key=lambda reason: -reason.targets))
