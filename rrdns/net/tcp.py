"""Answer DNS over TCP (RFC 7766): several queries on one connection, in the order they come.

Everything that a stranger can make grow has a bound here: the connections, in all and from
one address, the bytes of a query in the making, the answers that nobody fetches, and the
time for all of it. UDP has a thread of its own, but shares the interpreter with this one: so
connections are accepted at a pace, and a flood of them waits in the kernel.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rrdns.core.networks import holder_of
from rrdns.net.listen import TCP_BACKLOG
from rrdns.wire.answers import Answers
from rrdns.wire.responder import respond

_LENGTH_BYTES = 2  # RFC 1035, section 4.2.2
_ROOM_BYTES = 2048  # of a connection at rest: several usual queries
# So many connections at most are accepted in one go, and then none for a moment.
BURST = 8
PAUSE = 0.005  # seconds
_SWEEP = 0.5  # seconds between two looks for connections whose time is up

OnDefect = Callable[[BaseException, bytes], None]


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """How much of this host TCP clients may use; times in seconds."""

    connections: int = 512  # in all: one more drops the one that has been idle the longest
    per_address: int = 64  # from one IPv4 address or IPv6 /64; likewise
    idle: float = 10.0  # between two whole queries; a byte now and then does not count
    lifetime: float = 300.0  # of a connection, however busy it is
    unsent_bytes: int = 65_536  # of answers not fetched, before no more queries are read


class TcpService:
    """The TCP side of a worker."""

    def __init__(
        self,
        answers: Answers,
        limits: TcpLimits | None = None,
        on_defect: OnDefect | None = None,
    ) -> None:
        self.limits = limits or TcpLimits()
        self._answers = answers
        self._on_defect = on_defect
        self._listening: dict[socket.socket, asyncio.TimerHandle | None] = {}
        self._coming: set[asyncio.Task[object]] = set()
        # The one that has been idle the longest comes first.
        self._connections: dict[_Connection, None] = {}
        self._per_address: Counter[bytes] = Counter()
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets, until `stop`."""
        for sock in sockets:
            sock.setblocking(False)
            sock.listen(TCP_BACKLOG)
            self._listen(sock)
        self._sweep()

    async def stop(self) -> None:
        """Accept no more, and close what is open."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        loop = asyncio.get_running_loop()
        for sock, pause in self._listening.items():
            if pause is not None:
                pause.cancel()
            loop.remove_reader(sock)
            sock.close()
        self._listening.clear()
        await asyncio.gather(*self._coming, return_exceptions=True)
        for connection in list(self._connections):
            connection.drop()

    @property
    def open(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    def admit(self, connection: _Connection) -> None:
        """Take a connection in; where that is one too many, another goes.

        It is the longest idle one of this address, or of the address that has most: whoever
        floods drops its own, and a client with one connection keeps it.
        """
        if self._per_address[connection.source] >= self.limits.per_address:
            self._drop_one_of(connection.source)
        elif len(self._connections) >= self.limits.connections:
            self._drop_one_of(max(self._per_address, key=self._per_address.__getitem__))
        self._connections[connection] = None
        self._per_address[connection.source] += 1

    def dismiss(self, connection: _Connection) -> None:
        """Forget a connection; it may be forgotten already."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        self._per_address[connection.source] -= 1
        if not self._per_address[connection.source]:
            del self._per_address[connection.source]

    def _drop_one_of(self, source: bytes) -> None:
        next(one for one in self._connections if one.source == source).drop()

    def touch(self, connection: _Connection) -> None:
        """Note that a connection has asked something: it is the last to go now."""
        if connection in self._connections:
            del self._connections[connection]
            self._connections[connection] = None

    def answer(self, message: bytes, address: bytes) -> bytes | None:
        """Return the answer to a message; a defect costs this answer only."""
        table = self._answers.table
        try:
            return respond(message, table, address, time.time(), tcp=True)
        except Exception as error:  # noqa: BLE001 - no message may end the service; it is told
            table.ledger.drop()
            if self._on_defect is not None:
                self._on_defect(error, message)
            return None

    def _listen(self, sock: socket.socket) -> None:
        self._listening[sock] = None
        asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        """Take in who waits, and look again a little later."""
        loop = asyncio.get_running_loop()
        # Another worker may have been quicker; without descriptors it goes on when there are some.
        with suppress(OSError):
            for _ in range(BURST):
                client, _ = sock.accept()
                client.setblocking(False)
                coming = loop.create_task(self._let_in(client))
                self._coming.add(coming)
                coming.add_done_callback(self._coming.discard)
        loop.remove_reader(sock)
        self._listening[sock] = loop.call_later(PAUSE, self._listen, sock)

    async def _let_in(self, client: socket.socket) -> None:
        with suppress(OSError):  # gone already
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(lambda: _Connection(self), client)

    def _sweep(self) -> None:
        """Drop the connections whose time is up, and come again soon."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._connections):
            if connection.is_overdue(now):
                connection.drop()
        self._sweeper = loop.call_later(_SWEEP, self._sweep)


class _Connection(asyncio.BufferedProtocol):
    """One client, with one buffer that is as large as the query in it asks for."""

    def __init__(self, service: TcpService) -> None:
        self.source = b""  # what counts as one address: an IPv4 address, or an IPv6 /64
        self._address = b""
        self._service = service
        self._transport: asyncio.Transport | None = None
        self._room = bytearray(_ROOM_BYTES)
        self._filled = 0
        self._paused = False
        self._began = self._asked = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be admitted."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # gone already
            transport.abort()
            return
        self._address = ipaddress.ip_address(peer[0].partition("%")[0]).packed
        self.source = holder_of(self._address)
        self._transport = transport
        transport.set_write_buffer_limits(high=self._service.limits.unsent_bytes)
        self._service.admit(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Be forgotten."""
        self._service.dismiss(self)
        self._transport = None

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return the room that is left; there always is some."""
        return memoryview(self._room)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer what is whole."""
        self._filled += nbytes
        self._answer()

    def pause_writing(self) -> None:
        """Read no more while answers pile up (RFC 7766, section 6.2.3 asks for such limits)."""
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on with what was read before the pause."""
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._answer()

    def is_overdue(self, now: float) -> bool:
        """Tell whether the connection has been open or idle too long."""
        limits = self._service.limits
        return now - self._asked >= limits.idle or now - self._began >= limits.lifetime

    def drop(self) -> None:
        """End the connection at once, whatever is still unsent."""
        self._service.dismiss(self)
        if self._transport is not None:
            self._transport.abort()

    def _answer(self) -> None:
        """Answer the whole queries in the buffer, as far as the client fetches the answers."""
        at, answers = 0, []
        while not self._paused and (end := self._end_of_query(at)):
            message = bytes(self._room[at + _LENGTH_BYTES : end])
            answer = self._service.answer(message, self._address)
            at = end
            if answer is not None:
                answers.append(len(answer).to_bytes(_LENGTH_BYTES, "big") + answer)
        if at:
            self._asked = asyncio.get_running_loop().time()
            self._service.touch(self)
        self._make_room(at)
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))

    def _end_of_query(self, at: int) -> int:
        """Return where the query at `at` ends; 0 while it is not whole."""
        if self._filled - at < _LENGTH_BYTES:
            return 0
        end = at + _LENGTH_BYTES + int.from_bytes(self._room[at : at + _LENGTH_BYTES], "big")
        return end if end <= self._filled else 0

    def _make_room(self, done: int) -> None:
        """Move what is left to the front, in a buffer that holds the query it begins."""
        left = bytes(self._room[done : self._filled])
        size = _LENGTH_BYTES + int.from_bytes(left[:_LENGTH_BYTES], "big")
        # asyncio holds no view of the old buffer here, but a new one is simpler to be sure of.
        self._room = bytearray(max(_ROOM_BYTES, size, len(left) + 1))
        self._room[: len(left)] = left
        self._filled = len(left)
