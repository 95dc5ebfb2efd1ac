"""Keep a courier for each exporter that is configured, and hand each change to all of them.

Nothing here waits for another system: `publish` only hands over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from rrdns.core.status import ExportReport
from rrdns.export.delivery import Courier, News
from rrdns.export.exporter import Exporter
from rrdns.export.make_exporter import make_exporter
from rrdns.export.pool_view import Telling
from rrdns.export.settings import ExporterSettings

STOP_WITHIN = 0.9  # seconds


class Dispatch:
    """All exporters."""

    def __init__(
        self,
        heard: Callable[[News], None],
        clock: Callable[[], float],
        make: Callable[[ExporterSettings], Exporter] = make_exporter,
    ) -> None:
        self._heard = heard
        self._clock = clock
        self._make = make
        self._couriers: dict[ExporterSettings, Courier] = {}
        self._latest: dict[str, Telling] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def configure(self, exporters: Sequence[ExporterSettings]) -> None:
        """Tell these from now on, and no others; one whose settings are unchanged goes on."""
        for settings in self._couriers.keys() - set(exporters):
            self._dismiss(self._couriers.pop(settings))
        for settings in exporters:
            if settings not in self._couriers:
                courier = Courier(self._make(settings), settings, self._heard, self._clock)
                courier.give(self._latest.values())
                courier.start()
                self._couriers[settings] = courier
        self._couriers = {settings: self._couriers[settings] for settings in exporters}

    def publish(self, tellings: Iterable[Telling], gone: Iterable[str] = ()) -> None:
        """Hand over what changed; pools that are not named stay as they were."""
        news = tuple(tellings)
        for pool in gone:
            self._latest.pop(pool, None)
        self._latest.update((telling.pool, telling) for telling in news)
        for courier in self._couriers.values():
            courier.give(news)

    def reports(self) -> tuple[ExportReport, ...]:
        """Return how each exporter stands, in the order of the config."""
        return tuple(courier.report() for courier in self._couriers.values())

    async def stop(self) -> None:
        """End all of it, within a second whatever the other systems do."""
        for courier in self._couriers.values():
            self._dismiss(courier)
        self._couriers.clear()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=STOP_WITHIN)

    def _dismiss(self, courier: Courier) -> None:
        task = asyncio.create_task(courier.stop())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
