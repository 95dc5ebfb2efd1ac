"""When to look again through a resolver, in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rrdns.core.delegation.observations import Sample, first_addresses
from rrdns.core.delegation.sampling import (
    INITIAL_SAMPLES,
    fresh_answers,
    is_conclusive,
    is_overcached,
    next_sample_in,
)
from rrdns.core.dns_message import QueryOutcome
from tests.core.observations import QUIET, addresses, reply, turned

Resolver = Callable[[float], QueryOutcome]


def caching(ttl: int, *, turns: bool, own: bool = False) -> Resolver:
    """Return a resolver that keeps answers; it, or only what it asks, may turn the order."""
    state = {"until": -1.0, "turn": 0, "asked": 0}

    def answer(now: float) -> QueryOutcome:
        state["asked"] += 1
        if now >= state["until"]:
            state["until"], state["turn"] = now + ttl, state["turn"] + 1
        turn = (state["turn"] if turns else 0) + (state["asked"] if own else 0)
        return turned(int(turn), ttl=int(state["until"] - now))

    return answer


def watch(resolver: Resolver, choices: int = 3, patience: float = 60.0) -> list[Sample]:
    """Look for as long as there is something to see."""
    looks: list[Sample] = []
    now = 0.0
    while (pause := next_sample_in(looks, choices, patience)) is not None:
        now += pause
        looks.append(Sample(now, resolver(now)))
    return looks


def times(looks: list[Sample]) -> list[float]:
    """Return when it was looked after the first looks at once."""
    assert [look.at for look in looks[:INITIAL_SAMPLES]] == [0.0] * INITIAL_SAMPLES
    return [look.at for look in looks[INITIAL_SAMPLES:]]


def test_a_resolver_that_turns_is_watched_until_an_answer_has_expired() -> None:
    """One look in the middle of an answer's life, one after it."""
    looks = watch(caching(5, turns=True, own=True))
    assert times(looks) == [1.5, 5.5]
    assert len(first_addresses(looks)) > 1


def test_a_resolver_that_turns_with_each_new_answer_takes_no_longer() -> None:
    """The second answer has another order, and that is enough."""
    assert times(watch(caching(5, turns=True))) == [1.5, 5.5]


def test_a_standing_order_is_believed_after_so_many_answers() -> None:
    """With three addresses six answers: chance would show it once in 243 times."""
    looks = watch(caching(5, turns=False))
    assert fresh_answers(looks) == 6
    assert times(looks) == [1.5, 5.5, 11.5, 17.5, 23.5, 29.5]
    assert is_conclusive(looks, 3)


@pytest.mark.parametrize(("choices", "answers"), [(2, 8), (3, 6), (4, 5), (10, 3), (100, 2)])
def test_fewer_choices_need_more_answers(choices: int, answers: int) -> None:
    """As chance is larger with them."""
    assert fresh_answers(watch(caching(5, turns=False), choices)) == answers


def test_patience_ends_it_before_it_is_clear() -> None:
    """Then nothing is told of the order."""
    looks = watch(caching(5, turns=False), patience=12)
    assert times(looks) == [1.5, 5.5, 11.5]
    assert not is_conclusive(looks, 3)
    assert times(watch(caching(5, turns=False), patience=0)) == []


def test_a_long_life_is_not_waited_for() -> None:
    """Only its beginning is looked at."""
    assert times(watch(caching(3600, turns=False))) == [1.5]


def test_with_one_choice_one_new_answer_is_enough() -> None:
    """There is nothing to turn; its TTL is still looked at."""
    assert times(watch(caching(5, turns=False), choices=1)) == [1.5, 5.5]


@pytest.mark.parametrize("outcome", [QUIET, reply(rcode="SERVFAIL"), reply()])
def test_without_an_address_there_is_nothing_to_watch(outcome: QueryOutcome) -> None:
    """One look has shown it."""
    assert len(watch(lambda _: outcome)) == 1


def test_an_answer_that_fails_later_ends_it() -> None:
    """The last look tells what is wrong."""
    looks = watch(lambda now: turned(0) if now < 2 else QUIET)
    assert looks[-1].outcome is QUIET
    assert times(looks) == [1.5, 7.5]


def test_a_short_life_has_no_middle() -> None:
    """Within two seconds whole seconds say nothing."""
    assert times(watch(caching(2, turns=True))) == [3.0]
    assert not is_overcached(watch(caching(1, turns=False)), 1)


def test_answers_without_a_life_are_new_only_some_time_later() -> None:
    """TTL 0 in the last second of an answer's life is the same answer still."""
    looks = watch(lambda _: addresses("10.0.0.11", "10.0.0.12", ttl=0), choices=2)
    assert fresh_answers(looks[:INITIAL_SAMPLES]) == 1
    assert fresh_answers(looks) == 8


def test_the_same_answer_beyond_its_life_is_stuck() -> None:
    """Its TTL does not count down, its order does not turn, and its time is over."""
    looks = watch(lambda _: turned(0))
    assert is_overcached(looks, 5)
    assert not is_overcached(looks[: INITIAL_SAMPLES + 1], 5)


def test_an_answer_that_counts_down_or_turns_is_not_stuck() -> None:
    """A cache counts; whoever passes on gets another order."""
    assert not is_overcached(watch(caching(5, turns=False)), 5)
    turn = iter(range(1000))
    assert not is_overcached(watch(lambda _: turned(next(turn))), 5)
