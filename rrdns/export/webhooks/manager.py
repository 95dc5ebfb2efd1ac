"""Run a task for each configured webhook, and save the events that wait to disk.

Nothing here waits for a receiver: `enqueue` only queues. The queue of a receiver that fails is
written to a file, so that a restart loses only what came since the last attempt.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rrdns.core.events import Event
from rrdns.core.status import WebhookStatus
from rrdns.export.atomic_write import write_atomically
from rrdns.export.errors import FileNotWritten
from rrdns.export.retry import DeliveryEvent
from rrdns.export.webhooks.delivery import PendingEvents, WebhookTask
from rrdns.export.webhooks.settings import EventWebhookSettings

GRACE = 0.3  # seconds that a stop allows for deliveries under way
SAVE_INTERVAL = 1.0  # seconds between two writes
_MODE = 0o600


class WebhookManager:
    """All webhooks."""

    def __init__(
        self,
        on_event: Callable[[DeliveryEvent], None],
        on_saved: Callable[[str], None],
        clock: Callable[[], float],
        outbox: Path | None,
    ) -> None:
        self._on_event = on_event
        self._on_saved = on_saved  # called with why the queues cannot be saved; empty: they are
        self._clock = clock
        self._outbox = outbox  # None: a restart loses the queues
        self._tasks: dict[EventWebhookSettings, WebhookTask] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        # The queues of webhooks that are gone, by name; None: the file is not read yet.
        self._left: dict[str, PendingEvents] | None = None
        self._to_save = asyncio.Event()

    def configure(self, hooks: Sequence[EventWebhookSettings]) -> None:
        """Run these webhooks and no others; one that keeps its name keeps its queue."""
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
        self._to_save.set()

    def enqueue(self, event: Event) -> None:
        """Queue an event for the webhooks that subscribe to it."""
        for task in self._tasks.values():
            task.enqueue(event)

    def reports(self) -> tuple[WebhookStatus, ...]:
        """Return the status of each webhook, in the order of the config."""
        return tuple(task.report() for task in self._tasks.values())

    async def run_queue_saver(self) -> None:
        """Save the queues to disk, for as long as the service runs."""
        while True:
            await self._to_save.wait()
            self._to_save.clear()
            await self._save()
            await asyncio.sleep(SAVE_INTERVAL)

    async def stop(self) -> None:
        """Stop all webhooks, and save what could not be delivered."""
        stopping = (task.flush(GRACE) for task in self._tasks.values())
        await asyncio.gather(*stopping, *self._leaving)
        if self._left is not None:
            await self._save()

    def _begin(self, settings: EventWebhookSettings, left: dict[str, PendingEvents]) -> WebhookTask:
        task = WebhookTask(settings, self._on_event, self._clock, self._to_save.set)
        if settings.name in left:
            task.restore(left[settings.name])
        task.start()
        return task

    def _dismiss(self, task: WebhookTask) -> None:
        stopping = asyncio.create_task(task.stop())
        self._leaving.add(stopping)
        stopping.add_done_callback(self._leaving.discard)

    async def _save(self) -> None:
        waiting = {settings.name: task.waiting() for settings, task in self._tasks.items()}
        try:
            await asyncio.to_thread(self._write, waiting)
        except OSError as error:
            self._on_saved(f"{self._outbox} cannot be deleted: {error}")
        except FileNotWritten as error:
            self._on_saved(f"events that wait for webhooks cannot be saved: {error}")
        else:
            self._on_saved("")

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
            self._on_saved(f"{self._outbox} cannot be read, and its events are lost: {error}")
            return {}


def _to_values(waiting: PendingEvents) -> dict[str, Any]:
    until = waiting.dropped_until
    return {
        "events": [asdict(event) for event in waiting.events],
        "dropped": waiting.dropped,
        "dropped_until": None if until is None else asdict(until),
    }


def _from_values(value: dict[str, Any]) -> PendingEvents:
    until = value["dropped_until"]
    return PendingEvents(
        tuple(Event(**each) for each in value["events"]),
        int(value["dropped"]),
        None if until is None else Event(**until),
    )
