"""Which members an order means, and what it would come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rrdns.core.health.eligibility import EligibilityReason, select
from rrdns.core.model import (
    BootFile,
    Member,
    OrderKind,
    Override,
    Pool,
    ProbeSpec,
    ScheduledOverride,
)
from rrdns.core.orders.guard import check_guard
from rrdns.core.orders.request import (
    MemberSelector,
    OrderRequest,
    active_at,
    is_active_already,
    is_scheduled_already,
    select_members,
)
from rrdns.core.orders.version import member_version, pool_version
from rrdns.errors import AmbiguousMember, NoMemberMatches, TooFewMembers, UnknownMember, UnknownPool

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
    return Override("boot", member, OrderKind.DRAIN, "anna", since, "patch", until)


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (MemberSelector(names=("pvs-3", "pvs-2")), (("boot", "pvs-2"), ("boot", "pvs-3"))),
        (MemberSelector(names=("pvs-1",)), (("boot", "pvs-1"), ("login", "pvs-1"))),
        (MemberSelector(tag="old"), (("boot", "pvs-2"),)),
        (
            MemberSelector(glob="pvs-[13]"),
            (("boot", "pvs-1"), ("boot", "pvs-3"), ("login", "pvs-1")),
        ),
    ],
)
def test_members_are_meant_by_name_tag_or_pattern(
    choice: MemberSelector, meant: tuple[tuple[str, str], ...]
) -> None:
    """In the order of the config, and over all the pools that are looked at."""
    assert select_members(POOLS, choice) == meant


def test_a_name_or_pattern_may_mean_an_order_without_a_member() -> None:
    """Which comes after the members; it has no tag."""
    orphans = (("gone", "pvs-9"), ("login", "old-1"))
    assert select_members(POOLS, MemberSelector(names=("pvs-2", "pvs-9")), orphans) == (
        ("boot", "pvs-2"),
        ("gone", "pvs-9"),
    )
    assert select_members(POOLS, MemberSelector(glob="old-*"), orphans) == (("login", "old-1"),)
    with pytest.raises(NoMemberMatches):
        select_members(POOLS, MemberSelector(tag="rack-9"), orphans)


def test_a_name_that_is_nobodys_means_nobody_at_all() -> None:
    """An order for the others alone was not what was meant."""
    with pytest.raises(UnknownMember, match="no pool has a member 'pvs-9'"):
        select_members(POOLS, MemberSelector(names=("pvs-1", "pvs-9")))
    with pytest.raises(NoMemberMatches, match="no member has the tag 'rack-9'"):
        select_members(POOLS, MemberSelector(tag="rack-9"))
    with pytest.raises(NoMemberMatches, match=r"no member has a name like 'x\*'"):
        select_members(POOLS, MemberSelector(glob="x*"))
    with pytest.raises(NoMemberMatches, match="no member has a name"):
        select_members(POOLS, MemberSelector())


def guarded(pool: Pool, wanted: Sequence[Override]) -> TooFewMembers | None:
    """Return why the guard refuses orders, while all members are up and no order is in force."""
    names = [one.member for one in wanted]
    then = select(pool, {}, dict(zip(names, wanted, strict=True)))
    return check_guard(pool, select(pool, {}, {}), then, names)


def test_the_guard_looks_at_all_members_of_an_order_together() -> None:
    """Each alone might go; all of them may not."""
    wanted = [a_drain(name) for _, name in ALL_OF_BOOT]
    assert guarded(BOOT, wanted[:2]) is None
    refused = guarded(BOOT, wanted)
    assert str(refused) == (
        "'pvs-1', 'pvs-2', 'pvs-3' are the last members in rotation of pool 'boot'; "
        "bring another one back first, or force the drain"
    )


def test_a_name_may_be_a_pattern_unless_a_member_is_called_so() -> None:
    """In one list with plain names."""
    assert select_members(POOLS, MemberSelector(("pvs-1", "pvs-[23]"), pool="boot")) == ALL_OF_BOOT
    odd = replace(BOOT, members=(*MEMBERS, Member("pvs-*", "10.0.0.4")))
    assert select_members((odd,), MemberSelector(("pvs-*",))) == (("boot", "pvs-*"),)
    with pytest.raises(UnknownMember, match=r"no pool has a member 'x\*'$"):
        select_members(POOLS, MemberSelector(("x*",)))


def test_one_pool_alone_is_searched_if_it_is_named() -> None:
    """It may be the pool of an order that has no member any more."""
    assert select_members(POOLS, MemberSelector(("pvs-1",), pool="login")) == (("login", "pvs-1"),)
    gone = MemberSelector(("pvs-1",), pool="gone")
    assert select_members(POOLS, gone, [("gone", "pvs-1")]) == (("gone", "pvs-1"),)
    with pytest.raises(UnknownPool):
        select_members(POOLS, gone)


def test_a_name_in_several_pools_can_be_refused() -> None:
    """With the pools, for the caller to choose one."""
    with pytest.raises(AmbiguousMember, match="'pvs-1' is a member of several pools: boot, login"):
        select_members(POOLS, MemberSelector(("pvs-1",), one_pool=True))
    assert select_members(POOLS, MemberSelector(("pvs-2",), one_pool=True)) == (("boot", "pvs-2"),)


def test_an_unknown_name_comes_with_the_nearest_ones() -> None:
    """All that are equally near."""
    meant = "no pool has a member 'psv-1'; did you mean 'pvs-1'"
    with pytest.raises(UnknownMember, match=meant):
        select_members(POOLS, MemberSelector(("psv-1",)))
    with pytest.raises(UnknownMember, match="mean 'pvs-1' or 'pvs-2' or 'pvs-3'"):
        select_members(POOLS, MemberSelector(("pvs-9",)))


def test_a_version_changes_with_what_an_admin_decides_on() -> None:
    """The pool's with any member's."""
    drained, reason = a_drain("pvs-1"), EligibilityReason.DRAINED
    versions = [
        member_version(MEMBERS[0], EligibilityReason.HEALTHY, None, None),
        member_version(MEMBERS[0], EligibilityReason.DOWN, None, None),
        member_version(MEMBERS[0], reason, drained, None),
        member_version(MEMBERS[0], reason, drained, ScheduledOverride(drained, 1.0)),
        member_version(MEMBERS[1], EligibilityReason.HEALTHY, None, None),
    ]
    assert len(set(versions)) == len(versions)
    assert pool_version(versions) == pool_version(list(versions))
    assert pool_version(versions) != pool_version(versions[1:])


def test_the_guard_says_who_would_be_left() -> None:
    """With `min_members` above one, the names tell an admin whom to bring back beside them."""
    pool = replace(BOOT, min_members=2)
    wanted = [a_drain(name) for _, name in ALL_OF_BOOT]
    rest = "in rotation, and 2 must stay; bring another one back first, or force it"
    assert str(guarded(pool, wanted[:2])) == (
        f"draining 'pvs-1', 'pvs-2' would leave only 'pvs-3' of pool 'boot' {rest}"
    )
    assert str(guarded(pool, wanted)) == (
        f"draining 'pvs-1', 'pvs-2', 'pvs-3' would leave no member of pool 'boot' {rest}"
    )


def test_a_command_is_one_order_for_each_target() -> None:
    """From its time on, or from now; a resume puts nothing in force."""
    command = OrderRequest(ALL_OF_BOOT[:2], OrderKind.DRAIN, "anna", "patch", until=900.0)
    assert command.overrides(100.0) == (a_drain("pvs-1", 100, 900), a_drain("pvs-2", 100, 900))
    later = replace(command, at=500.0).overrides(100.0)
    assert [one.since for one in later] == [500.0, 500.0]
    assert replace(command, order=None).overrides(100.0) == ()


def test_what_is_known_of_a_later_time() -> None:
    """What has ended by then is over, and what begins by then has begun."""
    now = {"pvs-1": a_drain("pvs-1", until=400.0), "pvs-2": a_drain("pvs-2")}
    plans = [
        ScheduledOverride(a_drain("pvs-3", 300.0, 600.0), 100.0),
        ScheduledOverride(a_drain("pvs-1", 700.0), 100.0),
    ]
    assert set(active_at(now, plans, 200.0)) == {"pvs-1", "pvs-2"}
    assert set(active_at(now, plans, 500.0)) == {"pvs-2", "pvs-3"}
    assert set(active_at(now, plans, 800.0)) == {"pvs-1", "pvs-2"}


def test_the_same_order_again_is_the_same_within_two_seconds() -> None:
    """A client that saw no answer says "for two hours" again, which ends a little later."""
    order = a_drain("pvs-1", until=900.0)
    assert is_active_already(order, replace(order, until=901.9, by="bert", since=101.9))
    assert not is_active_already(order, replace(order, until=902.1))
    assert not is_active_already(order, replace(order, until=None))
    assert not is_active_already(order, replace(order, reason="other"))


def test_the_same_plan_again_is_the_same() -> None:
    """Its start counts as its end does, and so does force."""
    plan = ScheduledOverride(a_drain("pvs-1", 500.0, 900.0), 100.0)
    assert is_scheduled_already(plan, replace(plan, given_at=101.0, id="other"))
    assert not is_scheduled_already(plan, ScheduledOverride(a_drain("pvs-1", 510.0, 900.0), 100.0))
    assert not is_scheduled_already(plan, ScheduledOverride(a_drain("pvs-1", 500.0), 100.0))
    assert not is_scheduled_already(plan, replace(plan, force=True))
    assert not is_scheduled_already(None, plan)


def test_an_order_for_a_length_of_time_and_one_until_a_date_are_two() -> None:
    """After a jump of the clock they end at different times, so one replaces the other."""
    date = Override("boot", "pvs-1", OrderKind.DRAIN, "anna", 0.0, until=7200.0)
    length = replace(date, ahead=0.0, boot="this")
    assert is_active_already(date, date)
    assert is_active_already(length, length)
    assert not is_active_already(date, length)
