"""Let one rrdns at a time use a store: two of them would each take the other's last member out.

The supervisor holds the lock, so it lasts over restarts of its children and ends with the
supervisor's death; the file that carries it may stay behind and means nothing by itself.
flock(2) and not fcntl(2): its lock belongs to the open file, so that no child which opens and
closes the same file lets go of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rrdns.errors import RrdnsError, StoreFailed
from rrdns.service.runtime.log_setup import get_log

TAKE_TIMEOUT = 2.5  # seconds for one that is just ending, as at a restart of the service
RETRY_INTERVAL = 0.05
CHECK_INTERVAL = 2.0  # seconds between two looks at whether the lock's file is still there
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
# Where a lock may be this host's own, and another host's rrdns does not see it (mount(8)).
_NETWORK_TYPES = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "afs", "fuse", "virtiofs")


class StoreInUse(RrdnsError):
    """Another rrdns uses the store."""

    def __init__(self, store: str, holder: str) -> None:
        super().__init__(store, holder)
        self.store = store
        self.holder = holder

    def __str__(self) -> str:
        return (
            f"the store {self.store} is in use by another rrdns ({self.holder}), and two would "
            "undo each other's orders: stop that one, or give this one a store.path of its own"
        )


class StoreLock:
    """The lock beside a store, for as long as this process and its children live."""

    def __init__(
        self,
        store: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = lock_path(store)
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._fd = -1
        self._checked_at = clock()
        self._is_told = False

    def take(self) -> None:
        """Take the lock; wait a moment for one that is just ending.

        Raises:
            StoreInUse: another rrdns has it.
            StoreFailed: its file cannot be made.
        """
        end = self._clock() + TAKE_TIMEOUT
        while not self._try():
            if self._clock() >= end:
                raise StoreInUse(str(self._store), self._holder())
            self._sleep(RETRY_INTERVAL)
        kind = _file_system(self.path)
        if kind.startswith(_NETWORK_TYPES):
            get_log().warning(
                "the store is on a network file system",
                type=kind,
                because="a lock there may not keep an rrdns on another host from using it too",
            )

    def keep(self) -> None:
        """Take the lock again where its file was taken away; it looks each CHECK_INTERVAL."""
        now = self._clock()
        if now - self._checked_at < CHECK_INTERVAL or self._fd < 0:
            return
        self._checked_at = now
        try:
            if not self._is_in_place() and not self._try() and not self._is_told:
                self._is_told = True
                get_log().critical(
                    "another rrdns uses the store",
                    store=str(self._store),
                    holder=self._holder(),
                    so="two undo each other's orders: stop one of them",
                )
        except (OSError, StoreFailed):  # its folder may be gone; the control process tells that
            return

    def _try(self) -> bool:
        """Try to lock the file that stands at the path; tell whether this process has it."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailed(
                str(self._store), "be locked", f"{self.path}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(fd)
                raise StoreFailed(str(self._store), "be locked", str(error.strerror)) from error
            get_log().warning(
                "the store cannot be locked",
                because=f"its file system knows no locks ({error.strerror})",
                so="nothing keeps a second rrdns from using it",
            )
        before, self._fd = self._fd, fd
        if before >= 0:
            os.close(before)
        if not self._is_in_place():  # another file stands there since
            return False
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return True

    def _is_in_place(self) -> bool:
        held = os.fstat(self._fd)
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            return False
        return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)

    def _holder(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            return self.path.read_text("utf-8")[:200].strip() or "its process is not known"
        return "its process is not known"


def lock_path(store: Path) -> Path:
    """Return the lock's file; links and other spellings of a store's path come to the same."""
    real = store.resolve()
    return real.with_name(f"{real.name}.lock")


def _file_system(path: Path) -> str:
    """Return the type of the file system that a file is on (proc_pid_mountinfo(5))."""
    best, kind = 0, ""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            point = before.split()[4].replace("\\040", " ")  # as a space is written there
            if path.is_relative_to(point) and len(point) >= best:
                best, kind = len(point), after.split()[0]
    return kind
