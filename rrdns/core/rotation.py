"""Rotate a list: which address is first at which turn.

Firmware takes the first address and does not try a second one, so each must be first equally
often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def rotated(members: Sequence[T], turn: int, most: int) -> tuple[T, ...]:
    """Return up to `most` members in the order of that turn, beginning with number `turn`.

    Over any len(members) turns in a row each member is first exactly once.
    """
    size = len(members)
    if size == 0:
        return ()
    first = turn % size
    return tuple(members[(first + step) % size] for step in range(min(most, size)))
