"""Bound what callers may hold: how many connections, and how long an idle one.

aiohttp waits without end for a request to come in; the API shares its process with the
probes, so nobody may use up its file descriptors by connecting and saying nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

MOST_CONNECTIONS = 512
IDLE = 30.0  # seconds without a request in work


class Refusing(asyncio.Protocol):
    """Ends a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send it away."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


class Connections:
    """Knows which connections have a request in work, and since when the others have none."""

    def __init__(self, idle: float = IDLE, most: int = MOST_CONNECTIONS) -> None:
        self.most = most
        self.idle = idle
        self._busy: set[asyncio.BaseTransport] = set()
        self._idle_since: dict[asyncio.BaseTransport, float] = {}

    async def run(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Call a handler, its connection being busy meanwhile."""
        transport = request.transport
        if transport is None:
            return await handler(request)
        self._busy.add(transport)
        try:
            return await handler(request)
        finally:
            self._busy.discard(transport)
            self._idle_since.pop(transport, None)

    def reap(self, transports: Iterable[asyncio.BaseTransport], now: float) -> None:
        """End connections that have been idle for too long; `transports` are all there are."""
        idle = [transport for transport in transports if transport not in self._busy]
        self._idle_since = {transport: self._idle_since.get(transport, now) for transport in idle}
        for transport, since in self._idle_since.items():
            if now - since >= self.idle and isinstance(transport, asyncio.Transport):
                transport.abort()


CONNECTIONS = web.AppKey("connections", Connections)


def make_counter(connections: Connections) -> Middleware:
    """Return the middleware that tells which connections are busy."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await connections.run(request, handler)

    return count
