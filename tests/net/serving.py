"""Run UDP and TCP loops for the length of a block, on real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rrdns.core.connection_limits import TcpLimits
from rrdns.core.model import Endpoint
from rrdns.core.rate_limit import RateLimitState
from rrdns.net.server.sockets import bind_tcp, bind_udp
from rrdns.net.server.tcp import TcpLoop
from rrdns.net.server.udp import UdpLoop
from rrdns.wire.answers.answer_table import CurrentTable


class Defects(list[tuple[BaseException, bytes]]):
    """What a service has told of its own defects."""

    def tell(self, error: BaseException, datagram: bytes) -> None:
        """Keep a defect."""
        self.append((error, datagram))


@contextmanager
def udp_service(
    answers: CurrentTable,
    host: str = "127.0.0.1",
    port: int = 0,
    quota: RateLimitState | None = None,
) -> Iterator[tuple[UdpLoop, int, Defects]]:
    """Answer on a UDP socket; give the loop, its port, and the defects it told of."""
    defects = Defects()
    with bind_udp(Endpoint(host, port)) as sock:
        loop = UdpLoop(sock, answers, defects.tell, quota)
        thread = threading.Thread(target=loop.run, daemon=True)
        thread.start()
        try:
            yield loop, sock.getsockname()[1], defects
        finally:
            loop.stop()
            thread.join(5)
            assert not thread.is_alive()


@contextmanager
def tcp_service(
    answers: CurrentTable,
    limits: TcpLimits | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    also: Sequence[socket.socket] = (),
) -> Iterator[tuple[TcpLoop, int]]:
    """Answer on a TCP socket; give the loop and its port. It must tell of no defect.

    `also` are listening sockets that it answers on besides.
    """
    sock = bind_tcp(Endpoint(host, port))
    bound = sock.getsockname()[1]
    defects = Defects()
    loop = TcpLoop([sock, *also], answers, limits, defects.tell)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    try:
        yield loop, bound
    finally:
        loop.stop()
        thread.join(5)
        assert not thread.is_alive()
    assert not defects


def udp_client(host: str = "127.0.0.1", timeout: float = 5.0) -> socket.socket:
    """Return an unconnected UDP socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(timeout)
    return sock


def tcp_read(sock: socket.socket) -> bytes:
    """Return the next message of a connection.

    Raises:
        ConnectionError: it was closed before the message was whole.
    """
    return _exactly(sock, int.from_bytes(_exactly(sock, 2), "big"))


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data
