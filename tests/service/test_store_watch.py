"""What is on disk is looked after: taken away it is soon there again, and a full disk is spared."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from rrdns.service.control import recovery
from rrdns.store.base import MemoryStore
from rrdns.store.last_snapshot import SnapshotFile
from rrdns.store.sqlite import SqliteStore
from tests.service.control_harness import FullStore, Office


async def test_a_store_that_is_taken_away_is_soon_there_again(tmp_path: Path) -> None:
    """Nobody gives an order: a kill a second later finds all that was acknowledged."""
    path, snapshot = tmp_path / "rrdns.db", tmp_path / "rrdns.last-good.db"
    office = Office(SqliteStore(path), SnapshotFile(snapshot))
    await office.open()
    duties = [
        asyncio.create_task(office.mind()),
        asyncio.create_task(office.saver.run()),
    ]
    await office.drain("pvs-2")
    await office.saver.wait_saved()
    path.unlink()
    snapshot.unlink()
    began = time.monotonic()
    while not (path.exists() and snapshot.exists()):  # noqa: ASYNC110 - a file tells nobody
        await asyncio.sleep(0.01)
    assert time.monotonic() - began < 1.0
    await office.saver.wait_saved()
    found = Office(SqliteStore(path), SnapshotFile(snapshot))
    await found.open()
    assert found.answers() == ("10.0.0.1", "10.0.0.3")
    for job in duties:
        job.cancel()
    await office.recovery.close()
    await found.recovery.close()


async def test_a_disk_that_fails_is_looked_at_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look would write all orders anew, and tell of it."""
    store, waits = FullStore(), list[float]()
    office = Office(store)
    await office.open()
    await office.drain("pvs-2")
    # Whether the file is there at each look, and whether an order can be kept.
    looks = iter([(True, True), (False, True), (True, False), (False, False), (True, True)])
    shown = list[bool]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        shown.append(bool(office.recorder.alarms()))
        try:
            there, kept = next(looks)
        except StopIteration:
            raise asyncio.CancelledError from None
        store.verify_fails, store.commit_fails = not there, not kept
        if not kept:
            store._overrides.clear()
            office.recovery._is_behind = True

    monkeypatch.setattr("rrdns.service.control.recovery.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await office.mind()
    soon, later = recovery.VERIFY_INTERVAL, recovery.VERIFY_AFTER_FAILURE
    assert waits == [soon, soon, later, later, later, soon]
    assert soon < 1 < later
    assert shown == [False, False, True, True, True, False]


async def test_the_alarm_of_an_order_that_was_not_kept_lasts_longer_than_a_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file is where it was: that alone does not mean that it can be written."""
    office, waits = Office(MemoryStore()), list[float]()
    await office.open()
    shown = list[bool]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        shown.append(bool(office.recorder.alarms()))
        if len(waits) == 1:
            office.recorder.raise_alarm("store-failed", "the disk is full")
        elif len(waits) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("rrdns.service.control.recovery.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await office.mind()
    assert waits == [
        recovery.VERIFY_INTERVAL,
        recovery.VERIFY_AFTER_FAILURE,
        recovery.VERIFY_INTERVAL,
    ]
    assert shown == [False, True, False]
