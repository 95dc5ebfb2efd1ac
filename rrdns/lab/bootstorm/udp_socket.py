"""A UDP socket with a queue of received datagrams."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Self

Address = tuple[str, int]


class UdpSocket(asyncio.DatagramProtocol):
    """An unconnected socket on a new port.

    It gets no ICMP errors. Firmware also ignores them.
    """

    def __init__(self, family: socket.AddressFamily, bound: Address | None = None) -> None:
        self._family = family
        self._bound = bound
        self._queue: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(
            lambda: self, local_addr=self._bound, family=self._family
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.close()

    @property
    def port(self) -> int:
        """Return the port of this socket."""
        assert self._transport is not None  # noqa: S101  # open within the block only
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def connection_made(self, transport: Any) -> None:
        """Store the transport."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Queue a datagram with its sender's address and port."""
        self._queue.put_nowait((data, (addr[0], addr[1])))

    def send(self, datagram: bytes, to: Address) -> None:
        """Send a datagram."""
        if self._transport is not None:
            self._transport.sendto(datagram, to)

    async def next(self, until: float) -> tuple[bytes, Address] | None:
        """Return the next datagram and its sender, or None at a time of the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                return await self._queue.get()
        except TimeoutError:
            return None
