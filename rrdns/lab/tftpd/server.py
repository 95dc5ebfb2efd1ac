"""A TFTP server with faults on demand. It counts what its clients do.

It serves bytes from memory, knows the options blksize and tsize, and ignores all others (as
RFC 2347 allows). File names are case-insensitive, as on Windows.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rrdns.errors import ListenFailed
from rrdns.lab.tftpd.faults import NONE, Faults
from rrdns.lab.tftpd.transfer import Transfer, TransferCounts
from rrdns.wire.tftp.packets import Error, ErrorCode, MalformedPacket, ReadRequest, decode, encode

Address = tuple[str, int]
_MAX_BYTES = 2048  # of a request


class TftpServer:
    """One server on one IPv4 address. `faults` and `files` can be replaced while it runs."""

    def __init__(
        self,
        address: str,
        port: int,
        files: Mapping[str, bytes],
        faults: Faults = NONE,
        *,
        retry_after: float = 1.0,
        retries: int = 4,
    ) -> None:
        self.address = address
        self.port = port  # 0 becomes a free port at the start
        self.files = files
        self.faults = faults
        self.retry_after = retry_after
        self.retries = retries
        self.counts = TransferCounts()
        self._socket: socket.socket | None = None
        self._transfers: dict[Address, Transfer] = {}  # by the reader's address and port

    @property
    def open_transfers(self) -> int:
        """Return the number of transfers that have not ended."""
        return len(self._transfers)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenFailed: the address cannot be bound.
        """
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.setblocking(False)
        try:
            listening.bind((self.address, self.port))
        except OSError as error:
            listening.close()
            reason = os.strerror(error.errno or 0)
            raise ListenFailed("TFTP", f"{self.address}:{self.port}", reason) from error
        self.port = listening.getsockname()[1]
        self._socket = listening
        asyncio.get_running_loop().add_reader(listening.fileno(), self._readable)

    async def stop(self) -> None:
        """Drop all transfers at once, as a stopped service does. `start` starts it again."""
        for transfer in list(self._transfers.values()):
            transfer.close()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def content_of(self, name: str) -> bytes | None:
        """Return the file of a name in any case, or None."""
        normalized = name.replace("\\", "/").lstrip("/").lower()
        contents = (content for file, content in self.files.items() if file.lower() == normalized)
        return next(contents, None)

    def forget(self, reader: Address) -> None:
        """Remove a transfer that has ended."""
        self._transfers.pop(reader, None)

    def _readable(self) -> None:
        assert self._socket is not None  # noqa: S101  # the reader is removed before
        try:
            datagram, reader = self._socket.recvfrom(_MAX_BYTES)
        except OSError:
            return
        try:
            packet = decode(datagram)
        except MalformedPacket as problem:
            self._reject(reader, Error(ErrorCode.ILLEGAL_OPERATION, str(problem)))
            return
        if isinstance(packet, ReadRequest):
            self._serve(packet, reader)

    def _serve(self, request: ReadRequest, reader: Address) -> None:
        self.counts.requests += 1
        # A reader that repeats its request has lost our reply, which the transfer sends again.
        if self.faults.silent or reader in self._transfers:
            return
        content = self.content_of(request.file)
        if content is None:
            self.counts.refused += 1
            self._reject(reader, Error(ErrorCode.FILE_NOT_FOUND, "File not found"))
            return
        transfer = Transfer(self, reader, request, content)
        self._transfers[reader] = transfer
        transfer.begin()

    def _reject(self, reader: Address, error: Error) -> None:
        """Reply with an error from a new port, as a transfer would."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((self.faults.reply_from or self.address, 0))
            sender.sendto(encode(error), reader)
