"""Carry events to one webhook: each of them, in their order, one attempt at a time.

The queue is bounded. When it is full, the oldest events are dropped, and the receiver gets
one event that says how many.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from rrdns.core.events import Event
from rrdns.core.status import WebhookStatus
from rrdns.export.disk_io import Disk
from rrdns.export.errors import DeliveryFailed, ExportFailed
from rrdns.export.http_client import HttpPost, post, read_secret
from rrdns.export.json_exporters import SIGNATURE, signature
from rrdns.export.retry import DeliveryEvent, RetryingTask
from rrdns.export.webhooks.payload import dropped_events, to_json, topic_of
from rrdns.export.webhooks.settings import EventWebhookSettings

EVENT, DELIVERY = "X-Rrdns-Event", "X-Rrdns-Delivery"
# These say that this event is refused, not that the receiver is away: after so many attempts
# the ones behind it get their turn.
REFUSALS = frozenset({400, 413, 415, 422})
MAX_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class PendingEvents:
    """The events that a webhook has not received yet."""

    events: tuple[Event, ...] = ()
    dropped: int = 0  # events that were dropped, which the receiver does not know yet
    dropped_until: Event | None = None


class WebhookTask(RetryingTask[WebhookStatus]):
    """One webhook's task."""

    def __init__(
        self,
        settings: EventWebhookSettings,
        on_event: Callable[[DeliveryEvent], None],
        clock: Callable[[], float] = time.time,
        on_waiting: Callable[[], None] = lambda: None,
        send: Callable[[HttpPost], Awaitable[bytes]] = post,
        disk: Disk | None = None,
    ) -> None:
        status = WebhookStatus(
            name=settings.name,
            origin=where(settings.url),
            events=tuple(settings.events),
            pools=settings.pools,
            queue_limit=settings.queue,
        )
        super().__init__(status, settings.timeout, on_event, clock)
        self._settings = settings
        self._send = send
        self._disk = disk or Disk()
        self._on_waiting = on_waiting  # called when the queue should be saved to disk
        self._queue: deque[Event] = deque()
        self._dropped: tuple[int, Event] | None = None  # how many, and the last of them
        # What the attempt under way delivers: an event, and the dropped ones that it stands for.
        self._attempted: tuple[Event, tuple[int, Event] | None] | None = None
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def enqueue(self, event: Event) -> None:
        """Queue an event, if the webhook subscribes to its topic and pool."""
        settings = self._settings
        if topic_of(event) not in settings.events:
            return
        if settings.pools and event.pool and event.pool not in settings.pools:
            return
        self._put((event,))
        if self._status.failing:
            self._on_waiting()

    def restore(self, waiting: PendingEvents) -> None:
        """Go on with what another task of the webhook left, ahead of everything else."""
        if waiting.dropped_until is not None:
            self._dropped = waiting.dropped, waiting.dropped_until
        since, self._queue = self._queue, deque()
        self._put((*waiting.events, *since))

    def waiting(self) -> PendingEvents:
        """Return what is not delivered yet."""
        count, until = self._dropped or (0, None)
        return PendingEvents(tuple(self._queue), count, until)

    async def flush(self, grace: float) -> None:
        """Stop, after up to `grace` seconds for the deliveries that wait."""
        if not self._status.failing:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace)
        await self.stop()

    def report(self) -> WebhookStatus:
        """Return the status of the webhook."""
        next_try = self._date_of(self._retry_at)
        return replace(self._status, waiting=len(self._queue), next_try=next_try)

    def _put(self, events: Iterable[Event]) -> None:
        self._queue.extend(events)
        while len(self._queue) > self._settings.queue:
            # The one that is under way may arrive yet; it is not lost.
            under_way = self._attempted is not None and self._queue[0] is self._attempted[0]
            oldest = 1 if under_way and len(self._queue) > 1 else 0
            self._drop_oldest(oldest)
        if self._queue or self._dropped:
            self._idle.clear()
            self._changed.set()

    def _drop_oldest(self, index: int) -> None:
        count = self._dropped[0] if self._dropped else 0
        self._dropped = count + 1, self._queue[index]
        del self._queue[index]
        self._status = replace(self._status, dropped=self._status.dropped + 1)

    async def _until_due(self) -> None:
        while not self._queue and self._dropped is None:
            self._changed.clear()
            await self._changed.wait()
        if self._retry_at is not None:
            await asyncio.sleep(self._retry_at - asyncio.get_running_loop().time())

    async def _deliver(self) -> None:
        dropped = self._dropped
        event = dropped_events(*dropped) if dropped is not None else self._queue[0]
        self._attempted = event, dropped
        await self._post(event)
        self._acknowledge(event, dropped)
        self._attempted = None
        was_failing = self._status.failing
        self._succeeded()
        if was_failing:
            self._on_waiting()

    async def _post(self, event: Event) -> None:
        settings = self._settings
        body = to_json(settings.name, event).encode()
        headers = {**dict(settings.headers), EVENT: topic_of(event), DELIVERY: str(event.id)}
        if settings.secret_file:
            # Read each time: a new key needs no reload.
            secret = await self._disk.run(partial(read_secret, settings.secret_file))
            headers[SIGNATURE] = signature(secret, body)
        shown = self._status.origin
        await self._send(
            HttpPost(settings.url, body, headers, ca_file=settings.ca_file, display_url=shown)
        )

    def _failure(self, reason: str) -> ExportFailed:
        return DeliveryFailed(self._status.origin, reason)

    def _failed(self, error: ExportFailed) -> None:
        super()._failed(error)
        refused = isinstance(error, DeliveryFailed) and error.status in REFUSALS
        if refused and self._status.attempts >= MAX_REFUSALS and self._attempted is not None:
            self._reject(*self._attempted)
        self._attempted = None
        self._on_waiting()

    def _acknowledge(self, event: Event, dropped: tuple[int, Event] | None) -> None:
        """Forget what was delivered."""
        if self._queue and self._queue[0] is event:
            self._queue.popleft()
        elif dropped is not None and self._dropped is not None:
            count, last = self._dropped  # more may have been dropped since
            self._dropped = (count - dropped[0], last) if count > dropped[0] else None
        self._note_idle()

    def _reject(self, event: Event, dropped: tuple[int, Event] | None) -> None:
        """Drop an event that the receiver refuses; the receiver is told of that once."""
        self._status = replace(self._status, attempts=0)
        if self._queue and self._queue[0] is event:
            self._drop_oldest(0)
        else:
            self._acknowledge(event, dropped)

    def _note_idle(self) -> None:
        if not self._queue and self._dropped is None:
            self._idle.set()


def where(url: str) -> str:
    """Return the part of a URL that may be shown: what comes after the host may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
