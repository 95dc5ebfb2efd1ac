"""TLS in front of the API: which files serve, and what strangers can do to the handshakes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.app import make_app
from rrdns.web.transport import server as api_server
from rrdns.web.transport.server import ApiServer
from rrdns.web.transport.tls import TlsConfigError, make_context
from tests.peers import peer
from tests.web.certificates import Pair, make_pair
from tests.web.fake_admin_service import FakeAdminService
from tests.web.serving import bound


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return a certificate and its key."""
    return make_pair(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def over_tls(pair: Pair) -> AsyncIterator[tuple[ApiServer, int]]:
    """Serve the API over TLS; give the server and its port."""
    sock = bound()
    port: int = sock.getsockname()[1]
    server = ApiServer(
        make_app(FakeAdminService(), TokenAuthenticator()), sock, make_context(*pair)
    )
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop()


async def status(port: int, pair: Pair) -> int:
    """Return the status of a call by a client that trusts one certificate only."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(pair.certificate)))
    url = f"https://localhost:{port}/healthz"
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
        return response.status


async def test_the_api_is_served_over_tls(pair: Pair) -> None:
    """HTTP in plain gets nothing there: no token goes over the line by mistake."""
    async with over_tls(pair) as (_, port):
        assert await status(port, pair) == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP" not in await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def test_a_new_certificate_serves_the_next_connection(pair: Pair, tmp_path: Path) -> None:
    """Those that are open go on with the one before."""
    other = make_pair(tmp_path, "other")
    trusting = ssl.create_default_context(cafile=str(pair.certificate))
    async with over_tls(pair) as (server, port):
        connector = aiohttp.TCPConnector(ssl=trusting, limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            for _ in range(2):
                async with session.get(f"https://localhost:{port}/healthz") as response:
                    assert response.status == 200
                server.tls = make_context(*other)
        assert await status(port, other) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status(port, pair)


def test_old_versions_of_tls_are_refused(pair: Pair) -> None:
    """RFC 9325: TLS 1.2 at least."""
    context = make_context(*pair)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", address]
        client = subprocess.Popen(
            [peer("openssl"), "s_client", *old],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        sock, _ = listening.accept()
        with sock, pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
            context.wrap_socket(sock, server_side=True)
    assert client.wait(5) != 0


async def test_handshakes_that_hang_end_one_after_the_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many are waited for; who speaks TLS gets in among them."""
    monkeypatch.setattr(api_server, "MAX_HANDSHAKES", 8)
    async with over_tls(pair) as (server, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        assert await status(port, pair) == 200
        assert len(server._coming) <= 8
        for reader, writer in silent[:12]:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        for _, writer in silent[12:]:
            writer.close()


async def test_a_handshake_has_its_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not make it longer."""
    monkeypatch.setattr(api_server, "HANDSHAKE", 0.3)
    async with over_tls(pair) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        for byte in b"\x16\x03\x01\x02":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        assert 0.25 < time.monotonic() - began < 3
        assert not server._coming
        writer.close()


async def test_handshakes_are_paced(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key signs for each, in the process that probes."""
    monkeypatch.setattr(api_server, "HANDSHAKE_INTERVAL", 0.05)
    async with over_tls(pair) as (_, port):
        began = time.monotonic()
        assert [await status(port, pair) for _ in range(5)] == [200] * 5
        assert time.monotonic() - began >= 4 * 0.05


def test_what_is_wrong_with_the_files_is_said_of_the_right_one(pair: Pair, tmp_path: Path) -> None:
    """With what would be right, where that is not plain."""
    other = make_pair(tmp_path, "other")
    garbage, encrypted = tmp_path / "garbage.pem", tmp_path / "encrypted.key"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    broken = tmp_path / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n")
    command = ["pkey", "-in", str(pair.key), "-aes128", "-passout", "pass:x", "-out"]
    subprocess.run([peer("openssl"), *command, str(encrypted)], check=True, capture_output=True)
    for certificate, key, setting, problem in (
        (tmp_path / "no", pair.key, "tls_cert", "does not exist"),
        (tmp_path, pair.key, "tls_cert", "is no file"),
        (pair.certificate, tmp_path / "no", "tls_key", "does not exist"),
        (pair.key, pair.key, "tls_cert", "has no certificate in PEM form"),
        (pair.certificate, pair.certificate, "tls_key", "has no private key in PEM form"),
        (pair.certificate, encrypted, "tls_key", "is encrypted"),
        (garbage, pair.key, "tls_cert", "cannot be read"),
        (pair.certificate, broken, "tls_key", "cannot be used"),
        (pair.certificate, other.key, "tls_key", "is not the key of the certificate"),
    ):
        with pytest.raises(TlsConfigError) as caught:
            make_context(certificate, key)
        assert caught.value.setting == setting
        assert problem in str(caught.value)


def test_a_file_that_may_not_be_read_is_told(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most often the key is root's alone."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(TlsConfigError, match="cannot be read: Permission denied"):
        make_context(*pair)
