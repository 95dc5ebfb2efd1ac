"""Store the last published snapshot and the standings, for the next start.

Control writes one row per pool, so that a change writes only the changed pools. A worker that
starts reads all rows, also while control writes. A power cut may lose the last changes of health:
the first probes find the current state. Changes by orders are synced, so that no worker starts
with an answer that an order has withdrawn.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rrdns.core.snapshot import PoolRRset, Snapshot, SnapshotDelta
from rrdns.errors import StoreFailed
from rrdns.store.boot_time import boot_id, boottime
from rrdns.store.sqlite_file import (
    DatabaseCorrupt,
    DatabaseTooNew,
    FileIdentity,
    Schema,
    SerialExecutor,
    connect,
    connect_to_read,
    quarantine,
    store_errors,
    transaction,
)
from rrdns.wire.snapshot_json import rrset_from_json, zone_from_json

SCHEMA = Schema(
    application_id=0x72724C47,  # "rrLG"
    # Versions 1 to 3 were before the first release: their content is discarded.
    migrations=(
        "",
        "",
        "",
        """
        DROP TABLE IF EXISTS moment;
        DROP TABLE IF EXISTS pools;
        CREATE TABLE moment (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            serial INTEGER NOT NULL, zones TEXT NOT NULL, saved_at REAL NOT NULL,
            boot TEXT NOT NULL, steady REAL NOT NULL
        );
        CREATE TABLE pools (
            name TEXT PRIMARY KEY, rrset TEXT NOT NULL, standings TEXT NOT NULL,
            expiring TEXT NOT NULL
        );
        """,
    ),
)

Standings = Mapping[str, Mapping[str, bool]]  # pool -> member -> up
# pool -> address -> when its last answer expires, on the steady clock
ExpiringAnswers = Mapping[str, Mapping[str, float]]
NOTHING: ExpiringAnswers = {}

SavedStandings = tuple[Standings, ExpiringAnswers]
Moment = tuple[float, str, float]  # Unix seconds, the boot, and seconds by the steady clock


@dataclass(frozen=True, slots=True)
class SavedState:
    """The state at the time when it was last saved."""

    snapshot: Snapshot
    standings: dict[str, dict[str, bool]]  # pool -> member -> up
    saved_at: float  # Unix seconds
    expiring: ExpiringAnswers = field(default_factory=dict)
    # On the steady clock: when it was saved, or this start after another boot.
    last_seen: float = field(default=0.0, compare=False)


class SnapshotFile:
    """The file of the last good snapshot.

    `moved_aside` is a sentence for an alarm if a damaged file was replaced.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = boottime,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        self.path = path
        self.moved_aside: str | None = None
        self._clock, self._steady, self._boot = clock, steady, boot
        self._connection: sqlite3.Connection | None = None
        self._stamp: FileIdentity | None = None
        self._thread = SerialExecutor("last-good")

    def load(self) -> SavedState | None:
        """Return the last saved state, or None if there is none, without changing the file.

        Raises:
            StoreFailed: the file is damaged or cannot be read; `save` replaces a damaged one.
        """
        with store_errors(self.path, "be read"):  # a folder of the path may not be readable
            if not self.path.exists():
                return None
        connection = connect_to_read(self.path, SCHEMA)
        try:
            with store_errors(self.path, "be read"):
                return _read(connection, (self._boot(), self._steady()))
        except (ValueError, KeyError, TypeError) as error:
            raise DatabaseCorrupt(
                str(self.path), "be read", f"the file is damaged ({error})"
            ) from error
        finally:
            connection.close()

    async def save(
        self, snapshot: Snapshot, standings: Standings, expiring: ExpiringAnswers = NOTHING
    ) -> None:
        """Save everything; it replaces the saved state.

        Raises:
            StoreFailed: the file could not be written; the former state is still there.
        """
        now = self._moment()
        await self._thread.run(lambda: self._save(snapshot, (standings, expiring), now))

    async def save_change(
        self, change: SnapshotDelta, standings: Standings, expiring: ExpiringAnswers = NOTHING
    ) -> None:
        """Save a change, and the standings of some pools (those of others do not change).

        Raises:
            StoreFailed: the file could not be written and is out of date: call `save` at the
                next change.
        """
        now = self._moment()
        await self._thread.run(lambda: self._save_change(change, (standings, expiring), now))

    async def is_in_place(self) -> bool:
        """Return whether the file at the path is the open one, or none was opened."""
        return await self._thread.run(lambda: self._connection is None or self._is_in_place())

    async def sync(self) -> None:
        """Sync the saved state to the disk, so that it survives a power cut.

        Raises:
            StoreFailed: the disk reports an error.
        """
        await self._thread.run(self._sync)

    async def close(self) -> None:
        """Close the file; closing it twice is allowed."""
        await self._thread.run(self._close)

    def _moment(self) -> Moment:
        return self._clock(), self._boot(), self._steady()

    def _save(self, snapshot: Snapshot, known: SavedStandings, now: Moment) -> None:
        try:
            self._write_all(snapshot, known, now)
        except (DatabaseCorrupt, DatabaseTooNew) as error:
            self._close()
            with store_errors(self.path, "move the damaged file aside"):
                moved = quarantine(self.path)
            self.moved_aside = f"{error}; it was moved to {moved}, and a new one was created"
            self._write_all(snapshot, known, now)

    def _write_all(self, snapshot: Snapshot, known: SavedStandings, now: Moment) -> None:
        if self._connection is not None and not self._is_in_place():
            self._move_replacement_aside()
        connection = self._open()
        zones = json.dumps([asdict(zone) for zone in snapshot.zones])
        with store_errors(self.path, "keep the snapshot"), transaction(connection):
            connection.execute("DELETE FROM pools")
            connection.execute(
                "INSERT OR REPLACE INTO moment (one, serial, zones, saved_at, boot, steady) "
                "VALUES (1, ?, ?, ?, ?, ?)",
                (snapshot.serial, zones, *now),
            )
            _put(connection, snapshot.rrsets.values())
            _put_standings(connection, known)
        self._written("keep the snapshot")

    def _save_change(self, change: SnapshotDelta, known: SavedStandings, now: Moment) -> None:
        self._check_in_place("keep the change")
        connection = self._open()
        with store_errors(self.path, "keep the change"), transaction(connection):
            updated = connection.execute(
                "UPDATE moment SET serial = ?, saved_at = ?, boot = ?, steady = ?",
                (change.serial, *now),
            )
            if updated.rowcount == 0:
                raise StoreFailed(str(self.path), "keep the change", "it holds no snapshot yet")
            _put(connection, change.rrsets)
            _put_standings(connection, known)
            connection.executemany(
                "DELETE FROM pools WHERE name = ?", [(pool,) for pool in change.removed]
            )
        self._written("keep the change")

    def _is_in_place(self, *, but_written: bool = False) -> bool:
        return self._stamp is not None and self._stamp.still_holds(
            FileIdentity.of(self.path), but_written=but_written
        )

    def _check_in_place(self, doing: str, *, but_written: bool = False) -> None:
        """Raise `StoreFailed` if the file disappeared: everything must be saved again."""
        if self._connection is not None and not self._is_in_place(but_written=but_written):
            self._stamp = None
            raise StoreFailed(str(self.path), doing, "the file was removed or replaced")

    def _written(self, doing: str) -> None:
        self._check_in_place(doing, but_written=True)
        self._stamp = FileIdentity.of(self.path)

    def _move_replacement_aside(self) -> None:
        """Move the other file at the path aside, before SQLite removes its "-wal" by name."""
        with store_errors(self.path, "move another file aside"):
            quarantine(self.path, because="replaced")
        self._close()

    def _sync(self) -> None:
        # Commits append to the write-ahead log; with NORMAL, the system decides when that reaches
        # the disk. On a file system that does not support such a log, each commit was synced.
        log = self.path.with_name(f"{self.path.name}-wal")
        with (
            store_errors(self.path, "sync the snapshot"),
            suppress(FileNotFoundError),
            log.open("rb") as file,
        ):
            os.fsync(file.fileno())

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self.path, SCHEMA)
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._stamp = FileIdentity.of(self.path)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _put(connection: sqlite3.Connection, rrsets: Iterable[PoolRRset]) -> None:
    connection.executemany(
        "INSERT INTO pools (name, rrset, standings, expiring) VALUES (?, ?, '{}', '{}') "
        "ON CONFLICT (name) DO UPDATE SET rrset = excluded.rrset",
        [(rrset.pool, json.dumps(asdict(rrset))) for rrset in rrsets],
    )


def _put_standings(connection: sqlite3.Connection, known: SavedStandings) -> None:
    """Save the standings and the expiring answers of pools."""
    standings, expiring = known
    connection.executemany(
        "UPDATE pools SET standings = ?, expiring = ? WHERE name = ?",
        [
            (json.dumps(dict(ups)), json.dumps(dict(expiring.get(pool, {}))), pool)
            for pool, ups in standings.items()
        ],
    )


def _read(connection: sqlite3.Connection, now: tuple[str, float]) -> SavedState | None:
    # One transaction, so that all rows are of the same time.
    connection.execute("BEGIN")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < SCHEMA.version:
        return None  # control is creating the file now, or has not migrated it yet
    moment = connection.execute(
        "SELECT serial, zones, saved_at, boot, steady FROM moment"
    ).fetchone()
    rows = connection.execute(_READ).fetchall()
    if moment is None:
        return None
    serial, zones, saved_at, boot, steady = moment
    rrsets = [rrset_from_json(value) for value in _parse_all(row[1] for row in rows)]
    snapshot = Snapshot(
        serial=serial,
        zones=tuple(zone_from_json(value) for value in json.loads(zones)),
        rrsets={rrset.pool: rrset for rrset in rrsets},
    )
    names = [row[0] for row in rows]
    ups = dict(zip(names, _parse_all(row[2] for row in rows), strict=True))
    ends = zip(names, _parse_all(row[3] for row in rows), strict=True)
    passed = _passed(boot, steady, now)
    expiring = {
        name: {address: end + passed for address, end in of_pool.items()}
        for name, of_pool in ends
        if of_pool
    }
    return SavedState(snapshot, ups, saved_at, expiring, steady + passed)


def _passed(boot: str, steady: float, now: tuple[str, float]) -> float:
    """Return the offset from times on the saved steady clock to times on the current one.

    After another boot, the time that the machine was down is unknown. Then the remaining time of
    answers is counted from this start, since longer is safe.
    """
    return 0.0 if boot and boot == now[0] and steady <= now[1] else now[1] - steady


_READ = "SELECT name, rrset, standings, expiring FROM pools ORDER BY rowid"


def _parse_all(texts: Iterable[str]) -> list[Any]:
    """Parse many JSON texts as one, which is several times faster."""
    values: list[Any] = json.loads(f"[{','.join(texts)}]")
    return values
