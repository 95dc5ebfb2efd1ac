"""Read and write the files of an exporter where they can hold up nobody else."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

MAX_READ_BYTES = 64 * 1024 * 1024
_Result = TypeVar("_Result")


class Disk:
    """Runs what may hang on a disk or a file server, one job at a time, in a thread of its own.

    The threads that asyncio shares are few: some exporters on a server that hangs would take them
    all from the reload, the metrics and the page, and keep the process from ending.
    """

    def __init__(self) -> None:
        self._doing: asyncio.Future[object] | None = None

    async def run(self, job: Callable[[], _Result]) -> _Result:
        """Run a job once the one before has ended, given up or not; return what it returns."""
        while self._doing is not None and not self._doing.done():
            await asyncio.wait([self._doing])
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        # Given up, it may fail with nobody there to hear; the next attempt will say why.
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._doing = future  # type: ignore[assignment]  # only its end is looked at
        work = threading.Thread(target=_work, args=(job, loop, future), name="disk", daemon=True)
        work.start()
        return await asyncio.shield(future)


def _work(
    job: Callable[[], _Result],
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[_Result],
) -> None:
    try:
        result = job()
    except Exception as error:  # noqa: BLE001 - it is the caller's
        _tell(loop, future.set_exception, error)
    else:
        _tell(loop, future.set_result, result)


def _tell(loop: asyncio.AbstractEventLoop, told: Callable[[_Result], None], value: _Result) -> None:
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(told, value)


def read_file(path: Path) -> bytes:
    """Return what a regular file holds.

    Raises:
        OSError: it cannot be read, or is something that a reader may wait for (a pipe, a device).
    """
    # O_NONBLOCK, since to open a named pipe waits for who writes to it.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read(MAX_READ_BYTES)
