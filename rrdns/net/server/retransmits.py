"""Know a retransmitted query: the same source, port and ID, for the same pool, within 2 s.

It gets the answer it would have got, and takes no turn: the client is the same, and a turn
for each lost packet would shift the rotation under everybody else.
"""

from __future__ import annotations

from rrdns.shm.rotation_counter import RotationCounter, SharedRotation

WINDOW = 2.0  # seconds
MAX_ENTRIES = 1024  # queries that are remembered in one window

_Window = dict[tuple[bytes, RotationCounter], tuple[int, float]]


class RetransmitFilter:
    """The last queries for boot names; it forgets by whole windows, so it stays small.

    A window that is full watches no more: among thousands of queries a second one turn does
    not matter, and the time to look would.
    """

    __slots__ = ("_before", "_ends", "_now", "busy_until")

    def __init__(self) -> None:
        self.busy_until = 0.0  # the window is full: until then nothing is looked up
        self._now: _Window = {}
        self._before: _Window = {}
        self._ends = 0.0

    def tick(self, now: float) -> None:
        """Note the time (monotonic seconds); windows end here."""
        if now >= self._ends:
            self._before = self._now if now < self._ends + WINDOW else {}
            self._now = {}
            self._ends = now + WINDOW

    def turn_for(
        self, who: bytes, rotation: RotationCounter, turns: SharedRotation | None, now: float
    ) -> int:
        """Return the turn of a query: a new one, or for a repeat the one it had.

        `who` is source address, port and ID, in whatever form.
        """
        if not rotation.addresses or now < self.busy_until:
            return rotation.advance(turns)
        query = who, rotation
        found = self._now.get(query) or self._before.get(query)
        if found is not None and now - found[1] < WINDOW:
            rotation.count_retransmit()
            return found[0]
        turn = rotation.advance(turns)
        self._now[query] = turn, now
        if len(self._now) >= MAX_ENTRIES:
            self.busy_until = self._ends
        return turn
