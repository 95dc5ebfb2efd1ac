"""Open SQLite files with care, and say in plain words what went wrong with them.

Everything here blocks; the stores call it from a thread of their own.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rrdns.errors import StoreFailed

T = TypeVar("T")

BUSY_TIMEOUT = 2.0  # seconds to wait for another process's lock
COMPANIONS = ("-wal", "-shm")  # files that belong to a database in WAL mode
_WRITABLE, _STANDING_STILL = "mode=rw", "mode=ro&immutable=1"  # in SQLite's URIs


@dataclass(frozen=True, slots=True)
class Schema:
    """What a kind of file holds, and how each version of it came from the one before."""

    application_id: int  # PRAGMA application_id: tells our files from anybody else's
    migrations: tuple[str, ...]  # SQL scripts; number n leads from version n to n + 1

    @property
    def version(self) -> int:
        """Return the version that this rrdns writes."""
        return len(self.migrations)


class DatabaseCorrupt(StoreFailed):
    """The file is not (or no longer) a database that can be trusted."""


class DatabaseTooNew(StoreFailed):
    """A newer rrdns wrote the file."""


def connect(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open a database for writing; make or migrate it where needed.

    Raises:
        Damaged: it cannot be trusted.
        Newer: a newer rrdns wrote it.
        StoreFailed: it cannot be opened or written.
    """
    with store_errors(path, "be opened"):
        _create_private(path)
        connection = _plain_connection(path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            _check(connection, path, schema)
            _migrate(connection, schema)
        except BaseException:
            connection.close()
            raise
        return connection


def connect_to_read(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open a database that another process may be writing, without changing it.

    Raises:
        Damaged, Newer, StoreFailed: as for `connect`.
    """
    with store_errors(path, "be opened"):
        connection = _plain_connection(path, _STANDING_STILL if _stands_still(path) else _WRITABLE)
        try:
            connection.execute("PRAGMA query_only = ON")
            _check_version(connection, path, schema)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all that is in the block, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (a full disk is one).
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def store_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's and the system's errors into sentences for an admin."""
    try:
        yield
    except sqlite3.Error as error:
        kind = DatabaseCorrupt if is_damage(error) else StoreFailed
        raise kind(str(path), doing, reason_of(error)) from error
    except OSError as error:
        raise StoreFailed(str(path), doing, error.strerror or str(error)) from error


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the file itself is broken, rather than its surroundings."""
    return _primary(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def reason_of(error: sqlite3.Error) -> str:
    """Return what went wrong as an admin would say it."""
    return _REASONS.get(_primary(error), "").format(
        name=getattr(error, "sqlite_errorname", "")
    ) or str(error)


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells that the files under a database's path are still the ones that are open.

    Nobody but rrdns writes to them, so a size or time of the database that is not from its own
    last write means that somebody put other content in place.
    """

    database: tuple[int, ...] | None  # device, inode, bytes, nanoseconds of the last write
    companions: tuple[tuple[int, int] | None, ...]  # device and inode

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Return the stamp of a database's files now."""
        found = _stat(path)
        companions = (_stat(path.with_name(path.name + suffix)) for suffix in COMPANIONS)
        return cls(
            (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if found else None,
            tuple((one.st_dev, one.st_ino) if one else None for one in companions),
        )

    def still_holds(self, now: FileIdentity, *, but_written: bool = False) -> bool:
        """Tell whether the same files are there `now`; `but_written`: rrdns has written to them."""
        if self.database is None or now.database is None:
            return False
        known = self.database[:2] == now.database[:2] if but_written else self == now
        # A companion that was there is there for as long as the database is open.
        pairs = zip(self.companions, now.companions, strict=True)
        return known and all(before in (None, after) for before, after in pairs)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # also where a folder on the way is gone
        return None


def sync_folder(path: Path) -> None:
    """Have the names in a file's folder survive the loss of power."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def quarantine(path: Path, now: float | None = None, because: str = "damaged") -> Path:
    """Rename a database and its companions, so that nothing of it is lost; return where to.

    What is not there is passed over.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    target, again = path.with_name(f"{path.name}.{because}-{stamp}"), 1
    while target.exists():
        again += 1
        target = path.with_name(f"{path.name}.{because}-{stamp}-{again}")
    # The companions go first: were the database itself gone, SQLite would delete its -wal.
    for suffix in COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    with suppress(FileNotFoundError):
        path.rename(target)
    return target


class SerialExecutor:
    """A thread that does one thing after another, so that the event loop never waits for a disk."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, job: Callable[[], T]) -> T:
        """Do it after all that was asked for before.

        It is done even if the caller is cancelled while waiting.
        """
        doing = asyncio.get_running_loop().run_in_executor(self._executor, job)
        return await asyncio.shield(doing)


def _create_private(path: Path) -> None:
    """Create the file for nobody else to read; SQLite gives its companions the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _stands_still(path: Path) -> bool:
    """Tell whether nobody can change a database: it is whole, on a read-only file system.

    SQLite must be told so, or it wants to make the companions that WAL mode asks for.
    """
    log = path.with_name(f"{path.name}-wal")
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not log.exists()


def _plain_connection(path: Path, how: str = _WRITABLE) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,  # transactions are begun by name
        check_same_thread=False,  # a store has one thread, and opens and closes in it
    )


def _check(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    _check_version(connection, path, schema)
    with transaction(connection):
        pass  # tells whether the file can be written
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DatabaseCorrupt(str(path), "be opened", f"the file is damaged ({found})")


def _check_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    # One transaction: another process may be making the file just now.
    connection.execute("BEGIN")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    connection.execute("ROLLBACK")
    if tables and owner != schema.application_id:
        raise StoreFailed(str(path), "be opened", "it is a database of another program")
    if version > schema.version:
        raise DatabaseTooNew(
            str(path),
            "be opened",
            f"a newer rrdns wrote it (schema {version}, this rrdns knows {schema.version}); "
            "run that version, or put an older copy in its place",
        )


def _migrate(connection: sqlite3.Connection, schema: Schema) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == schema.version:
        return
    with transaction(connection):
        for script in schema.migrations[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {schema.application_id}")
        connection.execute(f"PRAGMA user_version = {schema.version}")


def _primary(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, or -1 for errors of the Python module itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else int(code) & 0xFF


_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file, or the file system it is on, is read-only",
    sqlite3.SQLITE_BUSY: "another process holds it locked",
    sqlite3.SQLITE_LOCKED: "another process holds it locked",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is damaged, or never was a database",
    sqlite3.SQLITE_CANTOPEN: "no access (does its directory exist, and may rrdns write there?)",
    sqlite3.SQLITE_PERM: "no access (may rrdns read and write it?)",
    sqlite3.SQLITE_IOERR: "the disk is full or reports an error ({name})",
}
