"""Tell by a file: render it, put it in place, and have its reader read it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from rrdns.export.atomic import write_atomically
from rrdns.export.process import run, send_signal
from rrdns.export.render import render
from rrdns.export.settings import FileSettings
from rrdns.export.telling import Telling


class FileExporter:
    """Writes one file, and runs a command or sends a signal after it."""

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._zone_serial = 0
        self._done: tuple[tuple[Telling, ...], bytes] | None = None  # told wholly; the file
        self._writing: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Return what the config calls it."""
        return self._settings.name

    async def tell(self, tellings: Sequence[Telling]) -> str | None:
        """Write the file and tell its reader, unless it says all that already."""
        gist = tuple(replace(telling, serial=0, at=0.0) for telling in tellings)
        if self._done is not None and self._done[0] == gist and self._is_in_place(self._done[1]):
            return None
        data = await asyncio.to_thread(self._render, tellings)
        await self._write(data)
        said = await self._make_it_read()
        self._done = (gist, data)
        return said

    def _is_in_place(self, data: bytes) -> bool:
        """Tell whether the file is still as it was written: another hand may have been there."""
        try:
            return self._settings.path.read_bytes() == data
        except OSError:
            return False

    def _render(self, tellings: Sequence[Telling]) -> bytes:
        # Seconds since 1970 rise over restarts too (RFC 1982 holds until 2106); a change
        # within the same second still gets a serial of its own.
        now = int(max(telling.at for telling in tellings))
        self._zone_serial = max(now, self._zone_serial + 1)
        return render(self._settings, tellings, self._zone_serial).encode()

    async def _write(self, data: bytes) -> None:
        """Write in a thread, never two at a time: one that was given up may still be at it."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        work = asyncio.to_thread(write_atomically, self._settings.path, data, self._settings.mode)
        self._writing = asyncio.create_task(work)
        # Given up, it may fail with nobody there to hear; the next attempt will say why.
        self._writing.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._writing)

    async def _make_it_read(self) -> str:
        if self._settings.command:
            return await run(self._settings.command)
        if self._settings.pid_file:
            send_signal(self._settings.pid_file, self._settings.signal, self._settings.process)
        return ""
