"""SQLite in bad times: killed, full, read-only, locked, damaged, or from the future."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.core.events import Event
from rrdns.core.model import OrderKind, Override, ScheduledOverride
from rrdns.errors import StoreFailed
from rrdns.store import sqlite_file
from rrdns.store.base import OrderTransaction
from rrdns.store.sqlite import SCHEMA, SqliteStore
from rrdns.store.sqlite_file import Schema, connect
from tests.store.single_orders import give
from tests.store.test_stores import DRAIN, entry

WRITER = Path(__file__).with_name("writer.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return an open, empty store."""
    store = SqliteStore(tmp_path / "rrdns.db")
    assert await store.open() is None
    yield store
    await store.close()


def run_and_kill(path: Path, after: float) -> list[str]:
    """Let a process give orders, kill it after a while, and return what it acknowledged."""
    with subprocess.Popen(
        [sys.executable, WRITER, path], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip()]  # it is at work
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    return acknowledged


async def test_an_acknowledged_order_survives_kill_9(tmp_path: Path) -> None:
    """Each acknowledged order is there with its line in the trail, and none half."""
    rng = random.Random(2)
    path = tmp_path / "rrdns.db"
    expected: dict[str, str] = {}
    for _ in range(12):
        for acknowledged in run_and_kill(path, rng.uniform(0.0, 0.05)):
            member, reason = acknowledged.split()
            expected[member] = reason
        await check(path, expected)


async def check(path: Path, expected: dict[str, str]) -> None:
    """Compare what is in the store with what was acknowledged; at most one more was given."""
    store = SqliteStore(path)
    assert await store.open() is None
    kept = {order.member: order.reason for order in await store.overrides()}
    told: dict[str, str] = {}
    for line in reversed(await store.audit(1_000_000)):
        if line.action == "drain":
            told[line.member] = line.reason
        else:
            told.pop(line.member, None)
    await store.close()
    assert kept == told, "an order and its line in the trail belong together"
    unacknowledged = {member for member in kept if kept[member] != expected.get(member)}
    lost = {member for member in expected if member not in kept}
    assert lost == set()
    assert len(unacknowledged) <= 1
    expected.update(kept)


async def test_orders_are_there_after_closing_and_opening(store: SqliteStore) -> None:
    """That is what a store is for."""
    await give(store, DRAIN, entry())
    await store.close()
    assert await store.open() is None
    assert await store.overrides() == (DRAIN,)


async def test_nobody_else_may_read_the_files(store: SqliteStore) -> None:
    """The trail has names and reasons; the companions of the file have them too."""
    await give(store, DRAIN, entry())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.parent.iterdir()}
    assert modes == {"rrdns.db": 0o600, "rrdns.db-wal": 0o600, "rrdns.db-shm": 0o600}


async def test_a_full_disk_changes_nothing_and_is_said(store: SqliteStore) -> None:
    """The order before stands, the trail has no line of the new one, and room helps."""
    await give(store, DRAIN, entry(1))
    assert store._connection is not None
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    long = Override("boot", "pvs-2", OrderKind.FORCE_UP, "ops", 2.0, "x" * 50_000)
    with pytest.raises(StoreFailed, match=r"could not keep the order: the disk is full"):
        await give(store, long, entry(2))
    assert await store.overrides() == (DRAIN,)
    assert [line.at for line in await store.audit(10)] == [1.0]
    store._connection.execute("PRAGMA max_page_count = 100000")
    await give(store, long, entry(3))
    assert await store.overrides() == (long,)


@contextmanager
def small_disk(directory: Path, options: str) -> Iterator[None]:
    """Mount a memory file system, or skip where that is not allowed."""
    directory.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def remount(directory: Path, mode: str) -> None:
    """Make a mounted file system read-only or not."""
    subprocess.run(["mount", "-o", f"remount,{mode}", directory], check=True)


async def test_a_really_full_file_system_changes_nothing_and_is_said(tmp_path: Path) -> None:
    """The same with a real disk that has no room left for the write-ahead log."""
    disk = tmp_path / "disk"
    with small_disk(disk, "size=256k"):
        store = SqliteStore(disk / "rrdns.db")
        await store.open()
        await give(store, DRAIN, entry(1))
        lines = [entry(number, reason="x" * 10_000) for number in range(100)]
        with pytest.raises(StoreFailed, match="the disk is full"):
            await store.append_audit(lines)
        assert len(await store.audit(1000)) == 1
        assert await store.overrides() == (DRAIN,)
        await store.close()


async def test_a_read_only_file_system_is_said(tmp_path: Path) -> None:
    """At an order and at opening."""
    disk = tmp_path / "disk"
    with small_disk(disk, "size=4m"):
        store = SqliteStore(disk / "rrdns.db")
        await store.open()
        await give(store, DRAIN, entry(1))
        await store.close()
        remount(disk, "ro")
        with pytest.raises(StoreFailed, match=r"be opened: (.*read-only|no access)"):
            await store.open()
        with pytest.raises(StoreFailed, match="it is not open"):
            await give(store, DRAIN, entry(2))
        remount(disk, "rw")
        assert await store.open() is None
        assert await store.overrides() == (DRAIN,)
        await store.close()


async def test_a_connection_that_may_not_write_is_said_at_an_order(store: SqliteStore) -> None:
    """Nothing has changed afterwards."""
    assert store._connection is not None
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreFailed, match=r"could not keep the order: .*read-only"):
        await give(store, DRAIN, entry())
    assert await store.overrides() == ()


async def test_a_lock_held_by_another_process_is_said(store: SqliteStore) -> None:
    """The order is refused after a short wait; once the lock is gone it is taken."""
    assert store._connection is not None
    store._connection.execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="another process holds it locked"):
            await give(store, DRAIN, entry())
        assert await store.overrides() == ()
        other.execute("ROLLBACK")
    await give(store, DRAIN, entry())
    assert await store.overrides() == (DRAIN,)


async def test_a_locked_file_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening fails, and the file stays where it is."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.05)
    first = SqliteStore(tmp_path / "rrdns.db")
    await first.open()
    await first.close()
    with closing(sqlite3.connect(first.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreFailed, match="locked"):
            await first.open()
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name] == []


@pytest.mark.parametrize("damage", ["text", "header", "middle"])
async def test_a_damaged_file_is_moved_aside_and_said(tmp_path: Path, damage: str) -> None:
    """A new store stands in its place; every byte of the old one is kept."""
    path = tmp_path / "rrdns.db"
    broken = await broken_file(path, damage)
    store = SqliteStore(path)
    said = await store.open()
    assert said is not None
    (moved,) = tmp_path.glob("rrdns.db.damaged-*Z")
    assert "was damaged" in said
    assert str(moved) in said
    assert moved.read_bytes() == broken
    assert await store.overrides() == ()
    await give(store, DRAIN, entry())
    await store.close()


async def broken_file(path: Path, damage: str) -> bytes:
    """Make a store whose file is broken in some way, and return its bytes."""
    store = SqliteStore(path)
    await store.open()
    await store.append_audit([entry(number, reason="x" * 100) for number in range(500)])
    await store.close()
    data = bytearray(path.read_bytes())
    if damage == "text":
        data[:] = b"this never was a database, but a note to self " * 100
    elif damage == "header":
        data[:100] = bytes(100)
    else:
        data[4096:12288] = b"\xa5" * 8192
    path.write_bytes(data)
    return bytes(data)


async def test_the_companions_of_a_damaged_file_are_kept_with_it(tmp_path: Path) -> None:
    """What is in the write-ahead log may be all that is left."""
    path = tmp_path / "rrdns.db"
    path.write_bytes(b"broken " * 1000)
    path.with_name("rrdns.db-wal").write_bytes(b"log")
    moved = sqlite_file.quarantine(path, now=0.0)
    again = tmp_path / "rrdns.db"
    again.write_bytes(b"broken again")
    assert moved.name == "rrdns.db.damaged-19700101T000000Z"
    assert (tmp_path / f"{moved.name}-wal").read_bytes() == b"log"
    assert sqlite_file.quarantine(again, now=0.0).name == f"{moved.name}-2"


async def test_damage_that_shows_while_running_is_said(store: SqliteStore) -> None:
    """The running store is not swapped behind anybody's back."""
    await store.append_audit([entry(number, reason="x" * 100) for number in range(500)])
    await store.close()
    assert await store.open() is None
    data = bytearray(store.path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    store.path.write_bytes(data)
    assert store._connection is not None
    store._connection.execute("PRAGMA shrink_memory")  # forget the pages that are in memory
    with pytest.raises(StoreFailed, match="the file is damaged"):
        await store.audit(1000)
    assert list(store.path.parent.glob("*.damaged-*")) == []


async def test_a_file_of_a_newer_rrdns_is_refused_and_left_alone(store: SqliteStore) -> None:
    """An older rrdns must not guess at what a newer one wrote."""
    await give(store, DRAIN, entry())
    await store.close()
    with closing(sqlite3.connect(store.path)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    before = store.path.read_bytes()
    with pytest.raises(StoreFailed, match=rf"a newer rrdns wrote it \(schema {SCHEMA.version + 1}"):
        await store.open()
    assert store.path.read_bytes() == before
    assert list(store.path.parent.glob("*.damaged-*")) == []


async def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A path that was mistyped must cost nobody their data."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE precious (x)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match="a database of another program"):
        await SqliteStore(path).open()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("precious",)]
    assert len(path.read_bytes()) == len(before)


async def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """The sentence names the path."""
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "rrdns.db"
    with pytest.raises(StoreFailed, match=str(path)):
        await SqliteStore(path).open()


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    """Before opening as after closing."""
    with pytest.raises(StoreFailed, match="could not read the orders: it is not open"):
        await SqliteStore(tmp_path / "rrdns.db").overrides()


async def test_the_event_loop_never_waits_for_the_disk(store: SqliteStore) -> None:
    """While a write waits for a lock, the loop turns."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        giving = asyncio.create_task(give(store, DRAIN, entry()))
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.001)
            turns += 1
        assert not giving.done()
        other.execute("ROLLBACK")
    await giving
    assert await store.overrides() == (DRAIN,)


async def test_an_order_is_carried_out_even_if_its_caller_goes_away(store: SqliteStore) -> None:
    """Half an order is worse than one too many; the trail tells of it."""
    giving = asyncio.create_task(give(store, DRAIN, entry()))
    await asyncio.sleep(0)
    giving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving
    assert await store.overrides() == (DRAIN,)
    assert len(await store.audit(10)) == 1


async def test_an_error_without_a_code_is_passed_on_in_its_own_words(store: SqliteStore) -> None:
    """The Python module raises some errors by itself."""
    huge = Event(at=1.0, by="ops", action="drain", reason="\ud800")
    with pytest.raises(UnicodeEncodeError):
        await store.append_audit([huge])
    assert sqlite_file.reason_of(sqlite3.ProgrammingError("closed")) == "closed"
    assert await store.audit(10) == ()


async def test_a_store_of_the_first_version_is_taken_further(tmp_path: Path) -> None:
    """What was ordered before an upgrade holds after it, and orders for later can be kept."""
    path = tmp_path / "old.db"
    with closing(connect(path, Schema(SCHEMA.application_id, SCHEMA.migrations[:1]))) as old:
        row = "'boot', 'pvs-2', 'drain', 'ops', 1000.5, 'patch night', 8200.25"
        old.execute(f"INSERT INTO orders VALUES ({row})")
    store = SqliteStore(path)
    await store.open()
    plan = ScheduledOverride(replace(DRAIN, since=5000.0), 1000.0, id="c0ffee")
    await store.commit(OrderTransaction(scheduled=(plan,)))
    assert await store.overrides() == (replace(DRAIN, address="", hostname=""),)
    assert await store.scheduled() == (plan,)
    await store.close()
