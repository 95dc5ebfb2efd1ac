"""Tell the time by the API's clock, which may be another than this host's.

An admin's clock that is an hour fast must make nothing safe too early. What is heard of the
API's clock are moments that it has reached: the Date of each answer, cut to whole seconds,
and the moment at which an order began, which is exact. From one to the next our time is counted
on a clock that nobody can set.
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
    """The API's clock, as far as its answers tell."""

    def __init__(
        self, clock: Callable[[], float] = time.time, steady: Callable[[], float] | None = None
    ) -> None:
        """Take our clocks; a wall clock of a test's own is also steady."""
        self._clock = clock
        self.steady = steady or (boottime if clock is time.time else clock)
        self._by_date = 0.0  # the last answer's Date less our time, seconds
        self._least: float | None = None  # of our steady clock, it is ahead by at least so much

    def now(self) -> float:
        """Return the time there, where our clock is plainly another."""
        alike = -1.5 < self._by_date < 0.5
        return self._clock() + (0.0 if alike else self._by_date)

    def at_least(self) -> float:
        """Return a time that has surely been reached there: safe to wait by."""
        return self._clock() if self._least is None else self.steady() + self._least

    def note_date(self, date: str | None, asked_at: float) -> None:
        """Learn from an answer's Date; `asked_at` is when we asked, by our steady clock."""
        with suppress(ValueError, TypeError):
            there = parsedate_to_datetime(date or "").timestamp()
            self._by_date = there - self._clock()
            # Who has been set back since then is believed again.
            if self._least is not None and self._least > there + SECOND - asked_at:
                self._least = None
            self._reached(there)

    def note_order(self, done: Mapping[str, Any]) -> None:
        """Learn from what became of an order: those in force have begun."""
        for override in _overrides(done):
            with suppress(ValueError, TypeError):
                self._reached(from_rfc3339(override["since"]))

    def _reached(self, there: float) -> None:
        ahead = there - self.steady()
        self._least = ahead if self._least is None else max(self._least, ahead)


def _overrides(done: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in done.get("members", [done]):
        override = one.get("member", {}).get("override")
        if override:
            yield override
