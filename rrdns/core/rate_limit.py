"""Decide whether a network may have one more response of a kind.

Whoever sends queries in another's name makes us send answers there. A network therefore has
an account for each kind of response: a steady rate, a credit for bursts, and a debt for what
it asks beyond, up to a window; while it is in debt it gets nothing.

An account is one number, the time at which it is settled. It lives at a place in a table of
fixed size that the network's hash names: strangers can neither make the table grow nor push
anything out of it. What a million sources spend is spread over all the places.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

BUCKETS = 65_536  # a power of two
BURST_SECONDS = 0.4  # seconds of a network's rate that it may use at once
SLIP_SHARE = 0.25  # of the least rate, for truncated answers: with the credit still below it
_MASK = BUCKETS - 1
_ROUNDING = 1e-6  # seconds: a sum of costs may come out a little above what it is


class ResponseClass(IntEnum):
    """The kinds of responses that have accounts of their own."""

    ANSWERS = 0
    NEGATIVES = 1
    ERRORS = 2
    SLIPS = 3  # truncated answers, in place of any


RATE_BUCKETS = BUCKETS * len(ResponseClass)


class RateBuckets(Protocol):
    """ACCOUNTS numbers, 0 to begin with."""

    def __getitem__(self, place: int, /) -> float:
        """Return a number."""
        ...

    def __setitem__(self, place: int, settled: float, /) -> None:
        """Replace a number."""
        ...


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How many responses a network may have over UDP, each second; 0 is no limit."""

    answers: int = 5000
    negatives: int = 5000
    errors: int = 1000
    window: float = 15.0  # seconds of debt at most
    slip: int = 2  # every second limited response is a truncated one; 0: none is
    ipv4_prefix: int = 24
    ipv6_prefix: int = 56
    exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")


class RateLimiter:
    """The accounts of all networks; whoever shares the numbers shares the limits."""

    __slots__ = ("_buckets", "_bursts", "_costs", "_limited", "_slip", "_tats")

    def __init__(self, limits: RateLimits, accounts: RateBuckets) -> None:
        """Keep the books in `accounts`."""
        rates = (limits.answers, limits.negatives, limits.errors)
        field_errors = min(filter(None, rates), default=0) * SLIP_SHARE
        self._costs = tuple(1 / rate if rate else 0.0 for rate in (*rates, field_errors))
        self._bursts = tuple(
            max(BURST_SECONDS, cost) + _ROUNDING for cost in self._costs
        )  # one at least
        # Slips have no debt: they go on at their rate for as long as a flood does.
        self._tats = (*[limits.window] * 3, 0.0)
        self._slip = limits.slip
        self._limited = 0
        self._buckets = accounts

    def allow(self, network: bytes, family: int, now: float) -> bool:
        """Take a response from a network's account; tell whether it may be given.

        `now` is in seconds and never goes back.
        """
        accounts = self._buckets
        place = (hash(network) & _MASK) << 2 | family
        settled = accounts[place]
        if settled < now:
            settled = now
        settled += self._costs[family]
        latest = now + self._bursts[family]
        if settled <= latest:
            accounts[place] = settled
            return True
        if debt := self._tats[family]:
            accounts[place] = min(settled, latest + debt)
        return False

    def should_slip(self, network: bytes, now: float) -> bool:
        """Tell whether a limited response is answered all the same, truncated.

        A client that is who it says it is then asks over TCP.
        """
        self._limited += 1
        if not self._slip or self._limited % self._slip:
            return False
        return self.allow(network, ResponseClass.SLIPS, now)
