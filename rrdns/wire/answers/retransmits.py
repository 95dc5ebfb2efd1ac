"""Know a retransmitted query: the same source, port and ID, for the same pool, within 2 s.

It gets the response of the first one, and takes no turn: the client is the same, and a turn
for each lost packet would shift the rotation for all other clients.
"""

from __future__ import annotations

WINDOW = 2.0  # seconds
MAX_ENTRIES = 1024  # queries that are remembered in one window

_Window = dict[tuple[bytes, int], tuple[int, float]]


class RetransmitFilter:
    """The last queries for boot names; it forgets whole windows, so it stays small.

    A full window remembers nothing more: among thousands of queries a second one turn does not
    matter, but the time for the look-up does.
    """

    __slots__ = ("_before", "_now", "busy_until", "ends")

    def __init__(self) -> None:
        self.busy_until = 0.0  # the window is full: until then nothing is looked up
        self.ends = 0.0  # when the next window begins
        self._now: _Window = {}
        self._before: _Window = {}

    def begin_window(self, now: float) -> None:
        """Begin the next window; `now` is in monotonic seconds, and not before `ends`."""
        self._before = self._now if now < self.ends + WINDOW else {}
        self._now = {}
        self.ends = now + WINDOW

    def find(self, source: bytes, slot: int, now: float) -> int | None:
        """Return the turn of a retransmitted query; None for a new one.

        `source` has the address, port and ID, `slot` is the pool's.
        """
        query = source, slot
        found = self._now.get(query) or self._before.get(query)
        return found[0] if found is not None and now - found[1] < WINDOW else None

    def remember(self, source: bytes, slot: int, turn: int, now: float) -> None:
        """Remember the turn of a new query."""
        self._now[source, slot] = turn, now
        if len(self._now) >= MAX_ENTRIES:
            self.busy_until = self.ends
