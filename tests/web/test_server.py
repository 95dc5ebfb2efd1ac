"""The server on its socket: it stops quickly and cannot be used up."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from rrdns.web.api import make_app
from rrdns.web.auth import Gate
from rrdns.web.connections import CONNECTIONS, Connections
from rrdns.web.server import MOST_LINE, ApiServer
from tests.peers import peer
from tests.web.farm import FakeFarm
from tests.web.serving import Client, bound, serving


async def opened(client: Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a bare connection."""
    return await asyncio.open_connection("127.0.0.1", client.port)


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
        monkeypatch.setattr(client.farm.store, "audit", lambda *_: asyncio.sleep(60), raising=True)
        call = asyncio.create_task(client.get("/v1/audit"))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await client.server.stop()
        assert time.monotonic() - began < 1.5
        with pytest.raises(aiohttp.ClientError):
            await call


async def test_a_connection_too_many_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves makes room."""
    app = make_app(FakeFarm(), Gate())
    app[CONNECTIONS].most = 2
    sock = bound()
    server = ApiServer(app, sock)
    await server.start()
    address = sock.getsockname()
    first, second = [await asyncio.open_connection(*address) for _ in range(2)]
    await asyncio.sleep(0.01)
    await closed(*await asyncio.open_connection(*address))
    for _, writer in (first, second):
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    await server.stop()


async def test_a_connection_that_says_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the midst of its headers; one whose call is in work is left alone."""
    monkeypatch.setattr("rrdns.web.server.REAP_EVERY", 0.02)
    async with serving(heartbeat=0.02) as client:
        client.server._connections.idle = 0.05
        stream = await client.session.get("/v1/events")
        silent, dripping = await opened(client), await opened(client)
        dripping[1].write(b"GET /healthz HTTP/1.1\r\nHost: ")
        await closed(*silent)
        await closed(*dripping)
        assert await stream.content.readline() == b"retry: 2000\n"
        client.farm.events.publish("tick", {})
        text = b""
        async with asyncio.timeout(5):
            while b"event: tick" not in text:
                text += await stream.content.readline()
        stream.close()


def test_idle_time_counts_from_the_end_of_the_last_request() -> None:
    """A connection that is gone is forgotten."""
    ended: list[str] = []

    class Line(asyncio.Transport):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def abort(self) -> None:
            ended.append(self.name)

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


@pytest.mark.parametrize("size", [MOST_LINE + 100, 200_000])
async def test_endless_headers_are_refused(client: Client, size: int) -> None:
    """They cannot fill the memory."""
    reader, writer = await opened(client)
    writer.write(
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * size + b"\r\n\r\n"
    )
    answer = await asyncio.wait_for(reader.read(100), 5)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    writer.close()


def make_certificate(key: Path, certificate: Path) -> None:
    """Make a self-signed certificate for localhost."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = [peer("openssl"), "req", "-x509", *curve, *name, *files]
    subprocess.run(command, check=True, capture_output=True)


async def test_the_api_can_be_served_over_tls(tmp_path: Path) -> None:
    """With the context that it is given."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make_certificate(key, certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    sock = bound()
    server = ApiServer(make_app(FakeFarm(), Gate()), sock, context)
    await server.start()
    trusting = ssl.create_default_context(cafile=str(certificate))
    url = f"https://localhost:{sock.getsockname()[1]}/healthz"
    connector = aiohttp.TCPConnector(ssl=trusting)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
        assert response.status == 200
    await server.stop()


async def test_stopping_what_never_started_is_fine() -> None:
    """As when another part failed at start."""
    sock = bound()
    await ApiServer(make_app(FakeFarm(), Gate()), sock).stop()
    sock.close()
