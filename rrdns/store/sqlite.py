"""Keep orders and the audit trail in SQLite: what was acknowledged survives a power cut.

Orders are synced to the disk before they are acknowledged (WAL, synchronous=FULL); mere
notes in the audit trail are not waited for.

The file may be taken away while it is open: removed, renamed, replaced by an old copy, hidden by a
mount. SQLite then goes on to write into a file without a name. So each write looks, before and
after, whether the files under the path are the open ones; where they are not, all orders in force
are written to a new file there, and what stood there is moved aside.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from rrdns.core.events import Event
from rrdns.core.model import OrderKind, Override, ScheduledOverride
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
PRUNE_AT_ONCE = 5_000  # entries; an order waits no longer than for these

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
        # What is in the file, in order to write it anew where the file is taken away.
        self._orders: dict[tuple[str, str], Override] = {}
        self._plans: dict[tuple[str, str], ScheduledOverride] = {}
        self._renewed: list[str] = []

    async def open(self) -> str | None:
        """Open or make the file; opening again after a failure is fine.

        Return a sentence for an alarm when the file was damaged: it has been moved
        aside, and an empty one stands in its place.

        Raises:
            StoreFailed: it cannot be read or written, or a newer rrdns wrote it.
        """
        return await self._thread.run(self._open)

    async def overrides(self) -> tuple[Override, ...]:
        """Return all orders, the expired ones included, in order of pool and member."""

        def read(connection: sqlite3.Connection) -> tuple[Override, ...]:
            return tuple(_override(row) for row in connection.execute(_READ_ORDERS))

        return await self._run("read the orders", read)

    async def scheduled(self) -> tuple[ScheduledOverride, ...]:
        """Return all orders for later, in order of pool and member."""

        def read(connection: sqlite3.Connection) -> tuple[ScheduledOverride, ...]:
            return tuple(_plan(row) for row in connection.execute(_READ_PLANS))

        return await self._run("read the orders for later", read)

    async def commit(self, batch: OrderTransaction) -> None:
        """Keep changes of orders and what tells of them: all or none."""
        await self._write("keep the order" if batch.set else "change the orders", batch)

    async def append_audit(self, entries: Sequence[Event]) -> None:
        """Add to the audit trail, all or none; the last ones may be lost with the power."""
        await self._write(
            "write the audit trail", OrderTransaction(entries=tuple(entries)), "NORMAL"
        )

    async def verify(self) -> None:
        """See to it that the file under the path is the open one, or is made anew.

        Raises:
            StoreFailed: it was taken away, and no new one can be made.
        """
        await self._write("be there", OrderTransaction())

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
            return tuple(_entry(row) for row in rows)

        return await self._run("read the audit trail", read)

    async def prune(self, before: float) -> None:
        """Forget audit entries from before that time, some at once, so that no order waits."""

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
        """Let go of the file; closing twice is fine."""
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
        orders.update({(one.pool, one.member): one for one in batch.set})
        plans.update({plan.key: plan for plan in batch.scheduled})
        connection = self._opened("be written")
        _sync(connection, sync)
        with transaction(connection):
            for table, gone in (("orders", batch.removed), ("plans", batch.unscheduled)):
                connection.executemany(_DELETE.format(table=table), gone)
            connection.executemany(_PUT_ORDER, [_order_row(one) for one in batch.set])
            connection.executemany(_PUT_PLAN, [_plan_row(plan) for plan in batch.scheduled])
            _add(connection, batch.entries)
        # Where the file went away meanwhile, the batch is in one without a name.
        kept = self._is_in_place(but_written=True)
        self._stamp = FileIdentity.of(self.path)
        before, self._orders, self._plans = (self._orders, self._plans), orders, plans
        if not kept:
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
        """Write all orders to a new file at the path; what stands there is moved aside.

        The new file is whole before it gets its name. The old connection is closed after its
        files are out of the way, since SQLite removes "-wal" by its name when it closes.
        """
        self._stamp = None  # until this is done, nothing is in place
        fresh = _fresh_path(self.path)
        for leftover in (fresh, *(fresh.with_name(fresh.name + one) for one in COMPANIONS)):
            leftover.unlink(missing_ok=True)
        made = connect(fresh, SCHEMA)
        try:
            _sync(made, "FULL")
            with transaction(made):
                made.executemany(_PUT_ORDER, [_order_row(one) for one in self._orders.values()])
                made.executemany(_PUT_PLAN, [_plan_row(plan) for plan in self._plans.values()])
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
            f"the store {self.path} was taken away while rrdns ran; the orders in force "
            f"({len(self._orders)}) and those for later ({len(self._plans)}) were written to a new "
            f"one there, {'with' if trail else 'without'} the audit trail"
            + (f"; what stood there is {moved} now" if there else "")
        )

    def _copy_audit(self, made: sqlite3.Connection) -> bool:
        """Take the audit trail along, as far as the old file can still be read."""
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
        if fresh.exists() and not self.path.exists():  # ended between the two names of `_renew`
            with store_errors(self.path, "take up the new file"):
                fresh.rename(self.path)
        try:
            self._connection = connect(self.path, SCHEMA)
        except DatabaseCorrupt as trouble:
            with store_errors(self.path, "move the damaged file aside"):
                moved = quarantine(self.path)
            self._connection = connect(self.path, SCHEMA)
            damage = (
                f"the store {self.path} was damaged ({trouble.reason}) and has been moved to "
                f"{moved}; the orders in it are not in force any more: give them again"
            )
        with store_errors(self.path, "read the orders"):
            orders = [_override(row) for row in self._connection.execute(_READ_ORDERS)]
            plans = [_plan(row) for row in self._connection.execute(_READ_PLANS)]
        self._orders = {(one.pool, one.member): one for one in orders}
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
        StoreFailed: there is none, or it cannot be read.
    """
    with store_errors(path, "be read"), closing(connect_to_read(path, SCHEMA)) as connection:
        orders = tuple(_override(row) for row in connection.execute(_READ_ORDERS))
        return orders, tuple(_plan(row) for row in connection.execute(_READ_PLANS))


def _fresh_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _sync(connection: sqlite3.Connection, level: str) -> None:
    connection.execute(f"PRAGMA synchronous = {level}")


def _add(connection: sqlite3.Connection, entries: Sequence[Event]) -> None:
    connection.executemany(_ADD_AUDIT, [_audit_row(entry) for entry in entries])


def _order_row(override: Override) -> tuple[Any, ...]:
    return (
        override.pool,
        override.member,
        override.order.value,
        override.by,
        override.since,
        override.reason,
        override.until,
        override.ahead,
        override.boot,
        override.address,
        override.hostname,
    )


def _plan_row(plan: ScheduledOverride) -> tuple[Any, ...]:
    return (*_order_row(plan.override), plan.given_at, plan.force, plan.id)


def _plan(row: tuple[Any, ...]) -> ScheduledOverride:
    *order, given_at, force, identity = row
    return ScheduledOverride(_override(tuple(order)), given_at, bool(force), identity)


def _override(row: tuple[Any, ...]) -> Override:
    pool, member, kind, *rest = row
    return Override(pool, member, OrderKind(kind), *rest)


def _audit_row(entry: Event) -> tuple[Any, ...]:
    return (
        entry.at,
        entry.by,
        entry.action,
        entry.pool,
        entry.member,
        entry.reason,
        entry.before,
        entry.after,
        json.dumps(entry.details),
    )


def _entry(row: tuple[Any, ...]) -> Event:
    at, by, action, pool, member, reason, before, after, details, number = row
    kept = json.loads(details)
    return Event(at, by, action, pool, member, reason, before, after, kept, id=number)
