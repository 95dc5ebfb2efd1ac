"""A UDP socket whose datagrams wait until somebody takes them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Self

Address = tuple[str, int]


class UdpSocket(asyncio.DatagramProtocol):
    """An unconnected socket on a fresh port.

    ICMP errors do not reach such a one, and firmware waits on after them as well.
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
        """The port that this socket is bound to."""
        assert self._transport is not None  # noqa: S101  # open within the block only
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def connection_made(self, transport: Any) -> None:
        """Remember how to send."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Keep what came, with the address and port it came from."""
        self._queue.put_nowait((data, (addr[0], addr[1])))

    def send(self, datagram: bytes, to: Address) -> None:
        """Send, and do not care whether it arrives."""
        if self._transport is not None:
            self._transport.sendto(datagram, to)

    async def next(self, until: float) -> tuple[bytes, Address] | None:
        """Return the next datagram and its sender, or None when the loop's clock is there."""
        try:
            async with asyncio.timeout_at(until):
                return await self._queue.get()
        except TimeoutError:
            return None
