"""Who stands first in what an exporter is told."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rrdns.export.pool_view import PoolScope, PoolView, limited_to, with_first
from tests.export.pool_views import view


def test_the_first_as_configured_leads_at_the_start() -> None:
    """Nothing was told before, so the config's order holds."""
    assert with_first(view(2, 1, 3), None, turn=False).addresses == (
        "10.0.0.2",
        "10.0.0.1",
        "10.0.0.3",
    )


def test_who_leads_stays_while_it_is_handed_out() -> None:
    """Another member that leaves or comes is no reason to tell a new first one."""
    before = view(1, 2, 3, first=2)
    assert with_first(view(2, 3), before, turn=False).first == "10.0.0.2"
    assert with_first(view(1, 2, 3, 4), before, turn=False).first == "10.0.0.2"


def test_who_left_is_followed_by_the_next_in_order() -> None:
    """The order goes on as if the one that left had had its turn."""
    before = view(1, 2, 3, first=2)
    assert with_first(view(1, 3), before, turn=False).first == "10.0.0.3"
    assert with_first(view(1), before, turn=False).first == "10.0.0.1"
    assert with_first(view(8, 9), before, turn=False).first == "10.0.0.8"


@given(st.integers(1, 12), st.integers(1, 5))
def test_turns_share_the_first_place_evenly(size: int, rounds: int) -> None:
    """Over whole rounds each member leads equally often."""
    now = view(*range(1, size + 1))
    before: PoolView | None = None
    firsts = []
    for _ in range(size * rounds):
        before = with_first(now, before, turn=before is not None)
        firsts.append(before.first)
    assert {firsts.count(address) for _, address in now.in_rotation} == {rounds}


def test_one_that_is_told_the_first_is_told_no_other() -> None:
    """`tell = "first"` leaves one member, `all` leaves all, the first in front."""
    all_of_them = view(1, 2, 3, first=3)
    assert limited_to(all_of_them, PoolScope.FIRST).in_rotation == (("pvs-3", "10.0.0.3"),)
    assert limited_to(all_of_them, PoolScope.ALL) == all_of_them
    assert all_of_them.addresses == ("10.0.0.3", "10.0.0.1", "10.0.0.2")


def test_a_later_telling_of_the_same_says_the_same() -> None:
    """Serial and time alone are no news; a TTL is."""
    now = view(1, 2)
    assert replace(now, serial=99, at=0.0).has_same_content(now)
    assert not replace(now, ttl=6).has_same_content(now)
    assert not now.has_same_content(None)
