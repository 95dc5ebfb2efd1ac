"""Keep a task for each webhook that is configured, and on disk what they have yet to tell.

Nothing here waits for a receiver: `tell` only hands over. What waits for one that fails is
written to a file, so that a restart forgets nothing but what came since the last attempt.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rrdns.core.status import WebhookStatus
from rrdns.export.atomic_write import write_atomically
from rrdns.export.delivery import DeliveryEvent
from rrdns.export.errors import FileNotWritten
from rrdns.export.webhooks.delivery import PendingEvents, WebhookTask
from rrdns.export.webhooks.event import WebhookEvent, to_values
from rrdns.export.webhooks.settings import EventWebhookSettings

GRACE = 0.3  # seconds that a stop gives to what is under way
KEEP_INTERVAL = 1.0  # seconds between two writes
_MODE = 0o600


class WebhookManager:
    """All webhooks."""

    def __init__(
        self,
        outcome: Callable[[DeliveryEvent], None],
        trouble: Callable[[str], None],
        clock: Callable[[], float],
        outbox: Path | None,
    ) -> None:
        self._heard = outcome
        self._trouble = trouble  # told why what waits cannot be kept; empty: it can
        self._clock = clock
        self._outbox = outbox  # None: a restart forgets what waits
        self._tasks: dict[EventWebhookSettings, WebhookTask] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._left: dict[str, PendingEvents] | None = (
            None  # by name, by those before; None: not read yet
        )
        self._to_keep = asyncio.Event()

    def configure(self, hooks: Sequence[EventWebhookSettings]) -> None:
        """Tell these from now on, and no others; who keeps its name goes on where it was."""
        if self._left is None:
            self._left = self._read()
        for settings in self._tasks.keys() - set(hooks):
            task = self._tasks.pop(settings)
            self._left[settings.name] = task.waiting()
            self._dismiss(task)
        for settings in hooks:
            if settings not in self._tasks:
                self._tasks[settings] = self._begin(settings, self._left)
        self._tasks = {settings: self._tasks[settings] for settings in hooks}
        self._left.clear()
        self._to_keep.set()

    def enqueue(self, event: WebhookEvent) -> None:
        """Hand over an event."""
        for task in self._tasks.values():
            task.enqueue(event)

    def reports(self) -> tuple[WebhookStatus, ...]:
        """Return how each webhook stands, in the order of the config."""
        return tuple(task.report() for task in self._tasks.values())

    async def run_queue_saver(self) -> None:
        """Keep on disk what waits, for as long as the service runs."""
        while True:
            await self._to_keep.wait()
            self._to_keep.clear()
            await self._keep()
            await asyncio.sleep(KEEP_INTERVAL)

    async def stop(self) -> None:
        """End all of it, and keep what could not be told."""
        stopping = (task.stop(GRACE) for task in self._tasks.values())
        await asyncio.gather(*stopping, *self._leaving)
        if self._left is not None:
            await self._keep()

    def _begin(self, settings: EventWebhookSettings, left: dict[str, PendingEvents]) -> WebhookTask:
        task = WebhookTask(settings, self._heard, self._clock, self._to_keep.set)
        if settings.name in left:
            task.restore(left[settings.name])
        task.start()
        return task

    def _dismiss(self, task: WebhookTask) -> None:
        stopping = asyncio.create_task(task.stop())
        self._leaving.add(stopping)
        stopping.add_done_callback(self._leaving.discard)

    async def _keep(self) -> None:
        waiting = {settings.name: task.waiting() for settings, task in self._tasks.items()}
        try:
            await asyncio.to_thread(self._write, waiting)
        except OSError as error:
            self._trouble(f"{self._outbox} cannot be deleted: {error}")
        except FileNotWritten as error:
            self._trouble(f"what waits for webhooks cannot be kept: {error}")
        else:
            self._trouble("")

    def _write(self, waiting: dict[str, PendingEvents]) -> None:
        if self._outbox is None:
            return
        if not any(each.events or each.dropped for each in waiting.values()):
            self._outbox.unlink(missing_ok=True)
            return
        values = {name: _to_values(each) for name, each in waiting.items()}
        write_atomically(self._outbox, json.dumps(values).encode(), _MODE)

    def _read(self) -> dict[str, PendingEvents]:
        if self._outbox is None:
            return {}
        try:
            values = json.loads(self._outbox.read_bytes())
            return {name: _from_values(each) for name, each in values.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._trouble(f"{self._outbox} cannot be read, and its events are lost: {error}")
            return {}


def _to_values(waiting: PendingEvents) -> dict[str, Any]:
    until = waiting.dropped_until
    return {
        "notices": [to_values(event) for event in waiting.events],
        "dropped": waiting.dropped,
        "lost_until": None if until is None else to_values(until),
    }


def _from_values(value: dict[str, Any]) -> PendingEvents:
    until = value["lost_until"]
    return PendingEvents(
        tuple(WebhookEvent(**each) for each in value["notices"]),
        int(value["dropped"]),
        None if until is None else WebhookEvent(**until),
    )
