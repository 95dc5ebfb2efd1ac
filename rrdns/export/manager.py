"""Keep a task for each exporter that is configured, and hand each change to all of them.

Nothing here waits for another system: `publish` only hands over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from rrdns.core.status import ExporterStatus
from rrdns.export.delivery import ExporterTask
from rrdns.export.exporter import Exporter
from rrdns.export.file.exporter import FileExporter
from rrdns.export.json_exporters import CommandExporter, WebhookExporter
from rrdns.export.kea.exporter import KeaExporter
from rrdns.export.pool_view import PoolView
from rrdns.export.retry import DeliveryEvent
from rrdns.export.settings import (
    CommandSettings,
    ExporterSettings,
    FileSettings,
    KeaSettings,
    WebhookSettings,
)

STOP_TIMEOUT = 0.9  # seconds


def make_exporter(settings: ExporterSettings) -> Exporter:
    """Return the exporter of these settings."""
    match settings:
        case FileSettings():
            return FileExporter(settings)
        case KeaSettings():
            return KeaExporter(settings)
        case WebhookSettings():
            return WebhookExporter(settings)
        case CommandSettings():
            return CommandExporter(settings)


class ExporterManager:
    """All exporters."""

    def __init__(
        self,
        on_event: Callable[[DeliveryEvent], None],
        clock: Callable[[], float],
        make: Callable[[ExporterSettings], Exporter] = make_exporter,
    ) -> None:
        self._on_event = on_event
        self._clock = clock
        self._make = make
        self._tasks: dict[ExporterSettings, ExporterTask] = {}
        self._latest: dict[str, PoolView] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def configure(self, exporters: Sequence[ExporterSettings]) -> None:
        """Run these exporters and no others; one whose settings are unchanged goes on."""
        for settings in self._tasks.keys() - set(exporters):
            self._dismiss(self._tasks.pop(settings))
        for settings in exporters:
            if settings not in self._tasks:
                task = ExporterTask(self._make(settings), settings, self._on_event, self._clock)
                task.update(self._latest.values())
                task.start()
                self._tasks[settings] = task
        self._tasks = {settings: self._tasks[settings] for settings in exporters}

    def publish(self, views: Iterable[PoolView], gone: Iterable[str] = ()) -> None:
        """Hand over what changed; pools that are not named stay as they were."""
        news = tuple(views)
        for pool in gone:
            self._latest.pop(pool, None)
        self._latest.update((view.pool, view) for view in news)
        for task in self._tasks.values():
            task.update(news)

    def reports(self) -> tuple[ExporterStatus, ...]:
        """Return the status of each exporter, in the order of the config."""
        return tuple(task.report() for task in self._tasks.values())

    async def stop(self) -> None:
        """Stop all exporters, within a second whatever the other systems do."""
        for task in self._tasks.values():
            self._dismiss(task)
        self._tasks.clear()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=STOP_TIMEOUT)

    def _dismiss(self, task: ExporterTask) -> None:
        stopping = asyncio.create_task(task.stop())
        self._leaving.add(stopping)
        stopping.add_done_callback(self._leaving.discard)
