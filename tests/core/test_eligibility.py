"""Who is handed out, and why each other member is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.health.eligibility import EligibilityReason, select
from rrdns.core.health.standing import AWAITED, Standing
from rrdns.core.model import BootFile, Member, OnEmpty, OrderKind, Override, Pool, ProbeSpec
from rrdns.core.orders.guard import remaining_if_too_few
from rrdns.core.snapshot import rrset_of

UP, DOWN = Standing(up=True), Standing(up=False)


def a_pool(size: int = 3, **changes: object) -> Pool:
    members = tuple(Member(f"pvs-{n}", f"10.0.0.{10 + n}") for n in range(1, size + 1))
    pool = Pool("boot", "boot.example", members, ProbeSpec((BootFile("ARDBP32.BIN"),)))
    return replace(pool, **changes)  # type: ignore[arg-type]  # the names are the pool's own


def an_order(member: str, order: OrderKind = OrderKind.DRAIN) -> dict[str, Override]:
    return {member: Override("boot", member, order, by="anna", since=0.0)}


def names(pool: Pool, standings: dict[str, Standing], orders: dict[str, Override]) -> list[str]:
    return [member.name for member in select(pool, standings, orders).members]


def test_members_that_are_up_are_handed_out_in_the_order_of_the_config() -> None:
    """Standing alone decides when nobody ordered anything."""
    standings = {"pvs-1": UP, "pvs-2": DOWN, "pvs-3": UP}
    selection = select(a_pool(), standings, {})
    assert [member.name for member in selection.members] == ["pvs-1", "pvs-3"]
    assert selection.reasons == {
        "pvs-1": EligibilityReason.HEALTHY,
        "pvs-2": EligibilityReason.DOWN,
        "pvs-3": EligibilityReason.HEALTHY,
    }
    assert not selection.everything_down


def test_a_member_that_was_not_probed_yet_is_believed_to_be_up() -> None:
    """Before the first round is over the configured set is served."""
    selection = select(a_pool(), {}, {})
    assert set(selection.reasons.values()) == {EligibilityReason.ASSUMED}
    assert len(selection.members) == 3


def test_a_new_member_waits_for_its_first_probe() -> None:
    """The others are answered; where only new ones are left there is nobody, and no alarm."""
    standings = {"pvs-1": UP, "pvs-2": AWAITED, "pvs-3": AWAITED}
    selection = select(a_pool(), standings, {})
    assert [member.name for member in selection.members] == ["pvs-1"]
    assert selection.reasons["pvs-2"] is EligibilityReason.AWAITING_PROBE
    assert selection.is_awaiting
    drained = select(a_pool(), standings, an_order("pvs-1"))
    assert drained.members == ()
    assert not drained.everything_down
    assert not rrset_of(a_pool(), selection).is_silent
    assert rrset_of(a_pool(), drained).is_silent
    assert not rrset_of(a_pool(), drained).is_drained


def test_no_server_that_is_down_stands_in_for_one_whose_first_probe_runs() -> None:
    """The first result may make a last resort needless; that all others are down is an alarm."""
    standings = {"pvs-1": DOWN, "pvs-2": DOWN, "pvs-3": AWAITED}
    selection = select(a_pool(), standings, {})
    assert selection.members == ()
    assert selection.everything_down


def test_a_drained_member_is_out_however_healthy() -> None:
    """What is ordered wins over what is observed; both stay visible."""
    standings = {"pvs-1": UP, "pvs-2": UP, "pvs-3": UP}
    assert names(a_pool(), standings, an_order("pvs-2")) == ["pvs-1", "pvs-3"]


def test_forced_members_ignore_their_probes() -> None:
    """Force up and force down are orders, and shown as such."""
    standings = {"pvs-1": DOWN, "pvs-2": UP, "pvs-3": UP}
    orders = an_order("pvs-1", OrderKind.FORCE_UP) | an_order("pvs-3", OrderKind.FORCE_DOWN)
    selection = select(a_pool(), standings, orders)
    assert selection.reasons == {
        "pvs-1": EligibilityReason.FORCED_UP,
        "pvs-2": EligibilityReason.HEALTHY,
        "pvs-3": EligibilityReason.FORCED_DOWN,
    }


def test_with_everything_down_all_undrained_members_are_the_last_resort() -> None:
    """An answer that may boot beats one that cannot; the alarm is raised all the same."""
    standings = dict.fromkeys(("pvs-1", "pvs-2", "pvs-3"), DOWN)
    selection = select(a_pool(), standings, an_order("pvs-2"))
    assert [member.name for member in selection.members] == ["pvs-1", "pvs-3"]
    assert selection.reasons["pvs-1"] is EligibilityReason.LAST_RESORT
    assert selection.everything_down


def test_a_pool_may_choose_to_hand_out_nobody_when_everything_is_down() -> None:
    """SERVFAIL and silence are choices per pool."""
    standings = dict.fromkeys(("pvs-1", "pvs-2", "pvs-3"), DOWN)
    for choice in (OnEmpty.SERVFAIL, OnEmpty.SILENT):
        selection = select(a_pool(on_empty=choice), standings, {})
        assert selection.members == ()
        assert selection.everything_down


def test_a_backup_stands_by_until_nobody_else_can() -> None:
    """A backup member is handed out only in place of all others."""
    pool = a_pool()
    pool = replace(pool, members=(*pool.members[:2], replace(pool.members[2], backup=True)))
    up = {"pvs-1": UP, "pvs-2": UP, "pvs-3": UP}
    assert names(pool, up, {}) == ["pvs-1", "pvs-2"]
    assert select(pool, up, {}).reasons["pvs-3"] is EligibilityReason.STANDBY
    assert names(pool, {"pvs-1": DOWN, "pvs-2": DOWN, "pvs-3": UP}, {}) == ["pvs-3"]
    assert names(pool, up, an_order("pvs-3", OrderKind.FORCE_UP)) == ["pvs-1", "pvs-2", "pvs-3"]


standings_of_all = st.fixed_dictionaries(
    {f"pvs-{n}": st.builds(Standing, up=st.booleans(), probed=st.booleans()) for n in (1, 2, 3)}
)
orders_of_some = st.dictionaries(
    st.sampled_from(["pvs-1", "pvs-2", "pvs-3"]), st.sampled_from(list(OrderKind))
).map(lambda orders: {name: an_order(name, order)[name] for name, order in orders.items()})


@given(standings_of_all, orders_of_some, st.sampled_from(list(OnEmpty)))
def test_what_holds_for_every_selection(
    standings: dict[str, Standing], orders: dict[str, Override], on_empty: OnEmpty
) -> None:
    """Nobody is drained and handed out; a healthy member is never left out unordered."""
    selection = select(a_pool(on_empty=on_empty), standings, orders)
    handed_out = {member.name for member in selection.members}
    assert handed_out == {name for name, why in selection.reasons.items() if why.in_rotation}
    for name, standing in standings.items():
        order = orders[name].order if name in orders else None
        if order in (OrderKind.DRAIN, OrderKind.FORCE_DOWN):
            assert name not in handed_out
        elif order is OrderKind.FORCE_UP or standing.up:
            assert name in handed_out
    if len(orders) < 3 and on_empty is OnEmpty.SERVE_ALL:
        assert handed_out


def too_few(
    pool: Pool,
    standings: Mapping[str, Standing],
    before: Mapping[str, Override],
    after: Mapping[str, Override],
) -> tuple[str, ...] | None:
    """Return the members that the orders `after` would leave, when those are too few."""
    now, then = select(pool, standings, before), select(pool, standings, after)
    return remaining_if_too_few(pool, now, then)


def test_the_last_member_may_not_be_drained() -> None:
    """A drain that leaves nobody to boot from is refused."""
    standings = {"pvs-1": UP, "pvs-2": DOWN, "pvs-3": UP}
    drained = an_order("pvs-3")
    assert too_few(a_pool(), standings, {}, drained) is None
    assert too_few(a_pool(), standings, drained, drained | an_order("pvs-1")) == ()


def test_a_pool_may_ask_that_more_than_one_member_stays() -> None:
    """`min_members` is how many must be left."""
    standings = {"pvs-1": UP, "pvs-2": UP, "pvs-3": UP}
    pool = a_pool(min_members=2)
    first = an_order("pvs-1")
    assert too_few(pool, standings, {}, first) is None
    assert too_few(pool, standings, first, first | an_order("pvs-2")) == ("pvs-3",)


def test_a_dead_member_may_always_be_drained_while_others_answer() -> None:
    """Draining what does not boot takes nothing away."""
    standings = {"pvs-1": UP, "pvs-2": DOWN, "pvs-3": DOWN}
    assert too_few(a_pool(min_members=3), standings, {}, an_order("pvs-2")) is None


def test_with_everything_down_somebody_must_still_be_answered() -> None:
    """The last resort cannot be drained away either."""
    standings = dict.fromkeys(("pvs-1", "pvs-2", "pvs-3"), DOWN)
    two = an_order("pvs-1") | an_order("pvs-2")
    assert too_few(a_pool(), standings, an_order("pvs-1"), two) is None
    assert too_few(a_pool(), standings, two, two | an_order("pvs-3")) == ()


def test_draining_one_of_too_few_is_refused_even_below_keep() -> None:
    """With one of three up and min_members = 2, the one that is up still may not go."""
    standings = {"pvs-1": UP, "pvs-2": DOWN, "pvs-3": DOWN}
    assert too_few(a_pool(min_members=2), standings, {}, an_order("pvs-1")) == ()
