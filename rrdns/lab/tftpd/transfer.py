"""One transfer of the lab's TFTP server: lockstep, retransmission, and faults."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from rrdns.lab.tftpd.faults import Faults, Step
from rrdns.wire.tftp.packets import (
    BLOCK_NUMBERS,
    DEFAULT_BLKSIZE,
    LARGEST_BLKSIZE,
    SMALLEST_BLKSIZE,
    Ack,
    Data,
    Error,
    MalformedPacket,
    OptionAck,
    Packet,
    ReadRequest,
    decode,
    encode,
)

Address = tuple[str, int]
_MAX_BYTES = 2048  # of a reader's packet
_GARBAGE = b"\xff\xff this is not TFTP"


@dataclass(slots=True)
class TransferCounts:
    """The counters of a server since it started."""

    requests: int = 0
    finished: int = 0  # transfers with a final ACK
    stopped: int = 0  # transfers that the reader stopped with an ERROR
    refused: int = 0  # transfers that the server stopped with an ERROR
    left_open: int = 0  # transfers whose reader sent nothing more
    retransmissions: int = 0
    repeated_acks: int = 0  # of blocks that had been acknowledged: see RFC 1123, 4.2.3.1
    errors_heard: list[int] = field(default_factory=list)  # codes, also on the flood's port


class TransferOwner(Protocol):
    """The server that a transfer belongs to, as the transfer sees it."""

    address: str
    faults: Faults
    retry_after: float  # seconds
    retries: int
    counts: TransferCounts

    def forget(self, reader: Address) -> None:
        """Remove the transfer of `reader`, which has ended."""


class Transfer:
    """The transfer of a file to one reader, with the faults that the server had at its start."""

    def __init__(
        self, server: TransferOwner, reader: Address, request: ReadRequest, content: bytes
    ) -> None:
        self._server = server
        self._reader = reader
        self._faults = server.faults
        self._content = content[: self._faults.ends_after]
        self._blksize = DEFAULT_BLKSIZE
        self._options = self._negotiate(request, len(content))
        self._index = 0  # of the block that waits for its ACK; -1 for the OACK
        self._tries = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._socket = _bind(self._faults.reply_from or server.address)
        self._flooder = _bind(server.address) if self._faults.flood else None

    def begin(self) -> None:
        """Reply to the request."""
        for sock in self._sockets():
            self._loop.add_reader(sock.fileno(), self._readable, sock)
        if self._faults.error_at is Step.REQUEST:
            self._fail()
        elif self._faults.garbage:
            self._send(_GARBAGE)
            self._await_ack()
        else:
            self._index = -1 if self._options else 0
            self._advance()

    def close(self) -> None:
        """Close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._sockets():
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._server.forget(self._reader)

    def _sockets(self) -> tuple[socket.socket, ...]:
        return (self._socket,) if self._flooder is None else (self._socket, self._flooder)

    def _negotiate(self, request: ReadRequest, size: int) -> dict[str, str]:
        """Return the options of the OACK; empty if the request has none that we know."""
        if self._faults.ignore_options:
            return {}
        accepted = {}
        requested = request.options.get("blksize", "")
        if requested.isdigit() and int(requested) >= SMALLEST_BLKSIZE:
            self._blksize = self._faults.blksize or min(int(requested), LARGEST_BLKSIZE)
            accepted["blksize"] = str(self._blksize)
        if "tsize" in request.options:
            announced = size if self._faults.tsize is None else self._faults.tsize
            accepted["tsize"] = str(announced)
        if self._faults.odd_option is not None:
            accepted[self._faults.odd_option] = "1"
        return accepted

    def _readable(self, sock: socket.socket) -> None:
        try:
            datagram, source = sock.recvfrom(_MAX_BYTES)
            packet = decode(datagram)
        except (OSError, MalformedPacket):
            return
        if isinstance(packet, Error):
            self._server.counts.errors_heard.append(packet.code)
        if sock is not self._socket or source != self._reader:
            return
        if isinstance(packet, Error):
            self._server.counts.stopped += 1
            self.close()
        elif isinstance(packet, Ack):
            self._take_ack(packet.block)

    def _take_ack(self, block: int) -> None:
        if block != self._number(self._index):
            self._server.counts.repeated_acks += 1
        elif self._index >= 0 and len(self._payload(self._index)) < self._blksize:
            self._server.counts.finished += 1
            self.close()
        else:
            self._index += 1
            self._tries = 0
            self._advance()

    def _advance(self) -> None:
        """Send the packet that is due, for the first time or again."""
        if self._fails_here():
            self._fail()
        elif self._index == self._faults.stalls_after:
            self._await_ack()
        else:
            self._send(encode(self._packet()))
            self._await_ack()

    def _fails_here(self) -> bool:
        due = {Step.OPTIONS: 0, Step.DATA: 1}
        return self._faults.error_at is not None and self._index == due.get(self._faults.error_at)

    def _packet(self) -> Packet:
        if self._index < 0:
            return OptionAck(self._options)
        return Data(self._number(self._index), self._payload(self._index))

    def _number(self, index: int) -> int:
        return 0 if index < 0 else (self._faults.first_block + index) % BLOCK_NUMBERS

    def _payload(self, index: int) -> bytes:
        start = index * self._blksize
        if not (self._faults.endless and self._content):
            return self._content[start : start + self._blksize]
        start %= len(self._content)
        times = 1 + (start + self._blksize) // len(self._content)
        return (self._content * times)[start : start + self._blksize]

    def _await_ack(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._server.retry_after, self._retry)

    def _retry(self) -> None:
        if self._tries >= self._server.retries:
            self._server.counts.left_open += 1
            self.close()
            return
        self._tries += 1
        self._server.counts.retransmissions += 1
        self._advance()

    def _fail(self) -> None:
        self._server.counts.refused += 1
        self._put(encode(Error(self._faults.error_code, self._faults.error_text)))
        self.close()

    def _send(self, datagram: bytes) -> None:
        """Send a packet, with the faults."""
        for _ in range(1 + self._faults.duplicates):
            if self._faults.slow:
                self._loop.call_later(self._faults.slow, self._put, datagram)
            else:
                self._put(datagram)
        for _ in range(self._faults.flood):  # after it, since the first reply sets the port
            self._put(encode(Data(1, b"flood")), self._flooder)
        if self._faults.late:
            self._loop.call_later(self._faults.late, self._put, datagram)

    def _put(self, datagram: bytes, sock: socket.socket | None = None) -> None:
        with suppress(OSError):  # the socket is closed, or its buffer is full: the packet is lost
            (sock or self._socket).sendto(datagram, self._reader)


def _bind(address: str) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setblocking(False)
    bound.bind((address, 0))
    return bound
