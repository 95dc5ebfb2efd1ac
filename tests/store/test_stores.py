"""What every store promises, asked of each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.core.events import Event
from rrdns.core.model import OrderKind, Override, ScheduledOverride
from rrdns.store.base import MemoryStore, OrderTransaction, Store
from rrdns.store.sqlite import PRUNE_AT_ONCE, SqliteStore
from tests.store.single_orders import end, give

DRAIN = Override(
    *("boot", "pvs-2", OrderKind.DRAIN, "ops", 1000.5, "patch night", 8200.25),
    address="10.0.0.2",
    hostname="boot.example",
)
KEEPERS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda directory: SqliteStore(directory / "rrdns.db"),
}


def entry(
    number: int = 0,
    action: str = "drain",
    pool: str = "boot",
    member: str = "pvs-2",
    reason: str = "",
) -> Event:
    """Return an audit entry of second number `number`."""
    return Event(float(number), "ops", action, pool, member, reason)


@pytest.fixture(params=KEEPERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Return an open, empty store of each kind."""
    store = KEEPERS[request.param](tmp_path)
    assert await store.open() is None
    yield store
    await store.close()


async def test_a_new_store_is_empty(store: Store) -> None:
    """Nothing is ordered and nothing happened."""
    assert await store.overrides() == ()
    assert await store.audit(10) == ()


async def test_an_order_is_kept_as_it_was_given(store: Store) -> None:
    """Every field comes back, and so does the line that tells of it."""
    told = replace(
        entry(7), reason="Ünïcode ☃", before="", after="drain", details={"forced": "yes"}
    )
    await give(store, DRAIN, told)
    assert await store.overrides() == (DRAIN,)
    assert await store.audit(10) == (replace(told, id=1),)


async def test_an_order_without_an_end_has_none_afterwards(store: Store) -> None:
    """No end is not an end at zero."""
    await give(store, replace(DRAIN, until=None), entry())
    (kept,) = await store.overrides()
    assert kept.until is None


async def test_the_later_order_for_a_member_takes_the_place_of_the_earlier(store: Store) -> None:
    """A member has one order at most."""
    later = replace(DRAIN, order=OrderKind.FORCE_UP, reason="try it", until=None)
    await give(store, DRAIN, entry(1))
    await give(store, later, entry(2))
    assert await store.overrides() == (later,)
    assert len(await store.audit(10)) == 2


async def test_members_of_the_same_name_in_two_pools_are_two(store: Store) -> None:
    """A member is known by its pool and its name; orders come in that order."""
    other = replace(DRAIN, pool="aux")
    await give(store, DRAIN, entry())
    await give(store, other, entry())
    assert await store.overrides() == (other, DRAIN)
    await end(store, "aux", "pvs-2", entry())
    assert await store.overrides() == (DRAIN,)


async def test_lifting_ends_the_order_and_says_so(store: Store) -> None:
    """The trail has both lines, the newest first."""
    await give(store, DRAIN, entry(1))
    await end(store, "boot", "pvs-2", entry(2, action="resume"))
    assert await store.overrides() == ()
    assert [line.action for line in await store.audit(10)] == ["resume", "drain"]


async def test_lifting_what_is_not_ordered_only_says_so(store: Store) -> None:
    """There is nothing to end, and that is no failure."""
    await end(store, "boot", "pvs-9", entry(action="resume"))
    assert [line.action for line in await store.audit(10)] == ["resume"]


async def test_the_trail_is_read_in_pages_from_the_newest(store: Store) -> None:
    """Each page begins below the last id of the one before."""
    await store.append_audit([entry(number) for number in range(5)])
    first = await store.audit(2)
    second = await store.audit(2, before_id=first[-1].id)
    third = await store.audit(2, before_id=second[-1].id)
    assert [line.at for line in (*first, *second, *third)] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert await store.audit(2, before_id=third[-1].id) == ()


async def test_the_trail_can_be_read_for_one_pool_or_member(store: Store) -> None:
    """Filters hold together."""
    await store.append_audit(
        [entry(1), entry(2, pool="aux"), entry(3, member="pvs-1"), entry(4, pool="", member="")]
    )
    assert [line.at for line in await store.audit(10, pool="boot")] == [3.0, 1.0]
    assert [line.at for line in await store.audit(10, member="pvs-2")] == [2.0, 1.0]
    assert [line.at for line in await store.audit(10, None, "boot", "pvs-1")] == [3.0]
    assert await store.audit(10, before_id=3, pool="boot", member="pvs-1") == ()


async def test_what_is_too_old_is_forgotten_and_ids_are_never_used_again(store: Store) -> None:
    """The line of just that moment stays."""
    await store.append_audit([entry(1), entry(2), entry(3)])
    await store.prune(before=3.0)
    assert [line.at for line in await store.audit(10)] == [3.0]
    await store.prune(before=100.0)
    await store.append_audit([entry(101)])
    assert [line.id for line in await store.audit(10)] == [4]


async def test_any_number_of_old_lines_is_forgotten(store: Store) -> None:
    """Also when they are more than go at once."""
    await store.append_audit([entry(1)] * (2 * PRUNE_AT_ONCE + 1) + [entry(2)])
    await store.prune(before=2.0)
    assert [line.at for line in await store.audit(10)] == [2.0]


async def test_noting_nothing_changes_nothing(store: Store) -> None:
    """An empty batch is fine."""
    await store.append_audit([])
    assert await store.audit(10) == ()


async def test_pruning_leaves_orders_alone(store: Store) -> None:
    """However old an order is, it holds until it is ended."""
    await give(store, DRAIN, entry(1))
    await store.prune(before=1e12)
    assert await store.overrides() == (DRAIN,)


async def test_closing_twice_is_fine(store: Store) -> None:
    """Whoever stops need not know who stopped before."""
    await store.close()
    await store.close()


PLAN = ScheduledOverride(replace(DRAIN, since=5000.0), 1000.5, force=True, id="c0ffee")


async def test_an_order_for_later_is_kept_as_it_was_given(store: Store) -> None:
    """Beside the one in force; the later one takes the place of the earlier."""
    await store.commit(OrderTransaction(set=(DRAIN,), scheduled=(replace(PLAN, id="first"),)))
    await store.commit(OrderTransaction(scheduled=(PLAN,), entries=(entry(1, action="plan"),)))
    assert await store.scheduled() == (PLAN,)
    assert await store.overrides() == (DRAIN,)
    assert len(await store.audit(10)) == 1


async def test_an_order_comes_into_force_in_one_step(store: Store) -> None:
    """It is for later no more, and for now; several members go together."""
    other = replace(DRAIN, member="pvs-3")
    await store.commit(OrderTransaction(scheduled=(PLAN,)))
    lines = (entry(1), entry(2, member="pvs-3"))
    await store.commit(OrderTransaction(set=(DRAIN, other), unscheduled=(PLAN.key,), entries=lines))
    assert await store.scheduled() == ()
    assert await store.overrides() == (DRAIN, other)
    assert [line.member for line in await store.audit(10)] == ["pvs-3", "pvs-2"]
    await store.commit(OrderTransaction(removed=(("boot", "pvs-2"), ("boot", "pvs-3"))))
    assert await store.overrides() == ()
