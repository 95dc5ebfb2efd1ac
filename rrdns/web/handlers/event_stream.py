"""Stream events to watchers (server-sent events, WHATWG HTML section 9.2).

A watcher that comes back with Last-Event-ID is told what it missed; when that is no
longer known, a `gap` event tells it to look at everything anew.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from aiohttp import web

from rrdns.core.events import Event
from rrdns.timeformat import rfc3339
from rrdns.web.api.auth import Caller
from rrdns.web.api.problems import BAD_REQUEST, TOO_MANY, ApiError
from rrdns.web.event_buffer import EventBuffer
from rrdns.web.transport.connections import write_with_timeout

HEARTBEAT = 10.0  # seconds between signs of life; a watcher notices a dead line by their lack
RETRY = 2000  # milliseconds until a browser comes back
MAX_SUBSCRIBERS = 100
MAX_ID_DIGITS = 18


class EventStream:
    """Serves the watchers until it is closed."""

    def __init__(self, events: EventBuffer, *, heartbeat: float = HEARTBEAT) -> None:
        self._events = events
        self._heartbeat = heartbeat
        self._closing = asyncio.Event()
        self._watchers = 0

    async def serve(self, request: web.Request, _: Caller) -> web.StreamResponse:
        """Stream events to one watcher until it goes, or the service stops."""
        last_id = self._resume_from(request)
        if self._watchers >= MAX_SUBSCRIBERS:
            raise ApiError(
                TOO_MANY,
                f"{MAX_SUBSCRIBERS} watchers are here already",
                headers={"Retry-After": "30"},
            )
        self._watchers += 1
        try:
            return await self._stream(request, last_id)
        finally:
            self._watchers -= 1

    def close(self) -> None:
        """End all streams."""
        self._closing.set()

    def _resume_from(self, request: web.Request) -> int:
        text = request.headers.get("Last-Event-ID", "")
        if not text:
            return self._events.last_id
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS):
            raise ApiError(BAD_REQUEST, "Last-Event-ID is not an id of an event here")
        return int(text)

    async def _stream(self, request: web.Request, last_id: int) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        # A watcher that goes away, or reads no more, is no trouble.
        with suppress(ConnectionError, TimeoutError):
            await write_with_timeout(response, f"retry: {RETRY}\nid: {last_id}\n\n".encode())
            while not self._closing.is_set():
                last_id = await self._tell(response, last_id)
        return response

    async def _tell(self, response: web.StreamResponse, last_id: int) -> int:
        """Write what came after `last_id`, or a sign of life; return the last id written."""
        if self._events.has_gap(last_id):
            last_id = self._events.last_id
            await write_with_timeout(
                response, f"id: {last_id}\nevent: gap\ndata: {{}}\n\n".encode()
            )
            return last_id
        if not await self._something_after(last_id):
            await write_with_timeout(response, b": alive\n\n")
            return last_id
        events = self._events.after(last_id)
        await write_with_timeout(response, b"".join(encode(event) for event in events))
        return events[-1].id if events else last_id

    async def _something_after(self, last_id: int) -> bool:
        waits = [
            asyncio.ensure_future(self._events.wait(last_id)),
            asyncio.ensure_future(self._closing.wait()),
        ]
        try:
            await asyncio.wait(waits, timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._events.last_id > last_id


def encode(event: Event) -> bytes:
    """Return an event as the stream carries it."""
    text = json.dumps(_values(event), separators=(",", ":"))  # JSON escapes line breaks
    return f"id: {event.id}\nevent: {event.action}\ndata: {text}\n\n".encode()


def _values(event: Event) -> dict[str, object]:
    shown: dict[str, object] = {"id": event.id, "at": rfc3339(event.at), "kind": event.action}
    if event.is_alarm:
        return {**shown, "name": event.alarm, "sentence": event.reason, "pool": event.pool}
    fields = ("by", "action", "pool", "member", "reason", "before", "after", "details")
    return {**shown, **{name: getattr(event, name) for name in fields}}
