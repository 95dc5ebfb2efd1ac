"""Decide how to watch a name through a resolver: when to look again, and what the looks show.

A resolver keeps an answer for its TTL, and may turn the order meanwhile or not. So a few looks
at once, one while the answer should still be kept, and one when it has to be a new one; then
more, only until it is clear whether the first address turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rrdns.core.delegation.observations import Sample, first_addresses, ttl_of

INITIAL_SAMPLES = 6  # looks at once
MIDDLE = 1.5  # seconds into the life of an answer, whose TTL must have become less by then
SLACK = 1.0  # seconds that an answer may end sooner or later: resolvers count whole ones
CHANCE_LIMIT = 100  # a frozen order is told only if chance would show it once in so many times


def next_sample_in(looks: Sequence[Sample], choices: int, patience: float) -> float | None:
    """Return in how many seconds to look again; None when there is nothing more to see.

    `choices` is how many addresses may stand first, `patience` how long the whole may take.
    """
    if len(looks) < INITIAL_SAMPLES and (not looks or ttl_of(looks[-1].outcome) is not None):
        return 0.0
    ttl = ttl_of(looks[-1].outcome)
    if ttl is None or (fresh_answers(looks) > 1 and is_conclusive(looks, choices)):
        return None
    pause = (
        MIDDLE if fresh_answers(looks) == 1 and not _middles(looks) and _lasts(ttl) else ttl + SLACK
    )
    return pause if looks[-1].at - looks[0].at + pause <= patience else None


def is_conclusive(looks: Sequence[Sample], choices: int) -> bool:
    """Tell whether it is clear if the first address turns."""
    return (
        choices < 2
        or len(first_addresses(looks)) > 1
        or choices ** (fresh_answers(looks) - 1) >= CHANCE_LIMIT
    )


def fresh_answers(looks: Sequence[Sample]) -> int:
    """Return how many of the looks had to see a new answer, since the one before had expired."""
    gaps = ((b.at - a.at, ttl_of(a.outcome) or 0) for a, b in pairwise(looks))
    return bool(looks) + sum(gap > ttl + SLACK / 2 for gap, ttl in gaps)


def is_overcached(looks: Sequence[Sample], ttl: int) -> bool:
    """Tell whether one and the same answer came, TTL and all, for longer than it may be kept."""
    answers = {look.outcome for look in looks}
    long = looks[-1].at - looks[0].at > ttl + SLACK / 2
    return len(answers) == 1 and len(first_addresses(looks)) == 1 and long and bool(_middles(looks))


def _middles(looks: Sequence[Sample]) -> list[Sample]:
    """Return the looks at a time when the answer before them was to be kept, and older."""
    gaps = ((b, b.at - a.at, ttl_of(a.outcome) or 0) for a, b in pairwise(looks))
    return [look for look, gap, ttl in gaps if MIDDLE <= gap <= ttl - SLACK]


def _lasts(ttl: int) -> bool:
    return ttl - SLACK > MIDDLE  # some room for a look that comes late
