"""The last good snapshot: what was published is there at the next start, and quickly."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rrdns.core.model import Nameserver, Zone
from rrdns.core.snapshot import Change, Rota, Snapshot, apply
from rrdns.errors import StoreFailed
from rrdns.store.last_snapshot import SCHEMA, LastGood, Remembered
from rrdns.store.sqlite_file import Schema, connect

ZONE = Zone("pvs.example.test", (Nameserver("ns1.pvs.example.test", ("192.0.2.53",)),), "h.example")
ROOT = Path(__file__).resolve().parents[2]
SAVED_AT = 1_770_000_000.0
READER = """
import sys
from pathlib import Path
from rrdns.store.last_snapshot import LastGood
last_good = LastGood(Path(sys.argv[1]))
print("ready", flush=True)
seen, before = 0, 0
while before < 300:
    found = last_good.load()
    if found is None:
        continue
    now = found.snapshot.serial
    ups = {pool: members["pvs-1"] for pool, members in found.standings.items()}
    assert now >= before, (now, before)
    assert set(ups) == set(found.snapshot.rotas)
    assert all(rota.ttl == now for rota in found.snapshot.rotas.values()), "of one moment"
    before, seen = now, seen + 1
print(seen, flush=True)
"""


def reading(path: Path) -> subprocess.Popen[str]:
    """Start a process that reads again and again."""
    return subprocess.Popen(
        [sys.executable, "-c", READER, path], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )


def rota(number: int, ttl: int = 5) -> Rota:
    """Return what responders know of a pool."""
    return Rota(f"p{number}", f"p{number}.example", ttl, 4, ("10.0.0.1", "10.0.0.2"), slot=number)


def snapshot(pools: int, serial: int = 1, ttl: int = 5) -> Snapshot:
    """Return a snapshot with that many pools."""
    rotas = {f"p{number}": rota(number, ttl) for number in range(pools)}
    return Snapshot(serial, (ZONE,), rotas)


def standings(pools: int) -> dict[str, dict[str, bool]]:
    """Return standings of that many pools."""
    return {f"p{number}": {"pvs-1": True, "pvs-2": False} for number in range(pools)}


@pytest.fixture
async def last_good(tmp_path: Path) -> AsyncIterator[LastGood]:
    """Return a keeper whose file is not there yet."""
    keeper = LastGood(tmp_path / "state" / "last-good.db", clock=lambda: SAVED_AT)
    yield keeper
    await keeper.close()


async def test_nothing_is_remembered_at_first(last_good: LastGood) -> None:
    """And looking does not make a file."""
    assert last_good.load() is None
    assert not last_good.path.exists()


async def test_a_file_that_is_only_being_made_holds_nothing_yet(last_good: LastGood) -> None:
    """A worker may look between its creation and its first content."""
    last_good.path.parent.mkdir()
    last_good.path.touch()
    assert last_good.load() is None


async def test_a_snapshot_comes_back_as_it_was_saved(last_good: LastGood) -> None:
    """With zones, rotas, standings and the time; open or closed, by this process or another."""
    await last_good.save(snapshot(3), standings(3))
    expected = Remembered(snapshot(3), standings(3), SAVED_AT)
    assert last_good.load() == expected
    await last_good.close()
    assert LastGood(last_good.path).load() == expected


async def test_an_empty_snapshot_is_remembered_too(last_good: LastGood) -> None:
    """It is not the same as none."""
    await last_good.save(Snapshot(), {})
    assert last_good.load() == Remembered(Snapshot(), {}, SAVED_AT)


async def test_saving_again_leaves_nothing_of_before(last_good: LastGood) -> None:
    """Pools that are no more are gone."""
    await last_good.save(snapshot(3), standings(3))
    await last_good.save(snapshot(1, serial=2), standings(1))
    assert last_good.load() == Remembered(snapshot(1, serial=2), standings(1), SAVED_AT)


async def test_a_change_touches_what_it_names_and_nothing_else(last_good: LastGood) -> None:
    """A pool changed, one came, one went; one's standings alone changed."""
    await last_good.save(snapshot(4), standings(4))
    changed = replace(rota(0), addresses=("10.0.0.2",))
    change = Change(2, (changed, rota(9)), gone=("p1",))
    ups = {"p0": {"pvs-1": False}, "p9": {"pvs-1": True}, "p2": {"pvs-1": False, "pvs-2": True}}
    await last_good.save_change(change, ups)
    found = last_good.load()
    assert found is not None
    assert found.snapshot == apply(snapshot(4), change)
    assert found.standings == {**ups, "p3": {"pvs-1": True, "pvs-2": False}}


async def test_a_changed_rota_without_standings_keeps_those_it_had(last_good: LastGood) -> None:
    """Not told is not the same as unknown."""
    await last_good.save(snapshot(1), standings(1))
    await last_good.save_change(Change(2, (rota(0, ttl=9),)), {})
    found = last_good.load()
    assert found is not None
    assert found.standings == standings(1)
    assert found.snapshot.rotas["p0"].ttl == 9


async def test_a_change_to_nothing_is_refused(last_good: LastGood) -> None:
    """A worker would take the few pools in it for all there are."""
    with pytest.raises(StoreFailed, match="it holds no snapshot yet"):
        await last_good.save_change(Change(2, (rota(0),)), {})
    assert last_good.load() is None


async def test_a_damaged_file_is_said_then_moved_aside_and_started_anew(
    last_good: LastGood,
) -> None:
    """Looking changes nothing, as a worker may be the one who looks."""
    await last_good.save(snapshot(3), standings(3))
    await last_good.close()
    last_good.path.write_bytes(b"no database " * 1000)
    with pytest.raises(StoreFailed, match="the file is damaged"):
        last_good.load()
    assert not last_good.moved_aside
    await last_good.save(snapshot(2), standings(2))
    assert last_good.load() == Remembered(snapshot(2), standings(2), SAVED_AT)
    (moved,) = last_good.path.parent.glob("*.damaged-*Z")
    assert moved.read_bytes().startswith(b"no database")
    assert last_good.moved_aside is not None
    assert str(moved) in last_good.moved_aside


async def test_rows_that_are_no_json_are_damage_too(last_good: LastGood) -> None:
    """SQLite may find nothing wrong where we do."""
    await last_good.save(snapshot(1), standings(1))
    with closing(sqlite3.connect(last_good.path)) as other:
        other.execute("UPDATE pools SET rota = '{\"pool\": 1'")
        other.commit()
    with pytest.raises(StoreFailed, match="the file is damaged"):
        last_good.load()


async def test_a_file_of_a_newer_rrdns_is_not_read_and_gives_way(last_good: LastGood) -> None:
    """After a downgrade nothing old is lost, and nothing keeps the service from remembering."""
    await last_good.save(snapshot(1), standings(1))
    await last_good.close()
    with closing(sqlite3.connect(last_good.path)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    with pytest.raises(StoreFailed, match="a newer rrdns wrote it"):
        last_good.load()
    await last_good.save(snapshot(2), standings(2))
    assert last_good.load() == Remembered(snapshot(2), standings(2), SAVED_AT)


async def test_a_directory_in_the_way_is_said(tmp_path: Path) -> None:
    """Both ways: reading and writing."""
    keeper = LastGood(tmp_path)
    with pytest.raises(StoreFailed, match=str(tmp_path)):
        keeper.load()
    with pytest.raises(StoreFailed, match=str(tmp_path)):
        await keeper.save(Snapshot(), {})
    await keeper.close()


async def test_another_process_reads_whole_moments_while_this_one_writes(
    last_good: LastGood,
) -> None:
    """A worker may start at any time."""
    with reading(last_good.path) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        await last_good.save(snapshot(20, ttl=1), standings(20))
        for serial in range(2, 301):
            rotas = tuple(rota(number, ttl=serial) for number in range(20))
            await last_good.save_change(Change(serial, rotas), {"p3": {"pvs-1": serial % 2 == 0}})
        seen, _ = reader.communicate(timeout=20)
    assert reader.returncode == 0
    assert int(seen) >= 1


async def test_ten_thousand_pools_are_read_and_changed_quickly(last_good: LastGood) -> None:
    """A change costs what it changes: far less than writing everything."""
    pools = 10_000
    await last_good.save(snapshot(pools), standings(pools))
    costs = []
    for number in range(50):
        began = time.process_time()
        change = Change(number + 2, (rota(number, ttl=6),))
        await last_good.save_change(change, {f"p{number}": {"pvs-1": False}})
        costs.append(time.process_time() - began)
    loads = []
    for _ in range(3):
        began = time.process_time()
        found = last_good.load()
        loads.append(time.process_time() - began)
        assert found is not None
        assert len(found.snapshot.rotas) == pools
    assert sorted(costs)[len(costs) // 2] < 0.002
    assert min(loads) < 0.3


async def test_the_ends_of_old_answers_come_back(last_good: LastGood) -> None:
    """Of the pools that have any; a change brings those of its pools."""
    await last_good.save(snapshot(3), standings(3), {"p1": {"10.0.0.1": 1005.5}})
    await last_good.save_change(
        Change(2, (rota(2, ttl=9),)), {"p2": {"pvs-1": True}}, {"p2": {"10.0.0.2": 1006.0}}
    )
    found = last_good.load()
    assert found is not None
    assert found.fading == {"p1": {"10.0.0.1": 1005.5}, "p2": {"10.0.0.2": 1006.0}}


async def test_a_file_of_the_first_version_can_be_read_and_is_taken_further(
    last_good: LastGood,
) -> None:
    """A worker may read it before the control process has brought it up to date."""
    first = Schema(SCHEMA.application_id, SCHEMA.migrations[:1])
    with closing(connect(last_good.path, first)) as old:
        old.execute("INSERT INTO moment VALUES (1, 7, '[]', ?)", (SAVED_AT,))
        rota_json = json.dumps(asdict(rota(0)))
        old.execute("INSERT INTO pools VALUES ('p0', ?, ?)", (rota_json, '{"pvs-1": true}'))
    expected = Remembered(Snapshot(7, (), {"p0": rota(0)}), {"p0": {"pvs-1": True}}, SAVED_AT)
    assert last_good.load() == expected
    await last_good.save_change(Change(8), {"p0": {"pvs-1": False}}, {"p0": {"10.0.0.1": 1.0}})
    found = last_good.load()
    assert found is not None
    assert (found.standings, found.fading) == (
        {"p0": {"pvs-1": False}},
        {"p0": {"10.0.0.1": 1.0}},
    )


async def test_what_was_saved_can_be_synced(
    last_good: LastGood, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log that commits go to; where there is none, they were synced one by one."""
    await last_good.sync()
    await last_good.save(snapshot(1), standings(1))
    synced: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    await last_good.sync()
    assert synced == [last_good.path.with_name("last-good.db-wal")]

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreFailed, match="could not sync the snapshot: Input/output error"):
        await last_good.sync()


def test_a_folder_that_is_closed_to_us_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of root's above the state of another user; nobody falls over it."""

    def closed(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", closed)
    with pytest.raises(StoreFailed, match="Permission denied"):
        LastGood(tmp_path / "last.db").load()
