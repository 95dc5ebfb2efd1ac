"""Serve the application on a socket that is already bound, and stop quickly."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

from aiohttp import web

from rrdns.web.connections import CONNECTIONS, Refusing

BACKLOG = 128
KEEPALIVE = 20.0  # seconds between two requests on a connection
STOP_WITHIN = 0.4  # seconds for requests in work; as much again once they are cancelled
REAP_EVERY = 1.0
MOST_LINE = 8190  # bytes of a request line, and of one header


class ApiServer:
    """The API on its socket."""

    def __init__(
        self, app: web.Application, sock: socket.socket, tls: ssl.SSLContext | None = None
    ) -> None:
        self._connections = app[CONNECTIONS]
        self._sock = sock
        self._tls = tls
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE,
            shutdown_timeout=STOP_WITHIN,
            max_line_size=MOST_LINE,
            max_field_size=MOST_LINE,
            # A compressed body could be a thousand times what the limit lets in.
            auto_decompress=False,
        )
        self._server: asyncio.Server | None = None
        self._reaper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol, sock=self._sock, ssl=self._tls, backlog=BACKLOG
        )
        self._reaper = asyncio.create_task(self._keep_reaping())

    async def stop(self) -> None:
        """Stop serving within a second; event streams end."""
        if self._reaper is not None:
            self._reaper.cancel()
            with suppress(asyncio.CancelledError):
                await self._reaper
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._connections.most:
            return Refusing()
        return server()

    async def _keep_reaping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(REAP_EVERY)
            handlers = self._runner.server.connections if self._runner.server else []
            transports = [handler.transport for handler in handlers]
            self._connections.reap(
                [transport for transport in transports if transport is not None], loop.time()
            )
