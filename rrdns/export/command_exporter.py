"""Tell by a command that reads JSON on its standard input."""

from __future__ import annotations

from collections.abc import Sequence

from rrdns.export.external_process import run
from rrdns.export.json_payload import to_json
from rrdns.export.pool_view import PoolView
from rrdns.export.settings import CommandSettings


class CommandExporter:
    """Runs one command."""

    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        """Return what the config calls it."""
        return self._settings.name

    async def export(self, views: Sequence[PoolView]) -> str:
        """Run the command; return what it said."""
        return await run(self._settings.command, to_json(self.name, views).encode())
