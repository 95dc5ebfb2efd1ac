"""Open and check SQLite files, and explain their errors in plain words.

All functions block; each store calls them from a separate thread.
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
_WRITABLE, _IMMUTABLE = "mode=rw", "mode=ro&immutable=1"  # in SQLite's URIs


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of a kind of file, as migrations from version to version."""

    application_id: int  # PRAGMA application_id: identifies files of rrdns
    migrations: tuple[str, ...]  # SQL scripts; number n migrates version n to n + 1

    @property
    def version(self) -> int:
        """Return the version that this rrdns writes."""
        return len(self.migrations)


class DatabaseCorrupt(StoreFailed):
    """The file is not a valid database."""


class DatabaseTooNew(StoreFailed):
    """A newer rrdns wrote the file."""


def connect(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open a database for writing; create or migrate it if needed.

    Raises:
        DatabaseCorrupt: the file is damaged.
        DatabaseTooNew: a newer rrdns wrote it.
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
        DatabaseCorrupt, DatabaseTooNew, StoreFailed: as for `connect`.
    """
    with store_errors(path, "be opened"):
        connection = _plain_connection(path, _IMMUTABLE if _is_immutable(path) else _WRITABLE)
        try:
            connection.execute("PRAGMA query_only = ON")
            _check_version(connection, path, schema)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction: all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has already rolled back.
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
    """Return whether the file itself is damaged, not the disk or the permissions."""
    return _primary(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def reason_of(error: sqlite3.Error) -> str:
    """Return the reason of an error in words for admins."""
    return _REASONS.get(_primary(error), "").format(
        name=getattr(error, "sqlite_errorname", "")
    ) or str(error)


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """The identity of a database's files: whether the files at its path are the open ones.

    Only rrdns writes to them. If the size or time is not from its last write, another program
    has replaced the content.
    """

    database: tuple[int, ...] | None  # device, inode, bytes, nanoseconds of the last write
    companions: tuple[tuple[int, int] | None, ...]  # device and inode

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Return the identity of a database's files now."""
        stat = _stat(path)
        companions = (_stat(path.with_name(path.name + suffix)) for suffix in COMPANIONS)
        return cls(
            (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) if stat else None,
            tuple((file.st_dev, file.st_ino) if file else None for file in companions),
        )

    def still_holds(self, now: FileIdentity, *, but_written: bool = False) -> bool:
        """Return whether the files are the same now; `but_written`: rrdns has written to them."""
        if self.database is None or now.database is None:
            return False
        is_same = self.database[:2] == now.database[:2] if but_written else self == now
        # A companion file exists as long as the database is open.
        pairs = zip(self.companions, now.companions, strict=True)
        return is_same and all(before in (None, after) for before, after in pairs)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # also if a folder of the path does not exist
        return None


def sync_folder(path: Path) -> None:
    """Sync a file's folder, so that the names in it survive a power cut."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def quarantine(path: Path, now: float | None = None, because: str = "damaged") -> Path:
    """Rename a database and its companions, so that no data is lost; return the new path.

    Missing files are ignored.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    target, again = path.with_name(f"{path.name}.{because}-{stamp}"), 1
    while target.exists():
        again += 1
        target = path.with_name(f"{path.name}.{because}-{stamp}-{again}")
    # Companions first: SQLite deletes a -wal file that has no database.
    for suffix in COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    with suppress(FileNotFoundError):
        path.rename(target)
    return target


class SerialExecutor:
    """A thread that runs one job after another, so that the event loop never waits for a disk."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job after all earlier ones; return its result.

        The job also runs if the caller is cancelled while it waits.
        """
        running = asyncio.get_running_loop().run_in_executor(self._executor, job)
        return await asyncio.shield(running)


def _create_private(path: Path) -> None:
    """Create the file with mode 0600; SQLite gives its companions the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _is_immutable(path: Path) -> bool:
    """Return whether a database cannot change: it is complete, on a read-only file system.

    SQLite needs to know it, since it would otherwise create the companions of WAL mode.
    """
    log = path.with_name(f"{path.name}-wal")
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not log.exists()


def _plain_connection(path: Path, how: str = _WRITABLE) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,  # transactions begin explicitly
        check_same_thread=False,  # a store has one thread, and opens and closes in it
    )


def _check(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    _check_version(connection, path, schema)
    with transaction(connection):
        pass  # fails if the file cannot be written
    result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise DatabaseCorrupt(str(path), "be opened", f"the file is damaged ({result})")


def _check_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    # One transaction: another process may be creating the file now.
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
            "run that version, or replace it by an older copy",
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
    sqlite3.SQLITE_READONLY: "the file or its file system is read-only",
    sqlite3.SQLITE_BUSY: "another process holds it locked",
    sqlite3.SQLITE_LOCKED: "another process holds it locked",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is damaged or not a database",
    sqlite3.SQLITE_CANTOPEN: "no access: its folder must exist, and rrdns must be able to write it",
    sqlite3.SQLITE_PERM: "no access: rrdns must be able to read and write it",
    sqlite3.SQLITE_IOERR: "the disk is full or reports an error ({name})",
}
