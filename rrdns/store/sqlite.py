"""Store orders and the audit trail in SQLite: an acknowledged order survives a power cut.

Orders are synced to the disk before they are acknowledged (WAL, synchronous=FULL). Audit entries
without an order are not synced.

The file may disappear while it is open: it is removed, renamed, replaced by an old copy, or hidden
by a mount. Then SQLite continues to write to a file without a name. So each write checks before
and after whether the files at the path are the open ones. If not, the store writes all orders in
force to a new file there, and moves the file that it finds there aside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from rrdns.core.events import Event
from rrdns.core.model import Override, ScheduledOverride
from rrdns.errors import StoreFailed
from rrdns.store.base import OrderTransaction
from rrdns.store.sqlite_file import (
    COMPANIONS,
    DatabaseCorrupt,
    FileIdentity,
    Schema,
    SerialExecutor,
    connect,
    connect_to_read,
    quarantine,
    store_errors,
    sync_folder,
    transaction,
)
from rrdns.store.sqlite_rows import (
    audit_row,
    event_of,
    order_row,
    override_of,
    scheduled_of,
    scheduled_row,
)

T = TypeVar("T")

SCHEMA = Schema(
    application_id=0x72724F52,  # "rrOR"
    migrations=(
        """
        CREATE TABLE orders (
            pool TEXT NOT NULL, member TEXT NOT NULL, kind TEXT NOT NULL, by TEXT NOT NULL,
            since REAL NOT NULL, reason TEXT NOT NULL, until REAL,
            PRIMARY KEY (pool, member)
        ) WITHOUT ROWID;
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, by TEXT NOT NULL,
            action TEXT NOT NULL, pool TEXT NOT NULL, member TEXT NOT NULL,
            reason TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
            details TEXT NOT NULL
        );
        CREATE INDEX audit_of_member ON audit (pool, member);
        CREATE INDEX audit_by_time ON audit (at);
        """,
        """
        CREATE TABLE plans (
            pool TEXT NOT NULL, member TEXT NOT NULL, kind TEXT NOT NULL, by TEXT NOT NULL,
            since REAL NOT NULL, reason TEXT NOT NULL, until REAL,
            given_at REAL NOT NULL, force INTEGER NOT NULL, id TEXT NOT NULL,
            PRIMARY KEY (pool, member)
        ) WITHOUT ROWID;
        """,
        """
        ALTER TABLE orders ADD COLUMN ahead REAL;
        ALTER TABLE orders ADD COLUMN boot TEXT NOT NULL DEFAULT '';
        ALTER TABLE plans ADD COLUMN ahead REAL;
        ALTER TABLE plans ADD COLUMN boot TEXT NOT NULL DEFAULT '';
        """,
        """
        ALTER TABLE orders ADD COLUMN address TEXT NOT NULL DEFAULT '';
        ALTER TABLE orders ADD COLUMN hostname TEXT NOT NULL DEFAULT '';
        ALTER TABLE plans ADD COLUMN address TEXT NOT NULL DEFAULT '';
        ALTER TABLE plans ADD COLUMN hostname TEXT NOT NULL DEFAULT '';
        """,
    ),
)
PRUNE_AT_ONCE = 5_000  # entries; an order waits at most for one such batch

_READ_ORDERS = """
    SELECT pool, member, kind, by, since, reason, until, ahead, boot, address, hostname
    FROM orders
    ORDER BY pool, member
"""
_PUT_ORDER = """
    INSERT OR REPLACE INTO orders
        (pool, member, kind, by, since, reason, until, ahead, boot, address, hostname)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_READ_PLANS = """
    SELECT pool, member, kind, by, since, reason, until, ahead, boot, address, hostname,
        given_at, force, id
    FROM plans
    ORDER BY pool, member
"""
_PUT_PLAN = """
    INSERT OR REPLACE INTO plans
        (pool, member, kind, by, since, reason, until, ahead, boot, address, hostname,
        given_at, force, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_READ_AUDIT = """
    SELECT at, by, action, pool, member, reason, before, after, details, id FROM audit
    {where} ORDER BY id DESC LIMIT ?
"""
_ALL_AUDIT = """
    SELECT id, at, by, action, pool, member, reason, before, after, details FROM audit
"""
_ADD_AUDIT_WITH_ID = "INSERT OR REPLACE INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM {table} WHERE pool = ? AND member = ?"
_ADD_AUDIT = """
    INSERT INTO audit (at, by, action, pool, member, reason, before, after, details)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class SqliteStore:
    """A store in one file; it fulfils `store.base.Store`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_renewed: Callable[[str], None] = lambda _sentence: None
        self._connection: sqlite3.Connection | None = None
        self._thread = SerialExecutor("store")
        self._stamp: FileIdentity | None = None
        # The content of the file, to write it again if the file disappears.
        self._orders: dict[tuple[str, str], Override] = {}
        self._plans: dict[tuple[str, str], ScheduledOverride] = {}
        self._renewed: list[str] = []

    async def open(self) -> str | None:
        """Open or create the file; it can be opened again after a failure.

        Return a sentence for an alarm if the file was damaged: it was moved aside, and an empty
        one was created.

        Raises:
            StoreFailed: the file cannot be read or written, or a newer rrdns wrote it.
        """
        return await self._thread.run(self._open)

    async def overrides(self) -> tuple[Override, ...]:
        """Return all orders, the expired ones included, in order of pool and member."""

        def read(connection: sqlite3.Connection) -> tuple[Override, ...]:
            return tuple(override_of(row) for row in connection.execute(_READ_ORDERS))

        return await self._run("read the orders", read)

    async def scheduled(self) -> tuple[ScheduledOverride, ...]:
        """Return all orders for later, in order of pool and member."""

        def read(connection: sqlite3.Connection) -> tuple[ScheduledOverride, ...]:
            return tuple(scheduled_of(row) for row in connection.execute(_READ_PLANS))

        return await self._run("read the orders for later", read)

    async def commit(self, batch: OrderTransaction) -> None:
        """Store changes of orders and their audit entries: all or none."""
        await self._write("keep the order" if batch.set else "change the orders", batch)

    async def append_audit(self, entries: Sequence[Event]) -> None:
        """Add to the audit trail, all or none; a power cut may lose the last entries."""
        await self._write(
            "write the audit trail", OrderTransaction(entries=tuple(entries)), "NORMAL"
        )

    async def verify(self) -> None:
        """Check that the file at the path is the open one; write a new one if not.

        Raises:
            StoreFailed: the file disappeared, and a new one cannot be written.
        """
        await self._write("be written again", OrderTransaction())

    async def audit(
        self,
        limit: int,
        before_id: int | None = None,
        pool: str | None = None,
        member: str | None = None,
    ) -> tuple[Event, ...]:
        """Return up to `limit` audit entries, the newest first, each older than `before_id`."""
        wanted = {"id < ?": before_id, "pool = ?": pool, "member = ?": member}
        given = {test: value for test, value in wanted.items() if value is not None}
        query = _READ_AUDIT.format(where=f"WHERE {' AND '.join(given)}" if given else "")

        def read(connection: sqlite3.Connection) -> tuple[Event, ...]:
            rows = connection.execute(query, (*given.values(), limit))
            return tuple(event_of(row) for row in rows)

        return await self._run("read the audit trail", read)

    async def prune(self, before: float) -> None:
        """Delete audit entries from before that time, in batches, so that no order waits."""

        def write(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                gone = connection.execute(
                    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? LIMIT ?)",
                    (before, PRUNE_AT_ONCE),
                ).rowcount
            if self._is_in_place(but_written=True):
                self._stamp = FileIdentity.of(self.path)
            return gone

        while await self._run("shorten the audit trail", write) == PRUNE_AT_ONCE:
            pass

    async def close(self) -> None:
        """Close the file; closing it twice is allowed."""
        await self._thread.run(self._close)

    async def _run(self, doing: str, job: Callable[[sqlite3.Connection], T]) -> T:
        def explained_job() -> T:
            with store_errors(self.path, doing):
                return job(self._opened(doing))

        return await self._thread.run(explained_job)

    async def _write(self, doing: str, batch: OrderTransaction, sync: str = "FULL") -> None:
        def write() -> None:
            self._opened(doing)
            with store_errors(self.path, doing):
                if not self._is_in_place(but_written=False):
                    self._renew()
                if batch != OrderTransaction():
                    self._write_batch(batch, sync)

        try:
            await self._thread.run(write)
        finally:
            while self._renewed:
                self.on_renewed(self._renewed.pop(0))

    def _write_batch(self, batch: OrderTransaction, sync: str) -> None:
        orders, plans = dict(self._orders), dict(self._plans)
        for key in batch.removed:
            orders.pop(key, None)
        for key in batch.unscheduled:
            plans.pop(key, None)
        orders.update({(order.pool, order.member): order for order in batch.set})
        plans.update({plan.key: plan for plan in batch.scheduled})
        connection = self._opened("be written")
        _sync(connection, sync)
        with transaction(connection):
            for table, keys in (("orders", batch.removed), ("plans", batch.unscheduled)):
                connection.executemany(_DELETE.format(table=table), keys)
            connection.executemany(_PUT_ORDER, [order_row(order) for order in batch.set])
            connection.executemany(_PUT_PLAN, [scheduled_row(plan) for plan in batch.scheduled])
            _add(connection, batch.entries)
        # If the file disappeared in the meantime, the batch is in a file without a name.
        is_in_place = self._is_in_place(but_written=True)
        self._stamp = FileIdentity.of(self.path)
        before, self._orders, self._plans = (self._orders, self._plans), orders, plans
        if not is_in_place:
            try:
                self._renew()
            except BaseException:
                self._orders, self._plans = before
                raise

    def _opened(self, doing: str) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreFailed(str(self.path), doing, "it is not open")
        return self._connection

    def _is_in_place(self, *, but_written: bool) -> bool:
        return self._stamp is not None and self._stamp.still_holds(
            FileIdentity.of(self.path), but_written=but_written
        )

    def _renew(self) -> None:
        """Write all orders to a new file at the path; move the file that is there aside.

        The new file is complete before it gets its name. The old connection is closed after its
        files are moved, since SQLite removes "-wal" by its name when it closes.
        """
        self._stamp = None  # the store is not in place until this is finished
        fresh = _fresh_path(self.path)
        companions = (fresh.with_name(fresh.name + suffix) for suffix in COMPANIONS)
        for leftover in (fresh, *companions):
            leftover.unlink(missing_ok=True)
        made = connect(fresh, SCHEMA)
        try:
            _sync(made, "FULL")
            with transaction(made):
                made.executemany(_PUT_ORDER, [order_row(order) for order in self._orders.values()])
                made.executemany(_PUT_PLAN, [scheduled_row(plan) for plan in self._plans.values()])
                trail = self._copy_audit(made)
        finally:
            made.close()
        there = self.path.exists()
        moved = quarantine(self.path, because="replaced")
        fresh.rename(self.path)
        sync_folder(self.path)
        self._close()
        self._connection = connect(self.path, SCHEMA)
        self._stamp = FileIdentity.of(self.path)
        self._renewed.append(
            f"the store {self.path} was removed or replaced while rrdns ran; rrdns wrote the "
            f"orders in force ({len(self._orders)}) and the scheduled orders ({len(self._plans)}) "
            f"to a new one there, {'with' if trail else 'without'} the audit trail"
            + (f"; the file that was there is now {moved}" if there else "")
        )

    def _copy_audit(self, made: sqlite3.Connection) -> bool:
        """Copy the audit trail, if the old file can still be read; return whether it could."""
        if self._connection is None:
            return False
        try:
            rows = self._connection.execute(_ALL_AUDIT).fetchall()
        except sqlite3.Error:
            return False
        made.executemany(_ADD_AUDIT_WITH_ID, rows)
        return True

    def _open(self) -> str | None:
        self._close()
        damage = None
        fresh = _fresh_path(self.path)
        if fresh.exists() and not self.path.exists():  # `_renew` was interrupted before its rename
            with store_errors(self.path, "rename the new file"):
                fresh.rename(self.path)
        try:
            self._connection = connect(self.path, SCHEMA)
        except DatabaseCorrupt as error:
            with store_errors(self.path, "move the damaged file aside"):
                moved = quarantine(self.path)
            self._connection = connect(self.path, SCHEMA)
            damage = (
                f"the store {self.path} was damaged ({error.reason}) and was moved to {moved}; "
                "the orders in it are no longer in force: give them again"
            )
        with store_errors(self.path, "read the orders"):
            orders = [override_of(row) for row in self._connection.execute(_READ_ORDERS)]
            plans = [scheduled_of(row) for row in self._connection.execute(_READ_PLANS)]
        self._orders = {(order.pool, order.member): order for order in orders}
        self._plans = {plan.key: plan for plan in plans}
        self._stamp = FileIdentity.of(self.path)
        return damage

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def read_orders(path: Path) -> tuple[tuple[Override, ...], tuple[ScheduledOverride, ...]]:
    """Return the orders in a store, and those for later, without changing it.

    Raises:
        StoreFailed: the store does not exist, or cannot be read.
    """
    with store_errors(path, "be read"), closing(connect_to_read(path, SCHEMA)) as connection:
        orders = tuple(override_of(row) for row in connection.execute(_READ_ORDERS))
        return orders, tuple(scheduled_of(row) for row in connection.execute(_READ_PLANS))


def _fresh_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _sync(connection: sqlite3.Connection, level: str) -> None:
    connection.execute(f"PRAGMA synchronous = {level}")


def _add(connection: sqlite3.Connection, entries: Sequence[Event]) -> None:
    connection.executemany(_ADD_AUDIT, [audit_row(entry) for entry in entries])
