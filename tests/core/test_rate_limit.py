"""How many responses a network may have: the accounts, in virtual time."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.acl import PrefixSet
from rrdns.core.rate_limit import (
    BURST_SECONDS,
    RATE_BUCKETS,
    RateLimiter,
    RateLimits,
    ResponseClass,
)

RATES = RateLimits(answers=100, negatives=50, errors=10, window=5.0, slip=2)
HERE, THERE = (RateLimiter.place(network) for network in (b"\x0a\0\0", b"\x0a\0\1"))


def limiter(limits: RateLimits = RATES) -> RateLimiter:
    """Return a limiter with empty accounts."""
    return RateLimiter(limits, array("d", bytes(8 * RATE_BUCKETS)))


def flood(
    books: RateLimiter, begin: float, end: float, rate: int, family: ResponseClass
) -> list[float]:
    """Return when a network that asks at a steady rate was answered."""
    times = [begin + step / rate for step in range(int((end - begin) * rate))]
    return [now for now in times if books.allow(HERE, family, now)]


@given(
    st.lists(st.floats(0, 0.5), min_size=1, max_size=400),
    st.sampled_from([ResponseClass.ANSWERS, ResponseClass.NEGATIVES, ResponseClass.ERRORS]),
)
def test_no_network_gets_more_than_its_rate_and_credit(
    gaps: list[float], family: ResponseClass
) -> None:
    """Over any stretch of time, however the queries come."""
    books, now, given_at = limiter(), 1000.0, []
    rate = (RATES.answers, RATES.negatives, RATES.errors)[family]
    for gap in gaps:
        now += gap
        if books.allow(HERE, family, now):
            given_at.append(now)
    for first, begin in enumerate(given_at):
        for last in range(first, len(given_at)):
            stretch = given_at[last] - begin
            assert last - first + 1 <= rate * (stretch + BURST_SECONDS) + 1e-6


@given(st.integers(1, 100), st.floats(0, 1e6))
def test_a_network_within_its_rate_loses_nothing(rate: int, begin: float) -> None:
    """Not even at its rate exactly, for ever."""
    sent = 10 * rate
    assert len(flood(limiter(), begin, begin + 10, rate, ResponseClass.ANSWERS)) == sent


def test_a_burst_within_the_credit_loses_nothing() -> None:
    """All at one moment; the next one is too much."""
    books = limiter()
    burst = int(RATES.answers * BURST_SECONDS)
    assert all(books.allow(HERE, ResponseClass.ANSWERS, 7.0) for _ in range(burst))
    assert not books.allow(HERE, ResponseClass.ANSWERS, 7.0)


def test_a_flood_gets_nothing_until_it_has_ended() -> None:
    """After it the network is in debt, for the window at most."""
    books = limiter()
    given_at = flood(books, 100, 130, 5000, ResponseClass.ANSWERS)
    assert max(given_at) < 100.5
    assert len(given_at) <= RATES.answers
    assert not books.allow(HERE, ResponseClass.ANSWERS, 130 + RATES.window - 0.1)
    assert books.allow(HERE, ResponseClass.ANSWERS, 130 + RATES.window + 0.1)


def test_networks_and_kinds_have_accounts_of_their_own() -> None:
    """A flood in one takes nothing from another."""
    books = limiter()
    flood(books, 0, 3, 5000, ResponseClass.ANSWERS)
    assert not books.allow(HERE, ResponseClass.ANSWERS, 3.0)
    assert books.allow(HERE, ResponseClass.NEGATIVES, 3.0)
    assert books.allow(HERE, ResponseClass.ERRORS, 3.0)
    assert books.allow(THERE, ResponseClass.ANSWERS, 3.0)


@pytest.mark.parametrize("slip", [0, 1, 2, 5])
def test_slips_are_every_nth_and_a_quarter_of_the_rate_at_most(slip: int) -> None:
    """They go on for as long as the flood does, since they tell clients to use TCP."""
    books = limiter(RateLimits(1000, 1000, 1000, slip=slip))
    few = [books.should_slip(HERE, 1.0 + step) for step in range(20)]
    assert sum(few) == (20 // slip if slip else 0)
    books = limiter(RateLimits(answers=100, negatives=0, errors=0, slip=slip))
    many = [books.should_slip(HERE, 100 + step / 1000) for step in range(10_000)]
    assert sum(many) <= 25 * (10 + BURST_SECONDS)
    assert not slip or sum(many) >= 240


def test_with_slips_a_flood_stays_below_the_rate_in_each_second() -> None:
    """Answers and truncated answers together: what the limit promises."""
    books = limiter(RateLimits(5000, 5000, 5000, slip=2))
    out = [0] * 5
    for step in range(250_000):
        now = 100 + step / 50_000
        if books.allow(HERE, ResponseClass.ANSWERS, now) or books.should_slip(HERE, now):
            out[int(now - 100)] += 1
    assert all(0 < count <= 5000 for count in out)


def test_one_response_a_second_is_a_rate_too() -> None:
    """The credit is one response at least."""
    books = limiter(RateLimits(answers=1))
    assert [books.allow(HERE, ResponseClass.ANSWERS, 50.0 + 2 * step) for step in range(5)] == [
        True
    ] * 5


def test_a_limit_of_0_is_none() -> None:
    """For one kind or for all."""
    books = limiter(RateLimits(answers=0, errors=5))
    assert all(books.allow(HERE, ResponseClass.ANSWERS, 1.0) for _ in range(100_000))
    assert not all(books.allow(HERE, ResponseClass.ERRORS, 1.0) for _ in range(10))
    assert limiter(RateLimits(0, 0, 0)).should_slip(HERE, 1.0) is False


def test_random_sources_push_nobody_out() -> None:
    """Neither does the table grow, nor does a debt get lost, nor a quiet network its credit."""
    accounts = array("d", bytes(8 * RATE_BUCKETS))
    books = RateLimiter(RateLimits(), accounts)
    for _ in range(100_000):
        books.allow(HERE, ResponseClass.ANSWERS, 1.0)
    for number in range(200_000):  # within 2 seconds
        books.allow(
            RateLimiter.place(b"\x14" + number.to_bytes(3, "big")),
            ResponseClass.ANSWERS,
            1 + number / 100_000,
        )
    assert len(accounts) == RATE_BUCKETS
    assert not books.allow(HERE, ResponseClass.ANSWERS, 3.0)
    assert all(books.allow(THERE, ResponseClass.ANSWERS, 3.0) for _ in range(1000))


def test_loopback_is_exempt_by_default() -> None:
    """In both families, and nothing near it."""
    four, six = (PrefixSet(RateLimits().exempt, size) for size in (4, 16))
    assert four.covers(bytes([127, 1, 2, 3]))
    assert not four.covers(bytes([126, 255, 255, 255]))
    assert six.covers(bytes(15) + b"\1")
    assert not six.covers(bytes(15) + b"\2")
    assert not six.covers(b"\x20" + bytes(15))


@given(st.floats(1, 1e7))
def test_the_credit_is_whole_at_any_time(now: float) -> None:
    """Two responses of 0.2 s make 0.4 s, however floats round their sum."""
    books = limiter(RateLimits(answers=5))
    assert [books.allow(HERE, ResponseClass.ANSWERS, now) for _ in range(3)] == [True, True, False]
