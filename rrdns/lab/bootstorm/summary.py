"""Sum up what came of the targets of a storm: how many booted, how fast, from whom, why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rrdns.lab.bootstorm.target import Boot

_STEPS = tuple(step * 10.0**power for power in range(-3, 3) for step in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Share:
    """What one boot server had of a storm."""

    server: str
    asked: int  # targets that were sent to it
    booted: int

    @property
    def failed(self) -> int:
        """The number of targets that were sent to it and did not boot."""
        return self.asked - self.booted


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some targets did not boot; where a sentence has figures, they are the first one's."""

    targets: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from switching on to the last byte of the boot file."""

    least: float
    median: float
    p95: float
    most: float


@dataclass(frozen=True, slots=True)
class Bin:
    """How many boots took so long."""

    low: float  # seconds, exclusive
    high: float
    boots: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A storm, in one way of finding the server."""

    targets: int
    booted: int
    shares: tuple[Share, ...]  # of the servers, by address
    uneven: float | None  # the most that a server which served is away from an even share
    times: Times | None  # of those that booted
    reasons: tuple[Reason, ...]  # the most frequent first

    @property
    def failed(self) -> int:
        """The number of targets that did not boot."""
        return self.targets - self.booted


def summarize(boots: Sequence[Boot]) -> Summary:
    """Return what there is to say of these targets."""
    booted = [one for one in boots if one.booted]
    return Summary(
        targets=len(boots),
        booted=len(booted),
        shares=_shares(boots),
        uneven=unevenness(Counter(one.server for one in booted)),
        times=_times([one.seconds for one in booted]),
        reasons=_reasons(boots),
    )


def unevenness(served: Counter[str]) -> float | None:
    """Return how far the server farthest from an even share is from it, as part of that share."""
    if not served:
        return None
    even = served.total() / len(served)
    return max(abs(count - even) for count in served.values()) / even


def histogram(seconds: Sequence[float]) -> tuple[Bin, ...]:
    """Return the boots by time, in steps of 1, 2 and 5; the empty ends are left out."""
    edges = (0.0, *_STEPS, float("inf"))
    bins = [
        Bin(low, high, sum(1 for one in seconds if low < one <= high))
        for low, high in pairwise(edges)
    ]
    filled = [number for number, one in enumerate(bins) if one.boots]
    return tuple(bins[filled[0] : filled[-1] + 1]) if filled else ()


def _shares(boots: Sequence[Boot]) -> tuple[Share, ...]:
    asked = Counter(one.server for one in boots if one.server)
    booted = Counter(one.server for one in boots if one.booted)
    return tuple(
        Share(server, asked[server], booted[server]) for server in sorted(asked, key=_order)
    )


def _order(server: str) -> tuple[int, ...] | tuple[()]:
    """Sort IPv4 addresses by number."""
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
    for one in boots:
        if not one.booted:
            # Without a server there is no verdict, and the reasons of DNS are few.
            kind = (one.server, one.verdict or "") if one.server else ("", one.reason)
            groups.setdefault(kind, []).append(one)
    reasons = [Reason(len(group), group[0].reason) for group in groups.values()]
    return tuple(sorted(reasons, key=lambda reason: -reason.targets))
