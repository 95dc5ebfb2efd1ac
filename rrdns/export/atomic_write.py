"""Replace a file in one step: whoever reads it sees the old one whole or the new one whole."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from rrdns.export.errors import FileNotWritten


def write_atomically(path: Path, data: bytes, mode: int) -> None:
    """Write a file anew, on disk when this returns; an existing one's mode and owner are kept.

    Raises:
        FileNotWritten: the old file, or none, is still there.
    """
    try:
        # A link stays a link: what it leads to is replaced.
        _replace(path.resolve(), data, mode)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before 3.13
        raise FileNotWritten(str(path), str(error)) from error


def _replace(path: Path, data: bytes, mode: int) -> None:
    # Hidden, so that a server which reads a whole folder passes over it.
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            _take_after(path, file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    _fsync_folder(path.parent)


def _take_after(path: Path, fd: int, mode: int) -> None:
    """Give the new file the owner and mode of the old one."""
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(fd, mode)
        return
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        _give_away(fd, old)
    os.fchmod(fd, stat.S_IMODE(old.st_mode))  # after the owner: chown clears some bits


def _give_away(fd: int, old: os.stat_result) -> None:
    """Keep the owner, or, where only root could: whoever could read the old one still can."""
    try:
        os.fchown(fd, old.st_uid, old.st_gid)
    except PermissionError:
        if old.st_mode & stat.S_IROTH:
            return
        if not old.st_mode & stat.S_IRGRP:
            raise
        os.fchown(fd, -1, old.st_gid)


def _fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
