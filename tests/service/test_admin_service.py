"""Orders: kept before they are carried out, one at a time, and refused rather than lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.probe_result import Verdict
from rrdns.core.health.probe_timing import PUBLISH_SECONDS
from rrdns.core.model import Pool
from rrdns.core.orders.cache_expiry import TTL_ROUNDING
from rrdns.errors import StoreFailed, TooFewMembers
from rrdns.service.control import order_changes, recovery
from rrdns.service.events import recorder
from rrdns.service.publish import snapshot_saver
from rrdns.store.base import MemoryStore
from rrdns.store.last_snapshot import SnapshotFile
from rrdns.store.sqlite import SqliteStore
from tests.service.control_harness import POOL, BrokenStore, Office
from tests.store.test_sqlite import remount, small_disk


async def test_a_drain_changes_the_answers_before_it_is_acknowledged() -> None:
    """The reply says from when it is safe: one TTL from now, in a resolver's whole seconds."""
    office = Office()
    await office.open()
    done = await office.drain("pvs-2")
    assert office.answers() == ("10.0.0.1", "10.0.0.3")
    assert done.members[0].changed
    assert done.members[0].safe_after == office.now + PUBLISH_SECONDS + POOL.ttl + TTL_ROUNDING
    assert done.members[0].report.why is EligibilityReason.DRAINED


async def test_the_same_order_twice_is_one() -> None:
    """A client that saw no answer may ask again."""
    office = Office()
    await office.open()
    await office.drain("pvs-2", until=5000.0)
    office.now += 1
    again = await office.drain("pvs-2", until=5001.0)
    assert not again.members[0].changed
    assert again.members[0].report.override is not None
    assert again.members[0].report.override.until == 5000.0
    assert (await office.drain("pvs-2", until=9000.0)).members[0].changed
    assert (await office.drain("pvs-2")).members[0].changed


async def test_two_admins_never_drain_the_last_two_members() -> None:
    """A hundred times at the same instant."""
    for _ in range(100):
        office = Office()
        await office.open()
        await office.drain("pvs-1")
        both = await asyncio.gather(
            office.drain("pvs-2"), office.drain("pvs-3"), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in both) == ["OrderResult", "TooFewMembers"]
        assert len(office.answers()) == 1


async def test_force_takes_the_last_member_and_the_trail_says_so() -> None:
    """An admin may know better, and signs for it."""
    office = Office()
    await office.open()
    await office.drain("pvs-1")
    await office.drain("pvs-2")
    with pytest.raises(TooFewMembers):
        await office.drain("pvs-3")
    await office.drain("pvs-3", force=True)
    assert office.answers() == ()
    newest = (await office.admin_service.audit(1, None, None, None))[0]
    assert (newest.action, newest.details["forced"]) == ("drain", "yes")


async def test_an_order_that_cannot_be_kept_is_not_carried_out() -> None:
    """The one who ordered hears why, an alarm is raised, and the answers stay."""
    office = Office(BrokenStore())
    await office.open()
    with pytest.raises(StoreFailed, match="the disk is full"):
        await office.drain("pvs-1")
    assert len(office.answers()) == 3
    assert [alarm.name for alarm in office.admin_service.service().alarms] == ["store-failed"]


async def test_an_audit_trail_that_cannot_be_written_costs_no_answer() -> None:
    """What could not be written is tried again, and the alarm ends when it works."""
    store = BrokenStore()
    office = Office(store)
    await office.open()
    office.recorder.record(office.recorder.system_event("standing", pool="boot", member="pvs-1"))
    await office.recorder.flush()
    assert [alarm.name for alarm in office.recorder.alarms()] == ["store-failed"]
    store.append_audit = lambda entries: MemoryStore.append_audit(store, entries)  # type: ignore[method-assign]  # mended
    await office.recorder.flush()
    assert office.recorder.alarms() == ()
    assert [entry.action for entry in await store.audit(9)] == ["standing"]


async def test_an_order_ends_when_its_time_has_come() -> None:
    """And the trail says that nobody had to."""
    office = Office()
    await office.open()
    await office.drain("pvs-2", until=1010.0)
    await office.schedule.run_due()
    assert "10.0.0.2" not in office.answers()
    office.now = 1010.0
    await office.schedule.run_due()
    assert "10.0.0.2" in office.answers()
    assert [entry.action for entry in await office.admin_service.audit(9, None, None, None)] == [
        "expire",
        "drain",
    ]


async def test_everything_down_is_an_alarm_until_one_is_back() -> None:
    """Said once, and ended once."""
    office = Office()
    await office.open()
    for member in ("pvs-1", "pvs-2", "pvs-3"):
        office.probe(member, Verdict.TIMEOUT)
    office.publisher.mark_changed("boot")
    office.publisher.flush()
    alarms = office.admin_service.service().alarms
    assert [alarm.name for alarm in alarms] == ["everything-down"]
    assert "with all 3 members that are not drained" in alarms[0].sentence
    assert len(office.answers()) == 3
    office.probe("pvs-1", Verdict.OK, 2)
    office.publisher.mark_changed("boot")
    office.publisher.flush()
    assert office.admin_service.service().alarms == ()
    assert office.answers() == ("10.0.0.1",)


async def test_changes_within_a_few_milliseconds_are_one_publication() -> None:
    """One snapshot, however many members fell together."""
    office = Office()
    await office.open()
    serial = office.worker_feed.snapshot.serial
    for member in ("pvs-1", "pvs-2"):
        office.probe(member, Verdict.TIMEOUT)
        office.publisher.mark_changed("boot")
    await asyncio.sleep(0.05)
    assert office.worker_feed.snapshot.serial == serial + 1
    assert office.answers() == ("10.0.0.3",)


async def test_orders_and_standings_are_taken_up_after_a_restart(tmp_path: Path) -> None:
    """What was down is believed to be down until its first probe."""

    def an_office() -> Office:
        return Office(SqliteStore(tmp_path / "rrdns.db"), SnapshotFile(tmp_path / "last.db"))

    office = an_office()
    await office.open()
    keeping = asyncio.create_task(office.saver.run())
    await office.drain("pvs-2", until=5000.0)
    office.probe("pvs-3", Verdict.TIMEOUT)
    office.publisher.mark_changed("boot")
    office.publisher.flush()
    await office.saver.wait_saved()
    keeping.cancel()
    serial = office.worker_feed.snapshot.serial
    await office.recovery.close()

    again = an_office()
    await again.open()
    assert again.answers() == ("10.0.0.1",)
    assert again.worker_feed.snapshot.serial > serial
    override = again.states.state("boot", "pvs-2").override
    assert override is not None
    assert (override.reason, override.until) == ("patch", 5000.0)
    await again.recovery.close()


async def test_a_start_after_an_order_answers_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker would start from has the order by the time that it is acknowledged."""
    monkeypatch.setattr(order_changes, "DISK_TIMEOUT", 10.0)
    snapshot_file = SnapshotFile(tmp_path / "last.db")
    office = Office(SqliteStore(tmp_path / "rrdns.db"), snapshot_file)
    await office.open()
    keeping = asyncio.create_task(office.saver.run())
    for change, addresses in (
        (office.drain, ("10.0.0.1", "10.0.0.3")),
        (office.resume, ("10.0.0.1", "10.0.0.2", "10.0.0.3")),
    ):
        await change("pvs-2")
        remembered = SnapshotFile(tmp_path / "last.db").load()
        assert remembered is not None
        assert remembered.snapshot.rrsets["boot"].addresses == addresses
    keeping.cancel()
    await snapshot_file.close()
    await office.recovery.close()


async def test_a_disk_that_fails_is_said_and_holds_no_order_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is in the store; the snapshot on disk is made good with the next one."""
    snapshot_file = SnapshotFile(tmp_path / "last.db")
    office = Office(SqliteStore(tmp_path / "rrdns.db"), snapshot_file)
    await office.open()
    keeping = asyncio.create_task(office.saver.run())
    await office.saver.wait_saved()

    async def fail() -> None:
        raise StoreFailed("last.db", "sync the snapshot", "the disk is failing")

    with monkeypatch.context() as broken:
        broken.setattr(snapshot_file, "sync", fail)
        await office.drain("pvs-2")
        await office.saver.wait_saved()
    assert [alarm.name for alarm in office.recorder.alarms()] == ["snapshot-not-kept"]
    await office.drain("pvs-3")
    await office.saver.wait_saved()
    assert office.recorder.alarms() == ()
    keeping.cancel()
    await snapshot_file.close()
    await office.recovery.close()


async def test_a_disk_that_recovers_is_made_good_though_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the alarm is over; the next change may be days away."""
    monkeypatch.setattr(snapshot_saver, "RETRY_INTERVAL", 0.01)
    snapshot_file = SnapshotFile(tmp_path / "last.db")
    office = Office(snapshot_file=snapshot_file)
    await office.open()
    keeping = asyncio.create_task(office.saver.run())
    await office.saver.wait_saved()

    async def fail(*_: object) -> None:
        raise StoreFailed("last.db", "keep the change", "the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(snapshot_file, "save", fail)
        broken.setattr(snapshot_file, "save_change", fail)
        await office.drain("pvs-2")
        await asyncio.sleep(0.05)
        assert [alarm.name for alarm in office.recorder.alarms()] == ["snapshot-not-kept"]
    await asyncio.sleep(0.05)
    await office.saver.wait_saved()
    assert office.recorder.alarms() == ()
    remembered = snapshot_file.load()
    assert remembered is not None
    assert remembered.snapshot == office.worker_feed.snapshot
    keeping.cancel()
    await snapshot_file.close()


async def test_a_store_that_proves_damaged_when_it_can_be_opened_at_last_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As at a start: the orders in it are not in force, and somebody must know."""

    class Late(MemoryStore):
        tries = 0

        async def open(self) -> str | None:
            self.tries += 1
            if self.tries == 1:
                raise StoreFailed("rrdns.db", "be opened", "another process holds it locked")
            return "the store was damaged and has been moved"

    monkeypatch.setattr(recovery, "RETRY_INTERVAL", 0.01)
    office = Office(Late())
    await office.open()
    assert [alarm.name for alarm in office.recorder.alarms()] == ["store-failed"]
    minding = asyncio.create_task(office.mind())
    await asyncio.sleep(0.1)
    assert [alarm.name for alarm in office.recorder.alarms()] == ["store-damaged"]
    minding.cancel()


async def test_a_restart_forgets_no_answer_that_may_still_be_believed(tmp_path: Path) -> None:
    """Who is out since before the fall keeps its end; others may have been named until now."""

    def an_office(now: float, pool: Pool) -> Office:
        snapshot_file = SnapshotFile(tmp_path / "last.db")
        return Office(SqliteStore(tmp_path / "rrdns.db"), snapshot_file, now, (pool,))

    office = an_office(1000.0, replace(POOL, ttl=300))
    await office.open()
    done = await office.drain("pvs-2")
    office.now = 1010.0
    keeping = asyncio.create_task(office.saver.run())
    office.publisher.mark_changed("boot")
    office.publisher.flush()
    await office.saver.wait_saved()
    keeping.cancel()
    await office.drain("pvs-3")  # and the machine falls before this is on disk
    await office.recovery.close()

    again = an_office(1020.0, POOL)
    await again.open()
    report = again.admin_service.pool("boot")
    assert [member.safe_after for member in report.members] == [
        None,
        done.members[0].safe_after,
        1020.0 + PUBLISH_SECONDS + 300 + TTL_ROUNDING,
    ]
    await again.recovery.close()


async def test_a_damaged_store_does_not_bring_drained_servers_back(tmp_path: Path) -> None:
    """Who was out of the last answers though up is taken for drained, and it is said."""
    path = tmp_path / "rrdns.db"
    office = Office(SqliteStore(path), SnapshotFile(tmp_path / "last.db"))
    await office.open()
    keeping = asyncio.create_task(office.saver.run())
    await office.drain("pvs-2")
    await office.saver.wait_saved()
    keeping.cancel()
    await office.recovery.close()
    for file in tmp_path.glob("rrdns.db-*"):
        file.unlink()
    path.write_bytes(b"this is no database" * 1000)

    again = Office(SqliteStore(path), SnapshotFile(tmp_path / "last.db"))
    await again.open()
    assert again.answers() == ("10.0.0.1", "10.0.0.3")
    override = again.states.state("boot", "pvs-2").override
    assert override is not None
    assert "the store was damaged" in override.reason
    assert [alarm.name for alarm in again.recorder.alarms()] == ["store-damaged"]
    assert list(tmp_path.glob("rrdns.db.damaged-*"))
    await again.recovery.close()


async def test_a_start_on_a_read_only_disk_does_not_bring_drained_servers_back(
    tmp_path: Path,
) -> None:
    """After a clean stop: the orders cannot be opened, the last good snapshot can be read."""
    disk = tmp_path / "disk"
    with small_disk(disk, "size=4m"):
        store, snapshot_file = SqliteStore(disk / "rrdns.db"), SnapshotFile(disk / "last-good.db")
        office = Office(store, snapshot_file)
        await office.open()
        keeping = asyncio.create_task(office.saver.run())
        await office.drain("pvs-2")
        await office.saver.wait_saved()
        keeping.cancel()
        await office.recovery.close()
        remount(disk, "ro")
        again = Office(SqliteStore(store.path), SnapshotFile(snapshot_file.path))
        await again.open()
        assert again.answers() == ("10.0.0.1", "10.0.0.3")
        assert [alarm.name for alarm in again.recorder.alarms()] == ["store-failed"]
        await again.recovery.close()


async def test_each_publication_is_timed_from_its_first_change_on() -> None:
    """Until every worker answers by it; what changed no answer is none."""
    office = Office()
    await office.open()
    office.settled.clear()
    office.publisher.mark_changed("boot")
    await asyncio.sleep(0.02)
    assert office.settled == []
    for member in ("pvs-1", "pvs-2"):
        office.probe(member, Verdict.TIMEOUT)
        office.publisher.mark_changed("boot")
    await asyncio.sleep(0.02)
    assert len(office.settled) == 1
    assert 0 <= office.settled[0] < 0.5


async def test_audit_lines_that_cannot_be_written_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest go first, however long the store is broken."""
    monkeypatch.setattr(recorder, "MAX_WAITING", 10)
    office = Office(BrokenStore())
    await office.open()
    for number in range(50):
        office.recorder.record(office.recorder.system_event("standing", member=str(number)))
        await office.recorder.flush()
    waiting = [entry.member for entry in office.recorder._waiting]
    assert waiting == [str(number) for number in range(40, 50)]


async def test_audit_lines_are_written_when_the_store_recovers_though_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And its alarm is over then."""
    monkeypatch.setattr(recorder, "RETRY_INTERVAL", 0.01)
    office = Office()
    await office.open()
    with monkeypatch.context() as broken:
        broken.setattr(office.store, "append_audit", BrokenStore().append_audit)
        keeping = asyncio.create_task(office.recorder.run_audit_writer())
        office.recorder.record(office.recorder.system_event("start"))
        await asyncio.sleep(0.05)
        assert [alarm.name for alarm in office.recorder.alarms()] == ["store-failed"]
    await asyncio.sleep(0.05)
    assert office.recorder.alarms() == ()
    assert [entry.action for entry in await office.store.audit(9)] == ["start"]
    keeping.cancel()


async def test_a_disk_that_hangs_gets_the_whole_once_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes do not pile up meanwhile, and none is lost."""
    monkeypatch.setattr(snapshot_saver, "MAX_BEHIND", 4)
    kept = SnapshotFile(tmp_path / "last.db")
    office = Office(snapshot_file=kept)
    await office.open()
    for turn in range(30):
        office.probe("pvs-1", Verdict.OK if turn % 2 else Verdict.TIMEOUT, times=3)
        office.publisher.mark_changed("boot")
        office.publisher.flush()
        assert office.saver._queue.qsize() <= 4
    assert office.worker_feed.snapshot.serial > 20
    keeping = asyncio.create_task(office.saver.run())
    await office.saver.wait_saved()
    keeping.cancel()
    remembered = kept.load()
    assert remembered is not None
    assert remembered.snapshot == office.worker_feed.snapshot
