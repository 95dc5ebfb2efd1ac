"""Answer DNS over TCP (RFC 7766): several queries on one connection, in the order they come.

Everything that a client can make grow has a bound here: the connections, in all and from one
address, the bytes of an unfinished query, the responses that the client does not read, and the
time for all of it.

The loop has a thread of its own, but shares the interpreter with those that answer over UDP.
So it gives way to them after each thing it has done, accepts connections at a pace (a flood of
them waits in the kernel), and lets the kernel gather the bytes of a query that come singly.
"""

from __future__ import annotations

import fcntl
import selectors
import socket
import struct
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE

from rrdns.core.acl import client_key
from rrdns.core.connection_limits import ConnectionTable, TcpLimits, TrackedConnection
from rrdns.net.server.loop import HEARTBEAT, RECOVERY, OnError
from rrdns.net.server.thread_priority import yield_cpu
from rrdns.wire.answers.answer_table import CurrentTable
from rrdns.wire.answers.responder import respond

_LENGTH_BYTES = 2  # RFC 1035, section 4.2.2
_MIN_BYTES = _LENGTH_BYTES + 12  # a length and a header: no query is shorter
_READ_BYTES = 2048  # in one go: several usual queries
ACCEPT_BURST = 8  # connections at most are accepted on a socket in each PAUSE
ACCEPT_INTERVAL = 0.005  # seconds
# After each of them, besides the kernel's slack: to accept one and drop another is the most
# that is done at once, and only who sleeps surely lets others run first.
YIELD_SLEEP = 0.000_01  # seconds
_RESET = struct.pack("ii", 1, 0)  # struct linger: close(2) throws away what was not fetched


@dataclass(slots=True, eq=False)
class _Listener:
    """A listening socket, and its pace."""

    sock: socket.socket
    accepted: int = 0  # in the PAUSE that ends then
    pause_ends: float = 0.0


class TcpLoop:
    """Answers on listening sockets (see `bind_tcp`), and on what is accepted there."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        answers: CurrentTable,
        limits: TcpLimits | None = None,
        on_defect: OnError | None = None,
    ) -> None:
        self.heartbeat = 0.0
        self.limits = limits or TcpLimits()
        self._answers = answers
        self._on_defect = on_defect
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._connections: ConnectionTable[_Connection] = ConnectionTable(self.limits)
        self._listeners = [_Listener(sock) for sock in sockets]
        self._paused = list(self._listeners)  # those that had their BURST in this PAUSE

    @property
    def open(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    def run(self) -> None:
        """Answer until `stop`; then accept no more, and close what is open."""
        for listener in self._listeners:
            # Accepted sockets inherit it; else the kernel lets it grow to megabytes for each.
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.limits.unsent_bytes)
        self._reopen(time.monotonic())
        while not self._stopping:
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - the loop outlives any defect, which is logged
                self._tell(error, b"")
                time.sleep(RECOVERY)
        for listener in self._listeners:
            listener.sock.close()
        for connection in list(self._connections):
            connection.close()
        self._selector.close()

    def stop(self) -> None:
        """Let `run` return, within a moment."""
        self._stopping = True

    def watch(self, connection: _Connection, events: int) -> None:
        """Look at a connection for these events from now on."""
        self._selector.modify(connection.sock, events, connection)

    def dismiss(self, connection: _Connection) -> None:
        """Forget a connection; it may be forgotten already."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._selector.unregister(connection.sock)

    def touch(self, connection: _Connection) -> None:
        """Note that a connection has asked something."""
        self._connections.touch(connection, time.monotonic())

    def answer(self, message: bytes, address: bytes) -> bytes | None:
        """Return the answer to a message; a defect costs this answer only."""
        table = self._answers.table
        try:
            return respond(message, table, address, time.time())
        except Exception as error:  # noqa: BLE001 - no message may end the service
            table.counters.count_unanswered()
            self._tell(error, message)
            return None

    def _round(self) -> None:
        """Wait until there is something to do, and do it."""
        ready = self._selector.select(
            min(ACCEPT_INTERVAL, HEARTBEAT) if self._paused else HEARTBEAT
        )
        self.heartbeat = now = looked = time.monotonic()
        self._reopen(now)
        for connection in self._connections.expired(now):
            connection.reset()
            yield_cpu()
        for key, events in ready:
            if self._stopping:
                return
            if isinstance(key.data, _Connection):
                self._attend(key.data, events)
            else:
                self._accept(key.data)
            yield_cpu()
            self.heartbeat = now = time.monotonic()
            if (
                now >= looked + ACCEPT_INTERVAL
            ):  # new clients do not wait until all queries are answered
                looked = now
                self._reopen(now)
                for listener in self._listeners:
                    self._accept(listener)

    def _attend(self, connection: _Connection, events: int) -> None:
        """Do for a connection what it is ready for; whatever happens, it costs this one only."""
        try:
            connection.on_ready(events)
        except OSError:  # gone
            connection.reset()
        except Exception as error:  # noqa: BLE001 - no client may end the service
            connection.reset()
            self._tell(error, b"")

    def _accept(self, listener: _Listener) -> None:
        """Accept pending connections, up to the accept rate; a paused listener accepts none."""
        if listener in self._paused:
            return
        now = time.monotonic()
        if now >= listener.pause_ends:
            listener.accepted, listener.pause_ends = 0, now + ACCEPT_INTERVAL
        try:
            while listener.accepted < ACCEPT_BURST:
                client, peer = listener.sock.accept()
                listener.accepted += 1
                self._admit(client, peer[0])
                time.sleep(YIELD_SLEEP)
        except BlockingIOError:  # that was all, or another worker was quicker
            return
        except OSError:  # such as a lack of descriptors, which ends
            pass
        except Exception as error:  # noqa: BLE001 - no client may end the service
            self._tell(error, b"")
        self._selector.unregister(listener.sock)
        self._paused.append(listener)

    def _reopen(self, now: float) -> None:
        """Look again at the listening sockets whose pause is over."""
        for listener in [one for one in self._paused if now >= one.pause_ends]:
            try:
                self._selector.register(listener.sock, EVENT_READ, listener)
            except OSError:  # the kernel has no memory for it now
                listener.pause_ends = now + ACCEPT_INTERVAL
            else:
                self._paused.remove(listener)

    def _admit(self, client: socket.socket, host: str) -> None:
        """Admit a connection; where that is one too many, another goes."""
        address = socket.inet_pton(client.family, host.partition("%")[0])
        try:
            connection = _Connection(self, client, address)
            self._selector.register(client, EVENT_READ, connection)
        except OSError:  # gone already
            client.close()
            return
        if (other := self._connections.eviction_candidate(connection.client_key)) is not None:
            other.reset()
        self._connections.add(connection)

    def _tell(self, error: BaseException, message: bytes) -> None:
        if self._on_defect is not None:
            self._on_defect(error, message)


class _Connection(TrackedConnection):
    """One client: what has come of its next query, and the answers that it has not fetched."""

    __slots__ = ("_address", "_ended", "_loop", "_low", "_part", "_unsent", "_watched", "sock")

    def __init__(self, loop: TcpLoop, sock: socket.socket, address: bytes) -> None:
        now = time.monotonic()
        super().__init__(client_key(address), now, now)
        self.sock = sock
        self._address = address
        self._loop = loop
        self._part = b""  # read, and not answered
        self._unsent = b""
        self._ended = False  # the client sends no more
        self._watched = EVENT_READ
        self._low = 1  # bytes that must have come before the kernel reports any
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_query()

    def on_ready(self, events: int) -> None:
        """Send and read what the socket is ready for, and answer what is whole.

        Raises:
            OSError: the client is gone.
        """
        if self.sock.fileno() < 0:
            return  # closed after the kernel had reported it
        if events & EVENT_WRITE:
            self._send(b"")
        if events & EVENT_READ:
            self._read()
        while self._answer():
            pass
        if self._ended and not self._unsent:
            self.close()
            return
        if self._unsent:
            self._watch(EVENT_WRITE)
        else:
            self._wait_for_query()
            self._watch(EVENT_READ)

    def close(self) -> None:
        """Close the connection; the kernel still sends what it has been given."""
        self._loop.dismiss(self)
        self.sock.close()

    def reset(self) -> None:
        """Reset the connection of a client that does not read (RFC 1035, section 4.2.2).

        Otherwise the kernel would keep the unsent bytes, in addition to the counted connections.
        """
        with suppress(OSError):
            if _unfetched_bytes(self.sock):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            data = self.sock.recv(max(_READ_BYTES, self._low))
            self._part += data
            self._ended = not data

    def _answer(self) -> bool:
        """Respond to complete queries, as long as the client reads the responses.

        Return whether there was any: more may wait behind it.
        """
        if self._unsent:  # RFC 7766, section 6.2.3 asks for such limits
            return False
        data, at, answers = self._part, 0, bytearray()
        while len(answers) < self._loop.limits.unsent_bytes and (end := _end_of_query(data, at)):
            answer = self._loop.answer(data[at + _LENGTH_BYTES : end], self._address)
            at = end
            if answer is not None:
                answers += len(answer).to_bytes(_LENGTH_BYTES, "big") + answer
        if not at:
            return False
        self._part = data[at:]
        self._loop.touch(self)
        self._send(answers)
        return True

    def _send(self, answers: bytes | bytearray) -> None:
        data, sent = self._unsent + answers, 0
        with suppress(BlockingIOError):
            sent = self.sock.send(data)
        self._unsent = data[sent:]

    def _watch(self, events: int) -> None:
        if events != self._watched:
            self._watched = events
            self._loop.watch(self, events)

    def _wait_for_query(self) -> None:
        """Let the kernel tell of bytes only when the query that they belong to may be whole."""
        part = self._part
        size = _LENGTH_BYTES + int.from_bytes(part[:_LENGTH_BYTES], "big")
        low = max(size if len(part) >= _LENGTH_BYTES else 0, _MIN_BYTES) - len(part)
        if low != self._low:
            self._low = low
            with suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low)


def _end_of_query(data: bytes, at: int) -> int:
    """Return where the query at `at` ends; 0 while it is not whole."""
    if len(data) - at < _LENGTH_BYTES:
        return 0
    end = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
    return end if end <= len(data) else 0


def _unfetched_bytes(sock: socket.socket) -> int:
    """Return how many sent bytes the client has not acknowledged (tcp(7), SIOCOUTQ)."""
    unsent = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(unsent, sys.byteorder)
