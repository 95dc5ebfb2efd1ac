"""Clocks that jump: a length of time stays as long, a date follows, and longer is safe."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.service import memory
from rrdns.service.clocks import Clocks
from rrdns.store.base import MemoryStore
from rrdns.store.lastgood import LastGood
from rrdns.store.sqlite import SqliteStore
from tests.service.office import POOL, Office

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
        last_good = LastGood(tmp_path / "last.db", boot=lambda: boot)
        pool = replace(POOL, ttl=TTL)
        return Office(SqliteStore(tmp_path / "rrdns.db"), last_good, now, (pool,))

    office = an_office(1000.0, "this")
    await office.open()
    await office.drain("pvs-2")
    office.now = 1000.5
    keeping = asyncio.create_task(office.publication.keep_on_disk())
    office.publication.mark("boot")
    office.publication.flush()
    await office.publication.on_disk()
    keeping.cancel()
    await office.memory.close()

    again = an_office(1010.0 if boot == "this" else 40.0, boot)
    again.jumped = jump if boot == "this" else 960.0 + jump
    await again.open()
    # Who was drained "after" the last save, by a clock that was set back since, counts anew.
    assert _safe_after(again) - again.clock() == pytest.approx(left, abs=0.6)
    await again.memory.close()


async def test_a_clock_a_year_ahead_takes_no_audit_trail_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does one that was slow at the start: the earliest date that it can be counts."""
    monkeypatch.setattr(memory, "PRUNE_EVERY", 0.01)
    office = Office(store := MemoryStore())
    await office.open()
    await office.drain("pvs-2")
    office.jumped = 366 * 86400.0
    minding = asyncio.create_task(office.memory.mind(office.publication, lambda: 90 * 86400.0))
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
    report = office.desk.pool("boot").members[1]
    assert report.safe_after is not None
    return report.safe_after
