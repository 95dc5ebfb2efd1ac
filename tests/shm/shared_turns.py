"""Turns that several workers share, without the shared memory."""

from __future__ import annotations

from collections import Counter


class SharedTurns:
    """Turns in a dictionary."""

    def __init__(self) -> None:
        self.turns: Counter[int] = Counter()

    def take(self, slot: int, count: int = 1) -> int:
        """Return the turn of a slot, and go on by `count`."""
        turn = self.turns[slot]
        self.turns[slot] += count
        return turn

    def peek(self, slot: int) -> int:
        """Return the turn of a slot."""
        return self.turns[slot]
