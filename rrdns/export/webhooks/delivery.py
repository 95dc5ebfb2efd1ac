"""Carry events to one webhook: each of them, in their order, one attempt at a time.

A failed attempt is repeated after 1 s, doubling to 60 s. What waits is bounded: when there
is no room the oldest are let go, and the receiver is told how many.
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

from rrdns.core.status import WebhookStatus
from rrdns.export.delivery import DeliveryEvent, Outcome, back_off
from rrdns.export.disk_io import Disk
from rrdns.export.errors import DeliveryFailed, ExportFailed
from rrdns.export.http_client import HttpPost, post, read_secret
from rrdns.export.json_exporters import SIGNATURE, signature
from rrdns.export.webhooks.event import WebhookEvent, dropped_events, to_json
from rrdns.export.webhooks.settings import EventWebhookSettings

EVENT, DELIVERY = "X-Rrdns-Event", "X-Rrdns-Delivery"
# These say that this event is refused, not that the receiver is away: after so many attempts
# the ones behind it get their turn.
REFUSALS = frozenset({400, 413, 415, 422})
MAX_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class PendingEvents:
    """What a webhook has still to be told."""

    events: tuple[WebhookEvent, ...] = ()
    dropped: int = 0  # were let go, and that is not told yet
    dropped_until: WebhookEvent | None = None


class WebhookTask:
    """One webhook's task."""

    def __init__(
        self,
        settings: EventWebhookSettings,
        outcome: Callable[[DeliveryEvent], None],
        clock: Callable[[], float] = time.time,
        on_waiting: Callable[[], None] = lambda: None,
        send: Callable[[HttpPost], Awaitable[bytes]] = post,
        disk: Disk | None = None,
    ) -> None:
        self._settings = settings
        self._heard = outcome
        self._clock = clock
        self._send = send
        self._disk = disk or Disk()
        self._on_waiting = on_waiting  # called when what waits should be kept on disk
        self._queue: deque[WebhookEvent] = deque()
        self._losing: tuple[int, WebhookEvent] | None = None  # how many, and the last of them
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._trying: WebhookEvent | None = None
        self._retry_at: float | None = None  # on the loop's clock
        self._report = WebhookStatus(
            name=settings.name,
            origin=where(settings.url),
            events=tuple(settings.events),
            pools=settings.pools,
            queue_limit=settings.queue,
        )
        self._task: asyncio.Task[None] | None = None

    def enqueue(self, event: WebhookEvent) -> None:
        """Tell of an event, if the webhook is to be told of such."""
        settings = self._settings
        if event.subject not in settings.events:
            return
        if settings.pools and event.pool and event.pool not in settings.pools:
            return
        self._put((event,))
        if self._report.failing:
            self._on_waiting()

    def restore(self, waiting: PendingEvents) -> None:
        """Go on with what another task of the webhook left, ahead of everything else."""
        if waiting.dropped_until is not None:
            self._losing = waiting.dropped, waiting.dropped_until
        since, self._queue = self._queue, deque()
        self._put((*waiting.events, *since))

    def waiting(self) -> PendingEvents:
        """Return what is not delivered yet."""
        count, until = self._losing or (0, None)
        return PendingEvents(tuple(self._queue), count, until)

    def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, grace: float = 0.0) -> None:
        """End, in the middle of an attempt too; within the grace tell what can be told."""
        if not self._report.failing and grace:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def report(self) -> WebhookStatus:
        """Return how it stands."""
        next_try = None
        if self._retry_at is not None:
            wait = self._retry_at - asyncio.get_running_loop().time()
            next_try = self._clock() + max(0.0, wait)
        return replace(self._report, waiting=len(self._queue), next_try=next_try)

    def _put(self, notices: Iterable[WebhookEvent]) -> None:
        self._queue.extend(notices)
        while len(self._queue) > self._settings.queue:
            # The one that is under way may arrive yet; it is not lost.
            oldest = 1 if self._queue[0] is self._trying and len(self._queue) > 1 else 0
            self._drop_oldest(oldest)
        if self._queue or self._losing:
            self._idle.clear()
            self._changed.set()

    def _drop_oldest(self, index: int) -> None:
        count = self._losing[0] if self._losing else 0
        self._losing = count + 1, self._queue[index]
        del self._queue[index]
        self._report = replace(self._report, dropped=self._report.dropped + 1)

    async def _run(self) -> None:
        while True:
            await self._until_due()
            if self._losing is not None:
                await self._attempt(dropped_events(*self._losing))
            else:
                await self._attempt(self._queue[0])
            if not self._queue and self._losing is None:
                self._idle.set()

    async def _until_due(self) -> None:
        while not self._queue and self._losing is None:
            self._changed.clear()
            await self._changed.wait()
        if self._retry_at is not None:
            await asyncio.sleep(self._retry_at - asyncio.get_running_loop().time())

    async def _attempt(self, event: WebhookEvent) -> None:
        self._trying, losing, limit = event, self._losing, self._settings.timeout
        try:
            async with asyncio.timeout(limit):
                await self._post(event)
        except ExportFailed as error:
            self._failed(event, losing, error)
        except TimeoutError:
            slow = f"it took more than {limit:g} s and was given up"
            self._failed(event, losing, DeliveryFailed(self._report.origin, slow))
        except Exception as error:  # noqa: BLE001 - a defect of one webhook stays in its report
            defect = DeliveryFailed(self._report.origin, f"a defect of rrdns: {error!r}")
            self._failed(event, losing, defect)
        else:
            self._succeeded(event, losing)
        finally:
            self._trying = None

    async def _post(self, event: WebhookEvent) -> None:
        settings = self._settings
        body = to_json(settings.name, event).encode()
        headers = {**dict(settings.headers), EVENT: str(event.subject), DELIVERY: str(event.id)}
        if settings.secret_file:
            # Read each time: a new key needs no reload.
            secret = await self._disk.run(partial(read_secret, settings.secret_file))
            headers[SIGNATURE] = signature(secret, body)
        called = self._report.origin
        await self._send(
            HttpPost(settings.url, body, headers, ca_file=settings.ca_file, display_url=called)
        )

    def _succeeded(self, event: WebhookEvent, losing: tuple[int, WebhookEvent] | None) -> None:
        self._acknowledge(event, losing)
        was_failing, self._retry_at = self._report.failing, None
        self._report = replace(
            self._report,
            failing=False,
            attempts=0,
            last_success=self._clock(),
            delivered=self._report.delivered + 1,
        )
        if was_failing:
            self._heard(DeliveryEvent(self._settings.name, Outcome.RECOVERED, "", 0))
            self._on_waiting()

    def _acknowledge(self, event: WebhookEvent, losing: tuple[int, WebhookEvent] | None) -> None:
        """Forget what was told."""
        if self._queue and self._queue[0] is event:
            self._queue.popleft()
        elif losing is not None and self._losing is not None:
            count, until = self._losing  # more may have been lost since
            self._losing = (count - losing[0], until) if count > losing[0] else None

    def _reject(self, event: WebhookEvent, losing: tuple[int, WebhookEvent] | None) -> None:
        """Forget what the receiver does not want; that an event is lost is told once."""
        self._report = replace(self._report, attempts=0)
        if self._queue and self._queue[0] is event:
            self._drop_oldest(0)
        else:
            self._acknowledge(event, losing)

    def _failed(
        self, event: WebhookEvent, losing: tuple[int, WebhookEvent] | None, error: ExportFailed
    ) -> None:
        known = self._report.failing and self._report.last_error == str(error)
        attempts = self._report.attempts
        self._retry_at = asyncio.get_running_loop().time() + back_off(attempts)
        self._report = replace(
            self._report,
            failing=True,
            attempts=attempts + 1,
            last_error=str(error),
            last_error_at=self._clock(),
            failed=self._report.failed + 1,
        )
        if not known:
            self._heard(DeliveryEvent(self._settings.name, Outcome.FAILED, str(error), 0))
        refused = isinstance(error, DeliveryFailed) and error.status in REFUSALS
        if refused and attempts + 1 >= MAX_REFUSALS:
            self._reject(event, losing)
        self._on_waiting()


def where(url: str) -> str:
    """Return the part of a URL that may be shown: what comes after the host may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
