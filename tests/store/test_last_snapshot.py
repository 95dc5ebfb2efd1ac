"""The last good snapshot: what was published is there at the next start, and quickly."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.core.model import Nameserver, Zone
from rrdns.core.snapshot import PoolRRset, Snapshot, SnapshotDelta, apply
from rrdns.errors import StoreFailed
from rrdns.store.last_snapshot import SCHEMA, SavedState, SnapshotFile
from rrdns.store.sqlite_file import Schema, connect

ZONE = Zone("pvs.example.test", (Nameserver("ns1.pvs.example.test", ("192.0.2.53",)),), "h.example")
ROOT = Path(__file__).resolve().parents[2]
SAVED_AT = 1_770_000_000.0
READER = """
import sys
from pathlib import Path
from rrdns.store.last_snapshot import SnapshotFile
last_good = SnapshotFile(Path(sys.argv[1]))
print("ready", flush=True)
seen, before = 0, 0
while before < 300:
    found = last_good.load()
    if found is None:
        continue
    now = found.snapshot.serial
    ups = {pool: members["pvs-1"] for pool, members in found.standings.items()}
    assert now >= before, (now, before)
    assert set(ups) == set(found.snapshot.rrsets)
    assert all(rrset.ttl == now for rrset in found.snapshot.rrsets.values()), "of one moment"
    before, seen = now, seen + 1
print(seen, flush=True)
"""


def reading(path: Path) -> subprocess.Popen[str]:
    """Start a process that reads again and again."""
    return subprocess.Popen(
        [sys.executable, "-c", READER, path], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )


def rrset(number: int, ttl: int = 5) -> PoolRRset:
    """Return what responders know of a pool."""
    return PoolRRset(
        f"p{number}", f"p{number}.example", ttl, 4, ("10.0.0.1", "10.0.0.2"), counter_slot=number
    )


def snapshot(pools: int, serial: int = 1, ttl: int = 5) -> Snapshot:
    """Return a snapshot with that many pools."""
    rrsets = {f"p{number}": rrset(number, ttl) for number in range(pools)}
    return Snapshot(serial, (ZONE,), rrsets)


def standings(pools: int) -> dict[str, dict[str, bool]]:
    """Return standings of that many pools."""
    return {f"p{number}": {"pvs-1": True, "pvs-2": False} for number in range(pools)}


@pytest.fixture
async def snapshot_file(tmp_path: Path) -> AsyncIterator[SnapshotFile]:
    """Return a keeper whose file is not there yet."""
    keeper = SnapshotFile(tmp_path / "state" / "last-good.db", clock=lambda: SAVED_AT)
    yield keeper
    await keeper.close()


async def test_nothing_is_remembered_at_first(snapshot_file: SnapshotFile) -> None:
    """And looking does not make a file."""
    assert snapshot_file.load() is None
    assert not snapshot_file.path.exists()


async def test_a_file_that_is_only_being_made_holds_nothing_yet(
    snapshot_file: SnapshotFile,
) -> None:
    """A worker may look between its creation and its first content."""
    snapshot_file.path.parent.mkdir()
    snapshot_file.path.touch()
    assert snapshot_file.load() is None


async def test_a_snapshot_comes_back_as_it_was_saved(snapshot_file: SnapshotFile) -> None:
    """With zones, RRsets, standings and the time; open or closed, by this process or another."""
    await snapshot_file.save(snapshot(3), standings(3))
    expected = SavedState(snapshot(3), standings(3), SAVED_AT)
    assert snapshot_file.load() == expected
    await snapshot_file.close()
    assert SnapshotFile(snapshot_file.path).load() == expected


async def test_an_empty_snapshot_is_remembered_too(snapshot_file: SnapshotFile) -> None:
    """It is not the same as none."""
    await snapshot_file.save(Snapshot(), {})
    assert snapshot_file.load() == SavedState(Snapshot(), {}, SAVED_AT)


async def test_saving_again_leaves_nothing_of_before(snapshot_file: SnapshotFile) -> None:
    """Pools that are no more are gone."""
    await snapshot_file.save(snapshot(3), standings(3))
    await snapshot_file.save(snapshot(1, serial=2), standings(1))
    assert snapshot_file.load() == SavedState(snapshot(1, serial=2), standings(1), SAVED_AT)


async def test_a_change_touches_what_it_names_and_nothing_else(snapshot_file: SnapshotFile) -> None:
    """A pool changed, one came, one went; one's standings alone changed."""
    await snapshot_file.save(snapshot(4), standings(4))
    changed = replace(rrset(0), addresses=("10.0.0.2",))
    change = SnapshotDelta(2, (changed, rrset(9)), removed=("p1",))
    ups = {"p0": {"pvs-1": False}, "p9": {"pvs-1": True}, "p2": {"pvs-1": False, "pvs-2": True}}
    await snapshot_file.save_change(change, ups)
    found = snapshot_file.load()
    assert found is not None
    assert found.snapshot == apply(snapshot(4), change)
    assert found.standings == {**ups, "p3": {"pvs-1": True, "pvs-2": False}}


async def test_a_changed_rrset_without_standings_keeps_those_it_had(
    snapshot_file: SnapshotFile,
) -> None:
    """Not told is not the same as unknown."""
    await snapshot_file.save(snapshot(1), standings(1))
    await snapshot_file.save_change(SnapshotDelta(2, (rrset(0, ttl=9),)), {})
    found = snapshot_file.load()
    assert found is not None
    assert found.standings == standings(1)
    assert found.snapshot.rrsets["p0"].ttl == 9


async def test_a_change_to_nothing_is_refused(snapshot_file: SnapshotFile) -> None:
    """A worker would take the few pools in it for all there are."""
    with pytest.raises(StoreFailed, match="it holds no snapshot yet"):
        await snapshot_file.save_change(SnapshotDelta(2, (rrset(0),)), {})
    assert snapshot_file.load() is None


async def test_a_damaged_file_is_said_then_moved_aside_and_started_anew(
    snapshot_file: SnapshotFile,
) -> None:
    """Looking changes nothing, as a worker may be the one who looks."""
    await snapshot_file.save(snapshot(3), standings(3))
    await snapshot_file.close()
    snapshot_file.path.write_bytes(b"no database " * 1000)
    with pytest.raises(StoreFailed, match="the file is damaged"):
        snapshot_file.load()
    assert not snapshot_file.moved_aside
    await snapshot_file.save(snapshot(2), standings(2))
    assert snapshot_file.load() == SavedState(snapshot(2), standings(2), SAVED_AT)
    (moved,) = snapshot_file.path.parent.glob("*.damaged-*Z")
    assert moved.read_bytes().startswith(b"no database")
    assert snapshot_file.moved_aside is not None
    assert str(moved) in snapshot_file.moved_aside


async def test_rows_that_are_no_json_are_damage_too(snapshot_file: SnapshotFile) -> None:
    """SQLite may find nothing wrong where we do."""
    await snapshot_file.save(snapshot(1), standings(1))
    with closing(sqlite3.connect(snapshot_file.path)) as other:
        other.execute("UPDATE pools SET rrset = '{\"pool\": 1'")
        other.commit()
    with pytest.raises(StoreFailed, match="the file is damaged"):
        snapshot_file.load()


async def test_a_file_of_a_newer_rrdns_is_not_read_and_gives_way(
    snapshot_file: SnapshotFile,
) -> None:
    """After a downgrade nothing old is lost, and nothing keeps the service from remembering."""
    await snapshot_file.save(snapshot(1), standings(1))
    await snapshot_file.close()
    with closing(sqlite3.connect(snapshot_file.path)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    with pytest.raises(StoreFailed, match="a newer rrdns wrote it"):
        snapshot_file.load()
    await snapshot_file.save(snapshot(2), standings(2))
    assert snapshot_file.load() == SavedState(snapshot(2), standings(2), SAVED_AT)


async def test_a_directory_in_the_way_is_said(tmp_path: Path) -> None:
    """Both ways: reading and writing."""
    keeper = SnapshotFile(tmp_path)
    with pytest.raises(StoreFailed, match=str(tmp_path)):
        keeper.load()
    with pytest.raises(StoreFailed, match=str(tmp_path)):
        await keeper.save(Snapshot(), {})
    await keeper.close()


async def test_another_process_reads_whole_moments_while_this_one_writes(
    snapshot_file: SnapshotFile,
) -> None:
    """A worker may start at any time."""
    with reading(snapshot_file.path) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        await snapshot_file.save(snapshot(20, ttl=1), standings(20))
        for serial in range(2, 301):
            rrsets = tuple(rrset(number, ttl=serial) for number in range(20))
            await snapshot_file.save_change(
                SnapshotDelta(serial, rrsets), {"p3": {"pvs-1": serial % 2 == 0}}
            )
        seen, _ = reader.communicate(timeout=20)
    assert reader.returncode == 0
    assert int(seen) >= 1


async def test_ten_thousand_pools_are_read_and_changed_quickly(snapshot_file: SnapshotFile) -> None:
    """A change costs what it changes: far less than writing everything."""
    pools = 10_000
    await snapshot_file.save(snapshot(pools), standings(pools))
    costs = []
    for number in range(50):
        began = time.process_time()
        change = SnapshotDelta(number + 2, (rrset(number, ttl=6),))
        await snapshot_file.save_change(change, {f"p{number}": {"pvs-1": False}})
        costs.append(time.process_time() - began)
    loads = []
    for _ in range(3):
        began = time.process_time()
        found = snapshot_file.load()
        loads.append(time.process_time() - began)
        assert found is not None
        assert len(found.snapshot.rrsets) == pools
    assert sorted(costs)[len(costs) // 2] < 0.002
    assert min(loads) < 0.3


async def test_the_ends_of_old_answers_come_back(snapshot_file: SnapshotFile) -> None:
    """Of the pools that have any; a change brings those of its pools."""
    await snapshot_file.save(snapshot(3), standings(3), {"p1": {"10.0.0.1": 1005.5}})
    await snapshot_file.save_change(
        SnapshotDelta(2, (rrset(2, ttl=9),)), {"p2": {"pvs-1": True}}, {"p2": {"10.0.0.2": 1006.0}}
    )
    found = snapshot_file.load()
    assert found is not None
    assert found.expiring == {"p1": {"10.0.0.1": 1005.5}, "p2": {"10.0.0.2": 1006.0}}


async def test_a_file_from_before_the_first_release_is_made_anew(
    snapshot_file: SnapshotFile,
) -> None:
    """Until it is, a worker that starts finds nothing in it; what is saved next is all there."""
    older = Schema(SCHEMA.application_id, SCHEMA.migrations[:-1])
    with closing(connect(snapshot_file.path, older)) as old:
        old.execute("CREATE TABLE moment (one INTEGER PRIMARY KEY, serial INTEGER)")
        old.execute("CREATE TABLE pools (name TEXT PRIMARY KEY, rota TEXT)")
        old.execute("INSERT INTO moment VALUES (1, 7)")
    assert snapshot_file.load() is None
    await snapshot_file.save(snapshot(1), standings(1))
    found = snapshot_file.load()
    assert found is not None
    assert found.snapshot == snapshot(1)
    assert snapshot_file.moved_aside is None


async def test_what_was_saved_can_be_synced(
    snapshot_file: SnapshotFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log that commits go to; where there is none, they were synced one by one."""
    await snapshot_file.sync()
    await snapshot_file.save(snapshot(1), standings(1))
    synced: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    await snapshot_file.sync()
    assert synced == [snapshot_file.path.with_name("last-good.db-wal")]

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreFailed, match="could not sync the snapshot: Input/output error"):
        await snapshot_file.sync()


def test_a_folder_that_is_closed_to_us_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of root's above the state of another user; nobody falls over it."""

    def closed(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", closed)
    with pytest.raises(StoreFailed, match="Permission denied"):
        SnapshotFile(tmp_path / "last.db").load()
