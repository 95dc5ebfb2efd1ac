"""The server on its socket: it stops quickly and cannot be used up."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import aiohttp
import pytest

from rrdns.core.acl import client_key_of
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.app import make_app
from rrdns.web.transport.connections import Connections, source_of
from rrdns.web.transport.server import MAX_LINE, ApiServer
from tests.web.fake_admin_service import FakeAdminService, happened
from tests.web.serving import Client, bound, serving


async def opened(client: Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a bare connection."""
    return await asyncio.open_connection("127.0.0.1", client.port)


class Line(asyncio.Transport):
    """A transport that only tells that it was ended."""

    ended: ClassVar[list[str]] = []

    def __init__(self, name: str, host: str = "127.0.0.1") -> None:
        super().__init__({"peername": (host, 1)})
        self.name = name

    def is_closing(self) -> bool:
        """Go on."""
        return False

    def abort(self) -> None:
        """Tell of the end."""
        self.ended.append(self.name)


@pytest.fixture(autouse=True)
def _forget_lines() -> None:
    Line.ended.clear()


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something holds, in this loop or in the kernel."""
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.005)


async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait until the other end closes a connection."""
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_stopping_takes_less_than_a_second_and_ends_streams() -> None:
    """With watchers, and with connections that say nothing."""
    async with serving() as client:
        stream = await client.session.get("/v1/events")
        reader, writer = await opened(client)
        began = time.monotonic()
        await client.server.stop()
        assert time.monotonic() - began < 1.0
        assert b"retry" in await stream.content.read()
        await closed(reader, writer)
        with pytest.raises(OSError, match="Connect"):
            await opened(client)


async def test_a_call_in_work_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that hangs does not hold up the stop."""
    async with serving() as client:
        monkeypatch.setattr(
            client.admin_service.store, "audit", lambda *_: asyncio.sleep(60), raising=True
        )
        call = asyncio.create_task(client.get("/v1/audit"))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await client.server.stop()
        assert time.monotonic() - began < 1.5
        with pytest.raises(aiohttp.ClientError):
            await call


@pytest.mark.parametrize(("most", "per_address"), [(3, 100), (100, 3)])
async def test_a_connection_too_many_ends_the_longest_idle_one(most: int, per_address: int) -> None:
    """In all, or from one address; those with a call in work stay, and are no more than that."""
    async with serving(heartbeat=0.02) as client:
        limits = client.server._connections
        limits.limit, limits.per_address = most, per_address
        stream = await client.session.get("/v1/events")
        old = await opened(client)
        await until(lambda: len(client.server._transports()) == 2)
        limits.reap(client.server._transports(), 0.0)
        new = [await opened(client) for _ in range(2)]
        await closed(*old)
        assert (await client.get("/healthz")).status == 200
        await closed(*new[0])
        more = [await client.session.get("/v1/events") for _ in range(2)]
        assert [one.status for one in more] == [200, 200]
        await closed(*await opened(client))  # all are busy now
        for one in (stream, *more):
            assert await one.content.readline() == b"retry: 2000\n"
            one.close()
        await until(lambda: not client.server._transports())
        assert (await client.get("/healthz")).status == 200
        new[1][1].close()


async def test_other_addresses_keep_their_connections() -> None:
    """A crowd from one is that one's trouble; IPv6 addresses count by their network."""
    limits = Connections(most=100, per_address=2)
    lines = [Line(name, host) for name, host in (("a", "192.0.2.1"), ("b", "192.0.2.2"))]
    crowd = [Line(name, f"2001:db8::{name}") for name in ("1", "2")]
    limits.reap([*lines, *crowd], 0.0)
    assert limits.admit(client_key_of("192.0.2.1"), [*lines, *crowd])
    assert not Line.ended
    assert limits.admit(client_key_of("2001:db8::3"), [*lines, *crowd])
    assert Line.ended.pop() == "1"
    # Those that are on their way in count, and cannot make room.
    source = client_key_of("192.0.2.3")
    assert limits.admit(source, lines, [source])
    assert not limits.admit(source, lines, [source, source])
    assert source_of(None) == client_key_of("nonsense") == b""


async def test_accepting_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the process has no descriptors left for a while."""
    loop, fails = asyncio.get_running_loop(), [OSError(24, "Too many open files")]
    real = loop.sock_accept

    async def accept(sock: socket.socket) -> tuple[socket.socket, Any]:
        if fails:
            raise fails.pop()
        return await real(sock)

    monkeypatch.setattr(loop, "sock_accept", accept)
    async with serving() as client:
        assert (await client.get("/healthz")).status == 200
    assert not fails


async def test_a_connection_that_says_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the midst of its headers; one whose call is in work is left alone."""
    monkeypatch.setattr("rrdns.web.transport.server.REAP_INTERVAL", 0.02)
    async with serving(heartbeat=0.02) as client:
        client.server._connections.idle = 0.05
        stream = await client.session.get("/v1/events")
        silent, dripping = await opened(client), await opened(client)
        dripping[1].write(b"GET /healthz HTTP/1.1\r\nHost: ")
        await closed(*silent)
        await closed(*dripping)
        assert await stream.content.readline() == b"retry: 2000\n"
        client.admin_service.events.append(happened("tick"))
        text = b""
        async with asyncio.timeout(5):
            while b"event: tick" not in text:
                text += await stream.content.readline()
        stream.close()


def test_idle_time_counts_from_the_end_of_the_last_request() -> None:
    """A connection that is gone is forgotten."""
    ended = Line.ended
    connections = Connections(idle=10.0)
    old, new = Line("old"), Line("new")
    connections.reap([old], now=0.0)
    connections.reap([old, new], now=9.0)
    connections.reap([old, new], now=10.0)
    assert ended == ["old"]
    connections.reap([new], now=18.0)
    assert ended == ["old"]
    connections.reap([new], now=19.0)
    assert ended == ["old", "new"]


@pytest.mark.parametrize("size", [MAX_LINE + 100, 200_000])
async def test_endless_headers_are_refused(client: Client, size: int) -> None:
    """They cannot fill the memory."""
    reader, writer = await opened(client)
    writer.write(
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * size + b"\r\n\r\n"
    )
    answer = await asyncio.wait_for(reader.read(100), 5)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    writer.close()


async def test_stopping_what_never_started_is_fine() -> None:
    """As when another part failed at start."""
    sock = bound()
    await ApiServer(make_app(FakeAdminService(), TokenAuthenticator()), sock).stop()
    sock.close()
