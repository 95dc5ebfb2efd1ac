"""Bound what callers may hold: how many connections, from whom, and how long an idle one.

aiohttp waits without end for a request to come in; the API shares its process with the
probes, so nobody may use up its file descriptors by connecting and saying nothing. Where a
connection is one too many, the longest idle one makes room; one with a request in work never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from rrdns.core.acl import client_key_of

MAX_CONNECTIONS = 512
MAX_PER_ADDRESS = 256  # behind a proxy all admins have one
IDLE = 30.0  # seconds without a request in work
WRITE_TIMEOUT = 30.0  # seconds for a reader of a stream to read on


class Connections:
    """Knows which connections have a request in work, and since when the others have none."""

    def __init__(
        self,
        idle: float = IDLE,
        most: int = MAX_CONNECTIONS,
        per_address: int = MAX_PER_ADDRESS,
    ) -> None:
        self.limit = most
        self.per_address = per_address
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

    def admit(
        self,
        source: bytes,
        transports: Iterable[asyncio.BaseTransport],
        coming: Collection[bytes] = (),
    ) -> bool:
        """Tell whether one more may come from a source; an idle connection may end for it.

        `coming` are the sources of those that are let in already, and not among `transports`.
        """
        crowd = [one for one in transports if not one.is_closing()]
        count = len(crowd) + len(coming)
        if count >= self.per_address:
            near = [one for one in crowd if source_of(one.get_extra_info("peername")) == source]
            if len(near) + sum(one == source for one in coming) >= self.per_address:
                crowd, count = near, self.limit
        if count < self.limit:
            return True
        idle = [one for one in crowd if one not in self._busy]
        if not idle:
            return False
        # One that was not looked at yet has only just come.
        _end(min(idle, key=lambda one: self._idle_since.get(one, float("inf"))))
        return True

    def reap(self, transports: Iterable[asyncio.BaseTransport], now: float) -> None:
        """End connections that have been idle for too long; `transports` are all there are."""
        idle = [transport for transport in transports if transport not in self._busy]
        self._idle_since = {transport: self._idle_since.get(transport, now) for transport in idle}
        for transport, since in self._idle_since.items():
            if now - since >= self.idle:
                _end(transport)


CONNECTIONS = web.AppKey("connections", Connections)


def source_of(peer: object) -> bytes:
    """Return what counts as one caller's address; empty for one that has none."""
    return client_key_of(str(peer[0])) if isinstance(peer, tuple) else b""


async def write_with_timeout(response: web.StreamResponse, data: bytes) -> None:
    """Write to a stream, for a reader that reads on.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(WRITE_TIMEOUT):
        await response.write(data)


def busy_middleware(connections: Connections) -> Middleware:
    """Return the middleware that tells which connections are busy."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await connections.run(request, handler)

    return count


def _end(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()
