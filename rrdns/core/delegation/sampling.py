"""Decide when to query a resolver again, and what the samples show.

A resolver caches an answer for its TTL, and may rotate its addresses or not. So it is queried
several times at once, once while the answer should still be cached, and once after the TTL. More
samples follow only until it is clear whether the first address changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rrdns.core.delegation.observations import Sample, first_addresses, ttl_of

INITIAL_SAMPLES = 6  # at once
MIDDLE = 1.5  # seconds after an answer was cached: its TTL must be smaller then
SLACK = 1.0  # seconds that an answer may expire earlier or later: resolvers count whole seconds
CHANCE_LIMIT = 100  # a fixed order is reported only if chance is less than 1 in so many


def next_sample_in(samples: Sequence[Sample], choices: int, timeout: float) -> float | None:
    """Return the seconds until the next sample, or None if no more are needed.

    `choices` is the number of addresses that may be first, `timeout` the limit in total.
    """
    if len(samples) < INITIAL_SAMPLES and (not samples or ttl_of(samples[-1].outcome) is not None):
        return 0.0
    ttl = ttl_of(samples[-1].outcome)
    if ttl is None or (fresh_answers(samples) > 1 and is_conclusive(samples, choices)):
        return None
    pause = (
        MIDDLE
        if fresh_answers(samples) == 1 and not _middles(samples) and _lasts(ttl)
        else ttl + SLACK
    )
    return pause if samples[-1].at - samples[0].at + pause <= timeout else None


def is_conclusive(samples: Sequence[Sample], choices: int) -> bool:
    """Return whether it is clear if the first address changes."""
    return (
        choices < 2
        or len(first_addresses(samples)) > 1
        or choices ** (fresh_answers(samples) - 1) >= CHANCE_LIMIT
    )


def fresh_answers(samples: Sequence[Sample]) -> int:
    """Return the number of samples that must be new answers, since the one before had expired."""
    gaps = ((b.at - a.at, ttl_of(a.outcome) or 0) for a, b in pairwise(samples))
    return bool(samples) + sum(gap > ttl + SLACK / 2 for gap, ttl in gaps)


def is_overcached(samples: Sequence[Sample], ttl: int) -> bool:
    """Return whether the same answer, with the same TTL, came for longer than its TTL."""
    answers = {sample.outcome for sample in samples}
    long = samples[-1].at - samples[0].at > ttl + SLACK / 2
    return (
        len(answers) == 1
        and len(first_addresses(samples)) == 1
        and long
        and bool(_middles(samples))
    )


def _middles(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples for which the answer before them should be cached, with a smaller TTL."""
    gaps = ((b, b.at - a.at, ttl_of(a.outcome) or 0) for a, b in pairwise(samples))
    return [sample for sample, gap, ttl in gaps if MIDDLE <= gap <= ttl - SLACK]


def _lasts(ttl: int) -> bool:
    return ttl - SLACK > MIDDLE  # with some slack for a late sample
