"""What was acknowledged is found by the next start, whatever becomes of the file meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rrdns.core.events import Event
from rrdns.core.model import OrderKind, Override, ScheduledOverride
from rrdns.core.snapshot import Snapshot, SnapshotDelta
from rrdns.errors import StoreFailed
from rrdns.store.base import OrderTransaction
from rrdns.store.last_snapshot import SnapshotFile
from rrdns.store.sqlite import SqliteStore
from tests.peers import need_root


def drain(number: int) -> Override:
    return Override(
        "boot", f"pvs-{number}", OrderKind.DRAIN, "ops", float(number), "patch night", None
    )


def given(number: int) -> OrderTransaction:
    entry = Event(float(number), "ops", "drain", "boot", f"pvs-{number}", "patch night")
    return OrderTransaction(set=(drain(number),), entries=(entry,))


def plan(number: int) -> ScheduledOverride:
    return ScheduledOverride(drain(number), 0.0, False, "id")


def remove(path: Path, _old: Path) -> None:
    path.unlink()


def rename(path: Path, _old: Path) -> None:
    path.rename(path.with_name("moved.db"))


def put_an_old_copy(path: Path, old: Path) -> None:
    old.replace(path)


def overwrite(path: Path, old: Path) -> None:
    with path.open("r+b") as file:  # as `cp` does: the same inode
        file.truncate(0)
        file.write(old.read_bytes())


def remove_the_log(path: Path, _old: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def remove_the_folder(path: Path, _old: Path) -> None:
    shutil.rmtree(path.parent)


def clear_the_folder(path: Path, _old: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


WAYS = (
    remove,
    rename,
    put_an_old_copy,
    overwrite,
    remove_the_log,
    remove_the_folder,
    clear_the_folder,
)


async def found_by_the_next_start(path: Path) -> set[str]:
    again = SqliteStore(path)
    assert await again.open() is None
    found = {one.member for one in await again.overrides()}
    found |= {f"plan of {one.override.member}" for one in await again.scheduled()}
    await again.close()
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("verified", [False, True], ids=["by an order", "by the look"])
async def test_orders_outlive_a_store_that_is_taken_away(
    tmp_path: Path, way: Callable[[Path, Path], None], verified: bool
) -> None:
    """Those before and after it, without a word from anybody and with one."""
    path, old = tmp_path / "state" / "rrdns.db", tmp_path / "old.db"
    store, told = SqliteStore(path), list[str]()
    await store.open()
    await store.commit(given(1))
    await store.close()
    shutil.copy(path, old)
    await store.open()
    store.on_renewed = told.append
    await store.commit(given(2))
    await store.commit(OrderTransaction(removed=(("boot", "pvs-1"),), scheduled=(plan(3),)))
    way(path, old)
    if verified:
        await store.verify()
        assert len(told) == 1
    else:
        await store.commit(given(4))
    expected = {"pvs-2", "plan of pvs-3"} | (set() if verified else {"pvs-4"})
    assert await found_by_the_next_start(path) == expected
    assert len(told) == 1
    assert str(path) in told[0]
    await store.commit(given(5))
    assert await found_by_the_next_start(path) == expected | {"pvs-5"}
    await store.verify()
    assert len(told) == 1, "told once"
    await store.close()
    assert await found_by_the_next_start(path) == expected | {"pvs-5"}


async def test_the_audit_trail_goes_along_and_nothing_is_deleted(tmp_path: Path) -> None:
    """What stood at the path is moved aside under a name that says so."""
    path = tmp_path / "rrdns.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit(given(1))
    path.rename(tmp_path / "mine.db")
    path.write_bytes(b"somebody else's")
    await store.commit(given(2))
    assert [one.member for one in await store.audit(10)] == ["pvs-2", "pvs-1"]
    aside = [file for file in tmp_path.iterdir() if ".replaced-" in file.name]
    assert b"somebody else's" in {file.read_bytes() for file in aside}
    await store.close()


async def test_the_right_file_that_comes_back_does_not_take_orders_back(tmp_path: Path) -> None:
    """Meanwhile others were given."""
    path = tmp_path / "rrdns.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit(given(1))
    path.rename(tmp_path / "mine.db")
    await store.commit(given(2))
    (tmp_path / "mine.db").replace(path)
    await store.verify()
    assert await found_by_the_next_start(path) == {"pvs-1", "pvs-2"}
    await store.close()


async def test_a_store_that_cannot_be_made_anew_refuses_the_order(tmp_path: Path) -> None:
    """And takes the next one as soon as it can be."""
    path = tmp_path / "state" / "rrdns.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit(given(1))
    shutil.rmtree(path.parent)
    path.parent.write_text("a file in the folder's place")
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await store.commit(given(2))
        with pytest.raises(StoreFailed):
            await store.verify()
    path.parent.unlink()
    await store.commit(given(3))
    assert await found_by_the_next_start(path) == {"pvs-1", "pvs-3"}
    await store.close()


async def test_a_file_that_goes_in_the_midst_of_an_order_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look before it and the one behind it."""
    from rrdns.store import sqlite, sqlite_rows

    path = tmp_path / "rrdns.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit(given(1))
    row = sqlite_rows.order_row

    def and_it_is_gone(override: Override) -> tuple[object, ...]:
        path.unlink(missing_ok=True)
        return row(override)

    monkeypatch.setattr(sqlite, "order_row", and_it_is_gone)
    await store.commit(given(2))
    monkeypatch.undo()
    assert await found_by_the_next_start(path) == {"pvs-1", "pvs-2"}
    path.unlink()
    path.mkdir()
    monkeypatch.setattr(sqlite, "quarantine", lambda *_, **__: (_ for _ in ()).throw(OSError(5)))
    with pytest.raises(StoreFailed):
        await store.commit(given(3))
    monkeypatch.undo()
    await store.commit(given(4))
    assert await found_by_the_next_start(path) == {"pvs-1", "pvs-2", "pvs-4"}
    await store.close()


async def test_a_start_between_the_two_names_of_a_new_file_takes_it(tmp_path: Path) -> None:
    """The power went just then."""
    path = tmp_path / "rrdns.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit(given(1))
    await store.close()
    path.rename(tmp_path / "rrdns.db.new")
    assert await found_by_the_next_start(path) == {"pvs-1"}


@pytest.mark.parametrize("way", WAYS)
async def test_the_last_good_snapshot_is_saved_anew(
    tmp_path: Path, way: Callable[[Path, Path], None]
) -> None:
    """A change alone cannot be: it fails, so that the whole is saved; the look finds it too."""
    path, old = tmp_path / "state" / "last.db", tmp_path / "old.db"
    snapshot_file = SnapshotFile(path)
    await snapshot_file.save(Snapshot(1), {})
    await snapshot_file.close()
    shutil.copy(path, old)
    await snapshot_file.save(Snapshot(2), {})
    assert await snapshot_file.is_in_place()
    way(path, old)
    assert not await snapshot_file.is_in_place()
    with pytest.raises(StoreFailed):
        await snapshot_file.save_change(SnapshotDelta(3), {})
    await snapshot_file.save(Snapshot(4), {})
    assert await snapshot_file.is_in_place()
    await snapshot_file.save_change(SnapshotDelta(5), {})
    remembered = SnapshotFile(path).load()
    assert remembered is not None
    assert remembered.snapshot.serial == 5
    await snapshot_file.close()


def test_a_mount_over_the_folder_is_a_store_that_is_taken_away(tmp_path: Path) -> None:
    """A volume that comes up late; in a namespace of its own."""
    import subprocess
    import sys

    need_root("a mount")
    script = """
import asyncio, subprocess, sys
from pathlib import Path
from tests.store.test_taken_away import found_by_the_next_start, given
from rrdns.store.sqlite import SqliteStore

async def main():
    path = Path(sys.argv[1]) / "rrdns.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit(given(1))
    subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
    await store.commit(given(2))
    assert await found_by_the_next_start(path) == {"pvs-1", "pvs-2"}
    await store.commit(given(3))
    subprocess.run(["umount", "-l", sys.argv[1]], check=True)
    await store.verify()
    assert await found_by_the_next_start(path) == {"pvs-1", "pvs-2", "pvs-3"}
    await store.close()

asyncio.run(main())
"""
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", script]
    done = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr
