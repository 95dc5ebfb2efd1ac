"""Which members an order means, and what it would come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.model import BootFile, Member, Order, Override, Plan, Pool, ProbeSpec
from rrdns.core.orders.request import (
    Choice,
    Command,
    choose,
    handed_out,
    is_same,
    is_same_plan,
    overrides_at,
    refusal,
)
from rrdns.errors import NobodyMeant, UnknownMember

MEMBERS = (
    Member("pvs-1", "10.0.0.1", tags=("rack-1",)),
    Member("pvs-2", "10.0.0.2", tags=("rack-1", "old")),
    Member("pvs-3", "10.0.0.3"),
)
BOOT = Pool("boot", "boot.example", MEMBERS, ProbeSpec((BootFile("ARDBP32.BIN"),)))
LOGIN = replace(BOOT, name="login", hostname="login.example", members=MEMBERS[:1])
POOLS = (BOOT, LOGIN)
ALL_OF_BOOT = (("boot", "pvs-1"), ("boot", "pvs-2"), ("boot", "pvs-3"))


def a_drain(member: str, since: float = 100.0, until: float | None = None) -> Override:
    return Override("boot", member, Order.DRAIN, "anna", since, "patch", until)


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (Choice(names=("pvs-3", "pvs-2")), (("boot", "pvs-2"), ("boot", "pvs-3"))),
        (Choice(names=("pvs-1",)), (("boot", "pvs-1"), ("login", "pvs-1"))),
        (Choice(tag="old"), (("boot", "pvs-2"),)),
        (Choice(glob="pvs-[13]"), (("boot", "pvs-1"), ("boot", "pvs-3"), ("login", "pvs-1"))),
    ],
)
def test_members_are_meant_by_name_tag_or_pattern(
    choice: Choice, meant: tuple[tuple[str, str], ...]
) -> None:
    """In the order of the config, and over all the pools that are looked at."""
    assert choose(POOLS, choice) == meant


def test_a_name_or_pattern_may_mean_an_order_without_a_member() -> None:
    """Which comes after the members; it has no tag."""
    orphans = (("gone", "pvs-9"), ("login", "old-1"))
    assert choose(POOLS, Choice(names=("pvs-2", "pvs-9")), orphans) == (
        ("boot", "pvs-2"),
        ("gone", "pvs-9"),
    )
    assert choose(POOLS, Choice(glob="old-*"), orphans) == (("login", "old-1"),)
    with pytest.raises(NobodyMeant):
        choose(POOLS, Choice(tag="rack-9"), orphans)


def test_a_name_that_is_nobodys_means_nobody_at_all() -> None:
    """An order for the others alone was not what was meant."""
    with pytest.raises(UnknownMember, match="no pool has a member 'pvs-9'"):
        choose(POOLS, Choice(names=("pvs-1", "pvs-9")))
    with pytest.raises(NobodyMeant, match="no member has the tag 'rack-9'"):
        choose(POOLS, Choice(tag="rack-9"))
    with pytest.raises(NobodyMeant, match=r"no member has a name like 'x\*'"):
        choose(POOLS, Choice(glob="x*"))
    with pytest.raises(NobodyMeant, match="no member has a name"):
        choose(POOLS, Choice())


def test_the_guard_looks_at_all_members_of_an_order_together() -> None:
    """Each alone might go; all of them may not."""
    wanted = [a_drain(name) for _, name in ALL_OF_BOOT]
    assert refusal(BOOT, {}, {}, wanted[:2]) is None
    refused = refusal(BOOT, {}, {}, wanted)
    assert str(refused) == (
        "'pvs-1', 'pvs-2', 'pvs-3' are the last members of pool 'boot' that are handed out; "
        "bring another one back first, or force the drain"
    )
    assert handed_out(BOOT, {}, {"pvs-2": wanted[1]}) == ("pvs-1", "pvs-3")


def test_the_guard_says_who_would_be_left() -> None:
    """With `keep` above one, the names tell an admin whom to bring back beside them."""
    pool = replace(BOOT, keep=2)
    wanted = [a_drain(name) for _, name in ALL_OF_BOOT]
    rest = "handed out, and 2 must stay; bring another one back first, or force it"
    assert str(refusal(pool, {}, {}, wanted[:2])) == (
        f"draining 'pvs-1', 'pvs-2' would leave only 'pvs-3' of pool 'boot' {rest}"
    )
    assert str(refusal(pool, {}, {}, wanted)) == (
        f"draining 'pvs-1', 'pvs-2', 'pvs-3' would leave no member of pool 'boot' {rest}"
    )


def test_a_command_is_one_order_for_each_target() -> None:
    """From its time on, or from now; a resume puts nothing in force."""
    command = Command(ALL_OF_BOOT[:2], Order.DRAIN, "anna", "patch", until=900.0)
    assert command.overrides(100.0) == (a_drain("pvs-1", 100, 900), a_drain("pvs-2", 100, 900))
    later = replace(command, at=500.0).overrides(100.0)
    assert [one.since for one in later] == [500.0, 500.0]
    assert replace(command, order=None).overrides(100.0) == ()


def test_what_is_known_of_a_later_time() -> None:
    """What has ended by then is over, and what begins by then has begun."""
    now = {"pvs-1": a_drain("pvs-1", until=400.0), "pvs-2": a_drain("pvs-2")}
    plans = [Plan(a_drain("pvs-3", 300.0, 600.0), 100.0), Plan(a_drain("pvs-1", 700.0), 100.0)]
    assert set(overrides_at(now, plans, 200.0)) == {"pvs-1", "pvs-2"}
    assert set(overrides_at(now, plans, 500.0)) == {"pvs-2", "pvs-3"}
    assert set(overrides_at(now, plans, 800.0)) == {"pvs-1", "pvs-2"}


def test_the_same_order_again_is_the_same_within_two_seconds() -> None:
    """A client that saw no answer says "for two hours" again, which ends a little later."""
    order = a_drain("pvs-1", until=900.0)
    assert is_same(order, replace(order, until=901.9, by="bert", since=101.9))
    assert not is_same(order, replace(order, until=902.1))
    assert not is_same(order, replace(order, until=None))
    assert not is_same(order, replace(order, reason="other"))
    assert not is_same(None, order)


def test_the_same_plan_again_is_the_same() -> None:
    """Its start counts as its end does, and so does force."""
    plan = Plan(a_drain("pvs-1", 500.0, 900.0), 100.0)
    assert is_same_plan(plan, replace(plan, given_at=101.0, id="other"))
    assert not is_same_plan(plan, Plan(a_drain("pvs-1", 510.0, 900.0), 100.0))
    assert not is_same_plan(plan, Plan(a_drain("pvs-1", 500.0), 100.0))
    assert not is_same_plan(plan, replace(plan, force=True))
    assert not is_same_plan(None, plan)


def test_an_order_for_a_length_of_time_and_one_until_a_date_are_two() -> None:
    """After a jump of the clock they end at different times, so one replaces the other."""
    date = Override("boot", "pvs-1", Order.DRAIN, "anna", 0.0, until=7200.0)
    length = replace(date, ahead=0.0, boot="this")
    assert is_same(date, date)
    assert is_same(length, length)
    assert not is_same(date, length)
