"""Serve the application on a socket that is already bound, over TLS or not, and stop quickly.

Connections are accepted here one by one: so it is known whose they are before anything is
spent on them, and each takes the certificate of its moment.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from contextlib import suppress

from aiohttp import web

from rrdns.web.transport.connections import CONNECTIONS, source_of

BACKLOG = 128
KEEPALIVE = 20.0  # seconds between two requests on a connection
STOP_TIMEOUT = 0.4  # seconds for requests in work; as much again once they are cancelled
REAP_INTERVAL = 1.0
MAX_LINE = 8190  # bytes of a request line, and of one header
MAX_HEADERS = 128
HANDSHAKE = 10.0  # seconds for TLS to be agreed on
MAX_HANDSHAKES = 64  # at once; one more ends the oldest
# Seconds from one connection with TLS to the next: its key signs for each, and the probes are
# in the same process. Who calls keeps its connection.
HANDSHAKE_INTERVAL = 0.005
_RECOVERY = 0.05  # seconds of rest when accepting itself fails
# aiohttp logs what strangers send that is no HTTP, which may be as much as they like, and may
# be a header with a token. Defects of ours are logged by `guard.make_shield`.
_SILENT = logging.getLogger("rrdns.web.silent")
_SILENT.disabled = True


class ApiServer:
    """The API on its socket."""

    def __init__(
        self, app: web.Application, sock: socket.socket, tls: ssl.SSLContext | None = None
    ) -> None:
        self.tls = tls  # of the connections to come
        self._connections = app[CONNECTIONS]
        self._sock = sock
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_SILENT,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE,
            shutdown_timeout=STOP_TIMEOUT,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
            # A compressed body could be a thousand times what the limit lets in.
            auto_decompress=False,
        )
        self._duties: list[asyncio.Task[None]] = []
        self._coming: dict[asyncio.Task[None], bytes] = {}  # the oldest first

    async def start(self) -> None:
        """Begin to serve."""
        await self._runner.setup()
        self._sock.setblocking(False)
        self._sock.listen(BACKLOG)
        duties = (self._keep_accepting(), self._keep_reaping())
        self._duties = [asyncio.create_task(job) for job in duties]

    async def stop(self) -> None:
        """Stop serving within a second; event streams end."""
        tasks = [*self._duties, *self._coming]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sock.close()
        await self._runner.cleanup()

    async def _keep_accepting(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(self._sock)
            except OSError:  # no descriptors are left, and some will be again
                await asyncio.sleep(_RECOVERY)
                continue
            source = source_of(peer)
            if self._connections.admit(source, self._transports(), self._coming.values()):
                coming = asyncio.create_task(self._let_in(sock, self.tls))
                self._coming[coming] = source
                coming.add_done_callback(self._forget)
                self._make_room_for_handshakes()
            else:
                sock.close()
            await asyncio.sleep(HANDSHAKE_INTERVAL if self.tls else 0)

    async def _let_in(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Give an accepted connection to aiohttp, once TLS is agreed on."""
        server = self._runner.server
        if server is None:
            sock.close()
            return
        patience = HANDSHAKE if tls else None
        with suppress(OSError):  # it went away, or spoke no TLS
            await asyncio.get_running_loop().connect_accepted_socket(
                server, sock, ssl=tls, ssl_handshake_timeout=patience, ssl_shutdown_timeout=patience
            )

    def _make_room_for_handshakes(self) -> None:
        for task in list(self._coming)[:-MAX_HANDSHAKES]:
            task.cancel()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._coming.pop(task, None)

    def _transports(self) -> list[asyncio.BaseTransport]:
        handlers = self._runner.server.connections if self._runner.server else []
        return [handler.transport for handler in handlers if handler.transport is not None]

    async def _keep_reaping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(REAP_INTERVAL)
            self._connections.reap(self._transports(), loop.time())
