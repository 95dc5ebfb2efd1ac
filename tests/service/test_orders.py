"""Orders for several members and for later: all or none, and kept until their time."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrdns.core.model import OrderKind
from rrdns.errors import StoreFailed, TooFewMembers, UnknownMember
from rrdns.service.control.order_schedule import MAX_LATE
from rrdns.store.last_snapshot import SnapshotFile
from rrdns.store.sqlite import SqliteStore
from rrdns.web.api.admin_service import OrderResult
from tests.service.control_harness import BrokenStore, Office

EVERYBODY = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


async def an_office() -> Office:
    office = Office()
    await office.open()
    return office


def changed(done: OrderResult) -> list[bool]:
    return [one.changed for one in done.members]


async def test_several_members_go_together_in_one_publication() -> None:
    """One line each in the trail, with one number for the order."""
    office = await an_office()
    serial = office.worker_feed.snapshot.serial
    done = await office.drain("pvs-1", "pvs-3", until=5000.0)
    assert office.answers() == ("10.0.0.2",)
    assert office.worker_feed.snapshot.serial == serial + 1
    assert (changed(done), done.remaining) == ([True, True], {"boot": ("pvs-2",)})
    trail = await office.trail()
    assert [(entry.action, entry.member) for entry in trail] == [
        ("drain", "pvs-3"),
        ("drain", "pvs-1"),
    ]
    ends = {"order": done.id, "until": "1970-01-01T01:23:20.000Z"}
    assert [entry.details for entry in trail] == [ends, ends]


async def test_too_many_together_leave_everything_as_it_was() -> None:
    """Each alone might have gone."""
    office = await an_office()
    with pytest.raises(TooFewMembers, match="'pvs-1', 'pvs-2', 'pvs-3' are the last members"):
        await office.drain("pvs-1", "pvs-2", "pvs-3")
    with pytest.raises(UnknownMember):
        await office.drain("pvs-1", "pvs-9")
    assert office.answers() == EVERYBODY
    assert await office.trail() == []


async def test_only_those_that_change_are_told_of() -> None:
    """An order for two, one of which has it already, is one line."""
    office = await an_office()
    await office.drain("pvs-1")
    assert changed(await office.drain("pvs-1", "pvs-2")) == [False, True]
    again = await office.drain("pvs-1", "pvs-2")
    assert (changed(again), again.id) == ([False, False], "")
    assert [entry.member for entry in await office.trail()] == ["pvs-2", "pvs-1"]


async def test_a_store_that_fails_changes_nobody() -> None:
    """Also for later."""
    office = Office(BrokenStore())
    await office.open()
    for at in (None, 2000.0):
        with pytest.raises(StoreFailed):
            await office.drain("pvs-1", "pvs-2", at=at)
    assert office.answers() == EVERYBODY
    assert office.schedule.next_change() is None


async def test_a_dry_run_tells_everything_and_changes_nothing() -> None:
    """Who would be left, from when it would be safe, and the guard's word."""
    office = await an_office()
    office.now = 1100.0
    done = await office.drain("pvs-1", "pvs-2", dry_run=True)
    assert (done.dry_run, done.guard, done.remaining) == (True, None, {"boot": ("pvs-3",)})
    assert changed(done) == [True, True]
    promised = [one.safe_after for one in done.members]
    refused = await office.drain("pvs-1", "pvs-2", "pvs-3", dry_run=True)
    assert isinstance(refused.guard, TooFewMembers)
    assert refused.remaining == {"boot": ()}
    assert office.answers() == EVERYBODY
    assert await office.trail() == []
    assert office.events_told() == []
    really = await office.drain("pvs-1", "pvs-2")
    assert [one.safe_after for one in really.members] == promised
    back = await office.resume("pvs-1", dry_run=True)
    assert (changed(back), back.remaining) == ([True], {"boot": ("pvs-1", "pvs-3")})
    assert office.answers() == ("10.0.0.3",)


async def test_an_order_for_later_begins_at_its_time_and_ends_at_its_end() -> None:
    """Nothing happens before, and the trail tells of each step."""
    office = await an_office()
    done = await office.drain("pvs-1", "pvs-2", at=2000.0, until=3000.0)
    assert office.answers() == EVERYBODY
    assert [one.report.plan is not None for one in done.members] == [True, True]
    assert done.remaining == {"boot": ("pvs-3",)}
    assert office.schedule.next_change() == 2000.0
    await office.schedule.run_due()
    assert office.answers() == EVERYBODY
    office.now = 2000.0
    await office.schedule.run_due()
    assert office.answers() == ("10.0.0.3",)
    assert office.schedule.next_change() == 3000.0
    office.now = 3000.0
    await office.schedule.run_due()
    assert office.answers() == EVERYBODY
    actions = [entry.action for entry in await office.trail()]
    assert actions == ["expire", "expire", "drain", "drain", "plan", "plan"]
    begun = (await office.trail())[2]
    assert (begun.by, begun.details["order"]) == ("anna", done.id)
    assert begun.details["planned"] == "1970-01-01T00:16:40.000Z"


async def test_the_same_order_for_later_twice_is_one() -> None:
    """Another time takes its place."""
    office = await an_office()
    await office.drain("pvs-1", at=2000.0)
    assert changed(await office.drain("pvs-1", at=2001.0)) == [False]
    assert changed(await office.drain("pvs-1", at=2500.0)) == [True]
    assert office.schedule.next_change() == 2500.0


async def test_the_guard_is_asked_when_an_order_is_given_and_again_at_its_time() -> None:
    """A refusal at its time is told, and all stay in; the first word is a preview."""
    office = await an_office()
    fine = await office.drain("pvs-1", "pvs-2", at=2000.0)
    assert fine.guard is None
    await office.drain("pvs-3")
    office.now = 2000.0
    await office.schedule.run_due()
    assert office.answers() == ("10.0.0.1", "10.0.0.2")
    assert office.schedule.next_change() is None
    trail = await office.trail()
    assert [(entry.action, entry.by) for entry in trail[:2]] == [("refused", "rrdns")] * 2
    assert "'pvs-1', 'pvs-2' are the last members" in trail[0].reason
    assert trail[0].details["ordered_by"] == "anna"
    assert office.events_told()[-2:] == ["refused", "refused"]


async def test_the_preview_knows_what_is_ordered_by_then() -> None:
    """Another order for later counts, and one that has ended by then does not."""
    office = await an_office()
    await office.drain("pvs-1", until=1500.0)
    await office.drain("pvs-2", at=1800.0)
    assert (await office.drain("pvs-3", at=2000.0)).guard is None
    assert (await office.drain("pvs-1", at=2100.0)).guard is not None
    assert (await office.drain("pvs-1", at=2100.0, dry_run=True)).remaining == {"boot": ()}


async def test_force_is_kept_with_an_order_for_later() -> None:
    """It was signed for when it was given."""
    office = await an_office()
    await office.drain("pvs-1", "pvs-2", "pvs-3", at=2000.0, force=True)
    office.now = 2000.0
    await office.schedule.run_due()
    assert office.answers() == ()
    assert (await office.trail())[0].details["forced"] == "yes"


async def test_resuming_ends_what_is_and_what_was_to_come() -> None:
    """Afterwards nothing is ordered for the member."""
    office = await an_office()
    await office.drain("pvs-1")
    await office.drain("pvs-1", "pvs-2", at=2000.0)
    assert changed(await office.resume("pvs-1", "pvs-2", "pvs-3")) == [True, True, False]
    assert office.schedule.next_change() is None
    assert office.answers() == EVERYBODY
    cancelled, resumed = (await office.trail())[:2]
    assert (cancelled.action, cancelled.before) == ("cancel", "drain at 1970-01-01T00:33:20.000Z")
    assert (resumed.action, resumed.before) == ("resume", "drain")
    assert resumed.details["cancelled"] == "drain at 1970-01-01T00:33:20.000Z"


async def test_an_order_for_later_survives_a_restart(tmp_path: Path) -> None:
    """Also one whose time came while nobody was there, unless it is over by then."""

    async def again(now: float) -> Office:
        office = Office(SqliteStore(tmp_path / "rrdns.db"), SnapshotFile(tmp_path / "last.db"), now)
        await office.open()
        return office

    office = await again(1000.0)
    await office.drain("pvs-1", at=2000.0, until=9000.0)
    await office.drain("pvs-2", at=2000.0, until=3000.0)
    await office.recovery.close()
    office = await again(4000.0)
    await office.schedule.run_due()
    override = office.states.state("boot", "pvs-1").override
    assert override is not None
    assert (override.order, override.since, override.until) == (OrderKind.DRAIN, 4000.0, 9000.0)
    assert office.answers() == EVERYBODY[1:]
    reasons = {entry.member: entry.reason for entry in (await office.trail())[:2]}
    assert reasons == {"pvs-1": "patch", "pvs-2": "its time was over before it could begin"}
    await office.recovery.close()


async def test_an_order_without_an_end_does_not_begin_days_later() -> None:
    """Whoever gave it has long found another way."""
    office = await an_office()
    await office.drain("pvs-1", at=2000.0)
    office.now = 2001.0 + MAX_LATE
    await office.schedule.run_due()
    assert office.answers() == EVERYBODY
    assert "missed: its time passed more than 24 h ago" in (await office.trail())[0].reason
