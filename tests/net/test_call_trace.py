"""How many calls a query over UDP takes in the default configuration, and through which modules.

Each call costs about as much as a look-up in the packet cache, and a reader has to follow it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import rrdns
from rrdns.core.model import Endpoint
from rrdns.core.rate_limit import RateLimits, RateLimitState
from rrdns.net.server.sockets import bind_udp
from rrdns.net.server.udp import UdpLoop
from rrdns.shm.counters import Counters
from rrdns.shm.shared_rotation import SharedRotationCounters, shared_rate_buckets
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.server_info import ServerInfo
from tests.net.serving import udp_client
from tests.wire import sample_zones
from tests.wire.sample_zones import option, query

ROOT = str(Path(rrdns.__file__).parent)
COOKIE = 10


class Trace:
    """The calls of functions of rrdns, in their order."""

    def __init__(self) -> None:
        self.modules: list[str] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call."""
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(ROOT):
            self.modules.append(name.removeprefix(ROOT))

    @property
    def stays(self) -> int:
        """Return how often the calls enter a module."""
        return sum(now != before for now, before in zip(self.modules, ["", *self.modules]))  # noqa: B905 - the last has no successor


class Server:
    """A loop as each of several workers has one, with rate limit and cookies."""

    def __init__(self, loop: UdpLoop, client: socket.socket, port: int) -> None:
        self._loop, self._client, self._port = loop, client, port

    def exchange(self, ident: int, message: bytes) -> tuple[Trace, bytes]:
        """Send a query; return the calls of the round that it takes, and the response."""
        self._client.sendto(ident.to_bytes(2, "big") + message[2:], ("127.0.0.1", self._port))
        trace = Trace()
        sys.setprofile(trace)
        try:
            self._loop._round()
        finally:
            sys.setprofile(None)
        return trace, self._client.recv(4096)


@contextmanager
def a_server() -> Iterator[Server]:
    counters = Counters(rotation=SharedRotationCounters())
    server_info = ServerInfo(cookie_keys=CookieKeys((bytes(16),)))
    table = AnswerTable.build(sample_zones.snapshot(), counters, server_info=server_info)
    limits = RateLimitState(RateLimits(exempt=()), shared_rate_buckets())
    with bind_udp(Endpoint("127.0.0.1", 0)) as sock, udp_client() as client:
        loop = UdpLoop(sock, CurrentTable(table), None, limits)
        yield Server(loop, client, sock.getsockname()[1])


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server; its calls are seen by a profile function, which coverage does not use."""
    with a_server() as server:
        yield server


def test_a_hit_takes_eight_calls_in_four_modules(server: Server) -> None:
    """Receive, respond, take a turn, send."""
    for ident in range(3):
        trace, _ = server.exchange(ident, query())
    assert len(trace.modules) <= 8, trace.modules
    assert len(set(trace.modules)) <= 4, trace.modules


def test_a_hit_with_a_cookie_takes_a_few_calls_more(server: Server) -> None:
    """The cookie is verified once, and found again."""
    _, response = server.exchange(1, query(use_edns=0, options=[option(COOKIE, b"clientcc")]))
    earned = query(use_edns=0, options=[option(COOKIE, response[-24:])])
    for ident in range(2, 5):
        trace, response = server.exchange(ident, earned)
    assert response[-24:] == earned[-24:]
    assert len(trace.modules) <= 12, trace.modules
    assert len(set(trace.modules)) <= 5, trace.modules


def test_the_first_query_for_a_name_enters_modules_25_times_at_most(server: Server) -> None:
    """It is parsed, resolved, rendered and cached."""
    trace, _ = server.exchange(1, query())
    assert trace.stays <= 25, trace.modules


@pytest.mark.parametrize("name", ["nope.pvs.example.test", "bOOt.pvs.example.test"])
def test_what_is_not_cached_enters_modules_16_times_at_most(server: Server, name: str) -> None:
    """Each time but the first: names that do not exist, and mixed case."""
    for ident in range(3):
        trace, _ = server.exchange(ident, query(name))
    assert trace.stays <= 16, trace.modules
