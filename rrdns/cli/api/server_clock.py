"""Estimate the time of the API's host, whose clock may differ from this host's.

If the admin's clock is an hour fast, no member must be shown as safe too early. Responses
contain times that the API's clock has reached: the Date header, cut to whole seconds, and the
start of an order, which is exact. Between responses, time is counted on a monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

from rrdns.store.boot_time import boottime
from rrdns.timeformat import from_rfc3339

SECOND = 1.0  # what a Date is cut to


class ServerClock:
    """The API's clock, as far as its responses show it."""

    def __init__(
        self, clock: Callable[[], float] = time.time, steady: Callable[[], float] | None = None
    ) -> None:
        """Set this host's clocks. A test's wall clock is also used as the monotonic one."""
        self._clock = clock
        self.steady = steady or (boottime if clock is time.time else clock)
        self._by_date = 0.0  # the last response's Date minus our time, seconds
        self._least: float | None = None  # how far it is ahead of our steady clock, at least

    def now(self) -> float:
        """Return the API's time, or ours if the two clocks are close to each other."""
        alike = -1.5 < self._by_date < 0.5
        return self._clock() + (0.0 if alike else self._by_date)

    def at_least(self) -> float:
        """Return a time that the API's clock has certainly reached, for safe waiting."""
        return self._clock() if self._least is None else self.steady() + self._least

    def note_date(self, date: str | None, asked_at: float) -> None:
        """Learn from a response's Date. `asked_at` is the call's time on our steady clock."""
        with suppress(ValueError, TypeError):
            there = parsedate_to_datetime(date or "").timestamp()
            self._by_date = there - self._clock()
            # The API's clock was set back since then: use its new time.
            if self._least is not None and self._least > there + SECOND - asked_at:
                self._least = None
            self._reached(there)

    def note_order(self, done: Mapping[str, Any]) -> None:
        """Learn from an order's response: an override in force has begun."""
        for override in _overrides(done):
            with suppress(ValueError, TypeError):
                self._reached(from_rfc3339(override["since"]))

    def _reached(self, there: float) -> None:
        ahead = there - self.steady()
        self._least = ahead if self._least is None else max(self._least, ahead)


def _overrides(done: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for result in done.get("members", [done]):
        override = result.get("member", {}).get("override")
        if override:
            yield override
