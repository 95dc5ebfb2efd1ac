"""Clocks that jump: a length of time stays as long, a date follows, and longer is safe."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.service.control import recovery
from rrdns.service.runtime.clocks import Clocks
from rrdns.store.base import MemoryStore
from rrdns.store.last_snapshot import SnapshotFile
from rrdns.store.sqlite import SqliteStore
from tests.service.control_harness import POOL, Office

JUMPS = [3600.0, -7200.0]
TTL = 30


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_member_is_safe_after_its_ttl_however_the_clock_was_set(jump: float) -> None:
    """The date that is shown moves with the clock, and what is left of the wait does not."""
    office = Office(pools=(replace(POOL, ttl=TTL),))
    await office.open()
    done = await office.drain("pvs-2")
    assert done.members[0].safe_after == pytest.approx(1000.0 + TTL + 1, abs=0.1)
    office.now, office.jumped = 1010.0, jump
    assert _safe_after(office) - office.clock() == pytest.approx(TTL + 1 - 10, abs=0.1)
    preview = await office.drain("pvs-3", dry_run=True)
    left = preview.members[0].safe_after - office.clock()
    assert left == pytest.approx(TTL + 1, abs=0.1)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize(("boot", "left"), [("this", 21.0), ("next", 31.0)])
async def test_a_restart_with_a_jump_makes_no_wait_shorter(
    tmp_path: Path, jump: float, boot: str, left: float
) -> None:
    """Within a boot the steady clock counts on; after one, what was left begins anew."""

    def an_office(now: float, boot: str) -> Office:
        snapshot_file = SnapshotFile(tmp_path / "last.db", boot=lambda: boot)
        pool = replace(POOL, ttl=TTL)
        return Office(SqliteStore(tmp_path / "rrdns.db"), snapshot_file, now, (pool,))

    office = an_office(1000.0, "this")
    await office.open()
    await office.drain("pvs-2")
    office.now = 1000.5
    keeping = asyncio.create_task(office.saver.run())
    office.publisher.mark_changed("boot")
    office.publisher.flush()
    await office.saver.wait_saved()
    keeping.cancel()
    await office.recovery.close()

    again = an_office(1010.0 if boot == "this" else 40.0, boot)
    again.jumped = jump if boot == "this" else 960.0 + jump
    await again.open()
    # Who was drained "after" the last save, by a clock that was set back since, counts anew.
    assert _safe_after(again) - again.clock() == pytest.approx(left, abs=0.6)
    await again.recovery.close()


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("restarted", [False, True])
async def test_an_order_for_two_hours_lasts_two_hours(
    tmp_path: Path, jump: float, restarted: bool
) -> None:
    """What an admin gave as a length stays as long; its end is shown as the clock shows that."""

    def an_office(now: float) -> Office:
        return Office(SqliteStore(tmp_path / "rrdns.db"), now=now)

    office = an_office(10_000.0)
    await office.open()
    await office.drain("pvs-2", until=17_200.0, lasting=True)
    await office.drain("pvs-3", until=17_200.0)
    if restarted:
        await office.recovery.close()
        office = an_office(10_000.0)
        office.jumped = jump
        await office.open()
    office.now, office.jumped = 17_199.0, jump
    await office.schedule.run_due()
    lasting = office.states.state("boot", "pvs-2").override
    assert lasting is not None
    assert lasting.until == 17_200.0 + jump
    # A date is a date: set forward it is over, set back it is two hours away.
    assert (office.states.state("boot", "pvs-3").override is None) is (jump > 0)
    office.now = 17_200.5
    await office.schedule.run_due()
    assert office.states.state("boot", "pvs-2").override is None
    await office.recovery.close()


async def test_a_planned_order_begins_by_the_date_and_then_lasts() -> None:
    """The end that was shown holds when it begins; from then on it is a length of time."""
    office = Office()
    await office.open()
    await office.drain("pvs-2", at=2000.0, until=3000.0, lasting=True)
    office.jumped = 1000.0  # the clock shows 2000 now
    await office.schedule.run_due()
    office.jumped = 5000.0
    await office.schedule.run_due()
    override = office.states.state("boot", "pvs-2").override
    assert override is not None
    assert override.until == 7000.0
    office.now = 2001.0
    await office.schedule.run_due()
    assert office.states.state("boot", "pvs-2").override is None


async def test_after_another_boot_the_date_that_was_shown_counts(tmp_path: Path) -> None:
    """Nobody knows how long the machine was down; jumps that follow are followed again."""
    office = Office(SqliteStore(tmp_path / "rrdns.db"))
    await office.open()
    await office.drain("pvs-2", until=9000.0, lasting=True)
    await office.recovery.close()
    again = Office(SqliteStore(tmp_path / "rrdns.db"), now=10.0, boot="next", jumped=1500.0)
    await again.open()
    for jumped, until in ((1500.0, 9000.0), (2000.0, 9500.0)):
        again.jumped = jumped
        await again.schedule.run_due()
        override = again.states.state("boot", "pvs-2").override
        assert override is not None
        assert override.until == until
    await again.recovery.close()


async def test_a_clock_a_year_ahead_takes_no_audit_trail_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does one that was slow at the start: the earliest date that it can be counts."""
    monkeypatch.setattr(recovery, "PRUNE_INTERVAL", 0.0)
    monkeypatch.setattr(recovery, "VERIFY_INTERVAL", 0.01)
    office = Office(store := MemoryStore())
    await office.open()
    await office.drain("pvs-2")
    office.jumped = 366 * 86400.0
    minding = asyncio.create_task(office.mind(90 * 86400.0))
    await asyncio.sleep(0.05)
    assert [entry.action for entry in await store.audit(9, None, None, None)] == ["drain"]
    office.now += 91 * 86400.0  # they really pass
    await asyncio.sleep(0.05)
    assert await store.audit(9, None, None, None) == ()
    minding.cancel()


def test_the_same_date_is_shown_twice() -> None:
    """Two clocks cannot be read at one instant; the difference of microseconds is no jump."""
    times = iter([100.0, 0.0, 1.0, 101.001, 1.002, 2.0, 3602.0, 2.001])
    clocks = Clocks(lambda: next(times), lambda: next(times))
    assert clocks.ahead() == 100.0
    assert clocks.ahead() == pytest.approx(3600.0, abs=0.01)


def _safe_after(office: Office) -> float:
    report = office.admin_service.pool("boot").members[1]
    assert report.safe_after is not None
    return report.safe_after
