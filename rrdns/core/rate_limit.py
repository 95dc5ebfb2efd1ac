"""Decide whether a network may have one more response of a kind (GCRA).

A client that sends queries with a forged source makes this server send responses there. So a
network has a bucket for each class of responses: a steady rate, a burst, and a penalty for
what it asks beyond, up to a window. During the penalty it gets nothing.

A bucket is one number, its theoretical arrival time (TAT). It has a place in a table of fixed
size, by the hash of the network: clients can neither make the table grow nor push anything
out of it. What a million sources use is spread over all buckets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

BUCKETS = 65_536  # a power of two
BURST_SECONDS = 0.4  # of a network's rate that it may use at once
SLIP_SHARE = 0.25  # of the lowest rate, for truncated responses
_MASK = BUCKETS - 1
_ROUNDING = 1e-6  # seconds: a sum of costs may come out a little above what it is


class ResponseClass(IntEnum):
    """The classes of responses that have buckets of their own."""

    ANSWERS = 0
    NEGATIVES = 1
    ERRORS = 2
    SLIPS = 3  # truncated responses in place of any


RATE_BUCKETS = BUCKETS * len(ResponseClass)


class RateBuckets(Protocol):
    """RATE_BUCKETS numbers, 0 to begin with."""

    def __getitem__(self, place: int, /) -> float:
        """Return a number."""
        ...

    def __setitem__(self, place: int, tat: float, /) -> None:
        """Replace a number."""
        ...


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How many responses a network may have over UDP, each second; 0 is no limit."""

    answers: int = 5000
    negatives: int = 5000
    errors: int = 1000
    window: float = 15.0  # seconds of penalty at most
    slip: int = 2  # every second limited response is a truncated one; 0: none is
    ipv4_prefix: int = 24
    ipv6_prefix: int = 56
    exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")

    def prefix_bytes(self, address_bytes: int) -> int:
        """Return how many bytes of an address name its network."""
        return (self.ipv4_prefix if address_bytes == 4 else self.ipv6_prefix) // 8


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """How many responses each network may have, and the buckets that say how many it had."""

    limits: RateLimits
    buckets: RateBuckets


class RateLimiter:
    """The buckets of all networks; limiters with the same buckets share the limits."""

    __slots__ = ("_limited", "_slip", "_windows", "buckets", "bursts", "costs")

    def __init__(self, limits: RateLimits, buckets: RateBuckets) -> None:
        """Count in `buckets`."""
        rates = (limits.answers, limits.negatives, limits.errors)
        slips = min(filter(None, rates), default=0) * SLIP_SHARE
        self.costs = tuple(1 / rate if rate else 0.0 for rate in (*rates, slips))
        self.bursts = tuple(
            max(BURST_SECONDS, cost) + _ROUNDING for cost in self.costs
        )  # one response at least
        # Slips have no penalty: they go on at their rate for as long as a flood does.
        self._windows = (*[limits.window] * 3, 0.0)
        self._slip = limits.slip
        self._limited = 0
        self.buckets = buckets

    @staticmethod
    def place(network: bytes) -> int:
        """Return the place of a network's buckets: that of a class is so many behind it."""
        return (hash(network) & _MASK) << 2

    def allow(self, place: int, response_class: int, now: float) -> bool:
        """Take a response from a network's bucket; return whether it may be sent.

        `now` is in seconds and never goes back.
        """
        buckets, place = self.buckets, place | response_class
        tat = max(buckets[place], now) + self.costs[response_class]
        latest = now + self.bursts[response_class]
        if tat <= latest:
            buckets[place] = tat
            return True
        if window := self._windows[response_class]:
            buckets[place] = min(tat, latest + window)
        return False

    def should_slip(self, place: int, now: float) -> bool:
        """Return whether a limited response is sent, but truncated.

        A client with its real address then asks over TCP.
        """
        self._limited += 1
        if not self._slip or self._limited % self._slip:
            return False
        return self.allow(place, ResponseClass.SLIPS, now)
