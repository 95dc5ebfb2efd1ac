"""When to look again through a resolver, in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rrdns.core.delegation.observations import Look, firsts
from rrdns.core.delegation.sampling import BURST, fresh, is_stuck, is_told, next_look
from rrdns.core.dns_message import Heard
from tests.core.observations import QUIET, addresses, reply, turned

Resolver = Callable[[float], Heard]


def caching(ttl: int, *, turns: bool, own: bool = False) -> Resolver:
    """Return a resolver that keeps answers; it, or only what it asks, may turn the order."""
    state = {"until": -1.0, "turn": 0, "asked": 0}

    def answer(now: float) -> Heard:
        state["asked"] += 1
        if now >= state["until"]:
            state["until"], state["turn"] = now + ttl, state["turn"] + 1
        turn = (state["turn"] if turns else 0) + (state["asked"] if own else 0)
        return turned(int(turn), ttl=int(state["until"] - now))

    return answer


def watch(resolver: Resolver, choices: int = 3, patience: float = 60.0) -> list[Look]:
    """Look for as long as there is something to see."""
    looks: list[Look] = []
    now = 0.0
    while (pause := next_look(looks, choices, patience)) is not None:
        now += pause
        looks.append(Look(now, resolver(now)))
    return looks


def times(looks: list[Look]) -> list[float]:
    """Return when it was looked after the first looks at once."""
    assert [look.at for look in looks[:BURST]] == [0.0] * BURST
    return [look.at for look in looks[BURST:]]


def test_a_resolver_that_turns_is_watched_until_an_answer_has_expired() -> None:
    """One look in the middle of an answer's life, one after it."""
    looks = watch(caching(5, turns=True, own=True))
    assert times(looks) == [1.5, 5.5]
    assert len(firsts(looks)) > 1


def test_a_resolver_that_turns_with_each_new_answer_takes_no_longer() -> None:
    """The second answer has another order, and that is enough."""
    assert times(watch(caching(5, turns=True))) == [1.5, 5.5]


def test_a_standing_order_is_believed_after_so_many_answers() -> None:
    """With three addresses six answers: chance would show it once in 243 times."""
    looks = watch(caching(5, turns=False))
    assert fresh(looks) == 6
    assert times(looks) == [1.5, 5.5, 11.5, 17.5, 23.5, 29.5]
    assert is_told(looks, 3)


@pytest.mark.parametrize(("choices", "answers"), [(2, 8), (3, 6), (4, 5), (10, 3), (100, 2)])
def test_fewer_choices_need_more_answers(choices: int, answers: int) -> None:
    """As chance is larger with them."""
    assert fresh(watch(caching(5, turns=False), choices)) == answers


def test_patience_ends_it_before_it_is_clear() -> None:
    """Then nothing is told of the order."""
    looks = watch(caching(5, turns=False), patience=12)
    assert times(looks) == [1.5, 5.5, 11.5]
    assert not is_told(looks, 3)
    assert times(watch(caching(5, turns=False), patience=0)) == []


def test_a_long_life_is_not_waited_for() -> None:
    """Only its beginning is looked at."""
    assert times(watch(caching(3600, turns=False))) == [1.5]


def test_with_one_choice_one_new_answer_is_enough() -> None:
    """There is nothing to turn; its TTL is still looked at."""
    assert times(watch(caching(5, turns=False), choices=1)) == [1.5, 5.5]


@pytest.mark.parametrize("heard", [QUIET, reply(rcode="SERVFAIL"), reply()])
def test_without_an_address_there_is_nothing_to_watch(heard: Heard) -> None:
    """One look has shown it."""
    assert len(watch(lambda _: heard)) == 1


def test_an_answer_that_fails_later_ends_it() -> None:
    """The last look tells what is wrong."""
    looks = watch(lambda now: turned(0) if now < 2 else QUIET)
    assert looks[-1].heard is QUIET
    assert times(looks) == [1.5, 7.5]


def test_a_short_life_has_no_middle() -> None:
    """Within two seconds whole seconds say nothing."""
    assert times(watch(caching(2, turns=True))) == [3.0]
    assert not is_stuck(watch(caching(1, turns=False)), 1)


def test_answers_without_a_life_are_new_only_some_time_later() -> None:
    """TTL 0 in the last second of an answer's life is the same answer still."""
    looks = watch(lambda _: addresses("10.0.0.11", "10.0.0.12", ttl=0), choices=2)
    assert fresh(looks[:BURST]) == 1
    assert fresh(looks) == 8


def test_the_same_answer_beyond_its_life_is_stuck() -> None:
    """Its TTL does not count down, its order does not turn, and its time is over."""
    looks = watch(lambda _: turned(0))
    assert is_stuck(looks, 5)
    assert not is_stuck(looks[: BURST + 1], 5)


def test_an_answer_that_counts_down_or_turns_is_not_stuck() -> None:
    """A cache counts; whoever passes on gets another order."""
    assert not is_stuck(watch(caching(5, turns=False)), 5)
    turn = iter(range(1000))
    assert not is_stuck(watch(lambda _: turned(next(turn))), 5)
