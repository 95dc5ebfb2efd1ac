"""Keep two clocks apart: one that can be set, for dates, and one that cannot, for lengths of time.

When an answer has expired at all resolvers is a length of time. It is shown as a date, which is
computed at the time of showing, so that it is right after a jump of the wall clock, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import token_hex

from rrdns.store.boot_time import boot_id, boottime

# Both clocks cannot be read at one instant. A smaller difference is no jump, and with it a
# date that is shown twice stays the same.
ALIKE = 0.005


class Clocks:
    """The wall clock and the steady clock; called, it returns the date as Unix seconds."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
        boot: str = "",
    ) -> None:
        """Take the clocks; a wall clock of a test's own is also steady."""
        # Where a boot has no id, each process is taken for one of its own.
        self.boot = boot or boot_id() or token_hex(8)
        if steady is None:
            steady = boottime if wall is time.time else wall
        self.steady = steady
        self._wall = wall
        self._ahead = self.lowest = wall() - steady()

    def __call__(self) -> float:
        """Return the date."""
        return self._wall()

    def ahead(self) -> float:
        """Return by how much the date is ahead of the steady clock."""
        before, wall, after = self.steady(), self._wall(), self.steady()
        if not before - ALIKE <= wall - self._ahead <= after + ALIKE:
            self._ahead = wall - after
            self.lowest = min(self.lowest, self._ahead)
        return self._ahead

    def earliest(self) -> float:
        """Return the earliest date that it can be by any time of the wall clock since the start."""
        self.ahead()
        return self.steady() + self.lowest
