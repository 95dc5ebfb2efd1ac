"""Until when an answer may be believed: never too early, whatever the workers do."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.orders.cache_expiry import (
    NEVER,
    STALE_WORKER_SECONDS,
    TTL_ROUNDING,
    CachedAnswers,
    after_applied,
    after_publish,
    expiry,
    safe_after,
)


def test_what_was_never_handed_out_has_no_end() -> None:
    """Nor has what is handed out now."""
    assert safe_after(NEVER, 10.0) is None
    assert safe_after(after_publish(NEVER, 1, None), 10.0) is None
    assert safe_after(after_publish(NEVER, 1, 5), 10.0) is None


def test_the_end_counts_from_the_last_workers_word() -> None:
    """Before that word the bound moves on with the clock."""
    leaving = after_publish(after_publish(NEVER, 1, 5), 2, None)
    assert safe_after(leaving, 10.0) == 10.0 + STALE_WORKER_SECONDS + 5 + TTL_ROUNDING
    assert after_applied(leaving, 1, 10.5) == leaving
    assert safe_after(after_applied(leaving, 2, 11.0), 99.0) == 11.0 + 5 + TTL_ROUNDING


def test_an_answer_that_nobody_may_keep_ends_at_once() -> None:
    """TTL 0 is not cached, so no whole seconds are counted."""
    left = after_applied(after_publish(after_publish(NEVER, 1, 0), 2, None), 2, 11.0)
    assert safe_after(left, 99.0) == 11.0


def test_a_lower_ttl_leaves_the_higher_one_behind_and_a_higher_one_nothing() -> None:
    """Only answers that end later than those that follow them count."""
    raised = after_publish(after_publish(NEVER, 1, 5), 2, 300)
    assert raised.withdrawn == ()
    lowered = after_applied(after_publish(raised, 3, 5), 3, 10.0)
    assert lowered == CachedAnswers(ttl=5, expires_at=10.0 + 300 + TTL_ROUNDING)
    gone = after_applied(after_publish(lowered, 4, None), 4, 20.0)
    assert safe_after(gone, 20.0) == 10.0 + 300 + TTL_ROUNDING


def test_two_leaves_that_are_under_way_settle_one_by_one() -> None:
    """A member may go, come back and go again before a slow worker has heard of the first."""
    twice = after_publish(
        after_publish(after_publish(after_publish(NEVER, 1, 60), 2, None), 3, 5), 4, None
    )
    first = after_applied(twice, 3, 10.0)
    assert (first.withdrawn, first.expires_at) == (((4, 5),), 10.0 + 60 + TTL_ROUNDING)
    assert expiry(first, 100.0) == 100.0 + STALE_WORKER_SECONDS + 5 + TTL_ROUNDING


@dataclass
class Workers:
    """Workers that take what is published when they like, and answer from what they have."""

    tables: list[int | None] = field(default_factory=lambda: [None, None])  # the TTL, if named
    serials: list[int] = field(default_factory=lambda: [0, 0])
    published: list[int | None] = field(default_factory=lambda: [None])
    cached: CachedAnswers = NEVER
    believed_until: float = 0.0  # by a resolver, in truth

    def publish(self, ttl: int | None) -> None:
        self.published.append(ttl)
        self.cached = after_publish(self.cached, len(self.published) - 1, ttl)

    def catch_up(self, worker: int, now: float) -> None:
        self.serials[worker] = len(self.published) - 1
        self.tables[worker] = self.published[-1]
        self.cached = after_applied(self.cached, min(self.serials), now)

    def answer(self, worker: int, now: float) -> None:
        ttl = self.tables[worker]
        if ttl is not None:
            self.believed_until = max(self.believed_until, now + ttl)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.none() | st.integers(0, 300)),
        st.tuples(st.sampled_from(["catch_up", "answer"]), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_resolver_ever_believes_it_longer(steps: list[tuple[str, int | None]]) -> None:
    """Over any changes, two workers that lag as they like, and any answers in between."""
    workers, now = Workers(), 0.0
    for what, value in steps:
        now += 0.5
        if what == "publish":
            workers.publish(value)
        elif what == "catch_up":
            workers.catch_up(value or 0, now)
        else:
            workers.answer(value or 0, now)
    said = safe_after(workers.cached, now)
    if said is not None:
        assert said >= workers.believed_until
    elif workers.cached.ttl is None:  # it never was handed out
        assert workers.believed_until == 0.0
