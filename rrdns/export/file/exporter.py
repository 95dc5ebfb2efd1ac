"""Tell by a file: render it, put it in place, and have its reader read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rrdns.export.atomic_write import write_atomically
from rrdns.export.disk_io import Disk, read_file
from rrdns.export.external_process import run, send_signal
from rrdns.export.file.render import render
from rrdns.export.pool_view import PoolView
from rrdns.export.settings import FileSettings


class FileExporter:
    """Writes one file, and runs a command or sends a signal after it."""

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._zone_serial = 0
        self._done: tuple[tuple[PoolView, ...], bytes] | None = None  # told wholly; the file
        self._disk = Disk()

    @property
    def name(self) -> str:
        """Return what the config calls it."""
        return self._settings.name

    async def export(self, views: Sequence[PoolView]) -> str | None:
        """Write the file and tell its reader, unless it says all that already."""
        gist = tuple(replace(view, serial=0, at=0.0) for view in views)
        done, settings = self._done, self._settings
        if (
            done is not None
            and done[0] == gist
            and await self._disk.run(partial(self._is_in_place, done[1]))
        ):
            return None
        data = await self._disk.run(partial(self._render, views))
        await self._disk.run(partial(write_atomically, settings.path, data, settings.mode))
        said = await self._make_it_read()
        self._done = (gist, data)
        return said

    def _is_in_place(self, data: bytes) -> bool:
        """Tell whether the file is still as it was written: another hand may have been there."""
        try:
            return read_file(self._settings.path) == data
        except OSError:
            return False

    def _render(self, views: Sequence[PoolView]) -> bytes:
        # Seconds since 1970 rise over restarts too (RFC 1982 holds until 2106); a change
        # within the same second still gets a serial of its own.
        now = int(max(view.at for view in views))
        self._zone_serial = max(now, self._zone_serial + 1)
        return render(self._settings, views, self._zone_serial).encode()

    async def _make_it_read(self) -> str:
        settings = self._settings
        if settings.command:
            return await run(settings.command)
        if settings.pid_file:
            signal = partial(send_signal, settings.pid_file, settings.signal, settings.process)
            await self._disk.run(signal)
        return ""
