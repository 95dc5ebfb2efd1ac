"""What strangers send to the API: it is refused, costs little, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import structlog

from rrdns.core.events import Event
from rrdns.core.roles import Role
from rrdns.web.api.request_models import MAX_AUDIT, MAX_NAMES, MAX_REASON
from rrdns.web.api.request_parsing import MAX_BODY
from rrdns.web.transport import connections as connections_module
from rrdns.web.transport.server import MAX_HEADERS, MAX_LINE
from tests.web.serving import MEMBER, SECRETS, TOKENS, Client, serving

ALIVE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HEAD = f"POST {MEMBER}/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SMUGGLED = f"POST {MEMBER}/drain HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def said(client: Client, message: bytes, patience: float = 5.0) -> bytes:
    """Return all that comes back on a connection of its own, until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(message)
    answer = b""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(patience):
            while piece := await reader.read(65536):
                answer += piece
    writer.close()
    return answer


def statuses(answer: bytes) -> list[int]:
    """Return the status of each answer in what came back."""
    lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    return [int(line.split()[1]) for line in lines]


# What is too much


async def test_a_body_has_a_bound(client: Client) -> None:
    """Announced, or in chunks without an end."""
    long = HEAD + f"Content-Length: {MAX_BODY + 1}\r\n\r\n"
    assert statuses(await said(client, long.encode() + b" " * (MAX_BODY + 1)))[0] == 413
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    endless = HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40
    assert statuses(await said(client, endless, 2.0))[0] == 413
    assert client.admin_service.orders == {}


async def test_a_body_that_claims_to_be_gigantic_costs_nothing(client: Client) -> None:
    """Nothing is kept ready for what is only announced."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = HEAD.encode() + b"Content-Length: 99999999999\r\n\r\n"
    assert statuses(await said(client, head + b"{", 2.0))[:1] in ([413], [])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


async def test_a_url_has_a_bound(client: Client) -> None:
    """The line as a whole."""
    line = b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert statuses(await said(client, line))[0] in {400, 414}


async def test_headers_have_a_bound_in_number(client: Client) -> None:
    """Each of them small; what was read of them is let go."""
    many = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_HEADERS + 1))
    answer = await said(client, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")
    assert statuses(answer) == [400]
    assert statuses(await said(client, ALIVE)) == [200]


async def test_a_compressed_body_is_not_unpacked(client: Client) -> None:
    """A few bytes could become gigabytes."""
    head = HEAD.encode() + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    assert statuses(await said(client, head, 1.0)) == [415]


async def test_requests_that_nobody_waits_for_do_not_pile_up(client: Client) -> None:
    """10,000 in one go are answered one after the other, as far as the answers are fetched."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10_000)
    await asyncio.sleep(0.3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await asyncio.sleep(0.3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    assert statuses(await said(client, ALIVE)) == [200]
    writer.transport.abort()
    del reader


async def test_who_stops_reading_a_stream_is_let_go(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export waits for its reader, but not for ever."""
    monkeypatch.setattr(connections_module, "WRITE_TIMEOUT", 0.2)
    page = (Event(0.0, "ops", "drain", reason="x" * 10_000, id=7),) * 20

    async def endless(*_: object) -> tuple[Event, ...]:
        return page

    monkeypatch.setattr(client.admin_service, "audit", endless)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
    writer.write(b"GET /v1/audit/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(10):
        while client.server._transports():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.02)
    with suppress(ConnectionError):
        assert not (await reader.read()).endswith(b"0\r\n\r\n")
    writer.close()


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (f"{MEMBER}/drain", {"reason": "x" * (MAX_REASON + 1)}, "reason"),
        ("/v1/orders/drain", {"members": ["pvs-1"] * (MAX_NAMES + 1)}, "members"),
    ],
)
async def test_an_order_has_bounds(client: Client, path: str, body: object, place: str) -> None:
    """More than any order needs is a mistake."""
    answer = await client.post(path, body)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert place in answer.text
    assert client.admin_service.orders == {}


async def test_a_page_of_the_trail_has_a_bound(client: Client) -> None:
    """Whoever wants it whole exports it, in a stream."""
    assert (await client.get(f"/v1/audit?limit={MAX_AUDIT}")).status == 200
    answer = await client.get(f"/v1/audit?limit={MAX_AUDIT + 1}")
    assert (answer.status, answer.problem) == (422, "invalid")


# What is wrong


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"5",
        b'"drain"',
        b"null",
        b'{"reason": 5}',
        b'{"reason": ["a"]}',
        b'{"reason": {"a": 1}}',
        b'{"force": "yes"}',
        b'{"force": 1}',
        b'{"for": true}',
        b'{"for": -1}',
        b'{"for": 1e400}',
        b'{"until": "yesterday"}',
        b'{"nonsense": 1}',
        b'{"reason": "a", "reason": 5}',
        b"{" * 5000,
        b'{"reason": ' + b"[" * 5000,
        b"\xff\xfe",
        b'{"reason": "\xff"}',
        b'{"for": NaN}',
    ],
)
async def test_wrong_types_are_named_and_nothing_is_ordered(client: Client, body: bytes) -> None:
    """Never a status of a defect, and never bent to fit."""
    with structlog.testing.capture_logs() as logs:
        headers = {"Content-Type": "application/json"}
        answer = await client.call("POST", f"{MEMBER}/drain", data=body, headers=headers)
    assert answer.status in {400, 422}
    assert answer.problem in {"bad-json", "invalid"}
    assert client.admin_service.orders == {}
    assert logs == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/%2e%2e/auth.py",
        "/static/%252e%252e/auth.py",
        "/static//etc/passwd",
        "/static/....//....//etc/passwd",
        "/static/..\\..\\auth.py",
        "/static/api.js%00.png",
        "/static/%00",
        "/static/",
        "/static",
        "//etc/passwd",
        "/v1/pools/../../healthz",
        "/v1/pools/%2e%2e%2f%2e%2e%2fhealthz",
        "/v1/pools/boot%2fmembers%2fpvs-1",
        "/v1/pools/boot/members/pvs-1%2f..%2fpvs-2",
        "/v1/pools/%00",
        "/v1/pools/" + "a" * 4000,
        "/V1/POOLS",
        "/v1/pools;x=1",
    ],
)
async def test_no_path_leads_anywhere_else(client: Client, path: str) -> None:
    """What is sent is sent as it stands; nothing is found, or the request is no request."""
    answer = await said(
        client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert statuses(answer)[0] in {400, 403, 404}
    assert b"root:" not in answer
    assert b"hmac" not in answer


@pytest.mark.parametrize("name", ["a%0d%0aX-Evil:%201", "a%0aX-Evil:%201", "%0d%0a%0d%0a<script>"])
async def test_no_text_of_a_caller_becomes_a_header(client: Client, name: str) -> None:
    """Neither from a path nor from a query, a header or a body."""
    for target in (f"/v1/pools/{name}", f"/v1/explain?pool={name}", f"/problems/{name}"):
        answer = await said(
            client,
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
        )
        head, _, _ = answer.partition(b"\r\n\r\n")
        assert b"x-evil" not in head.lower()
        assert b"<script>" not in head
    body = json.dumps({"reason": "a\r\nX-Evil: 1"}).encode()
    headers = {"Content-Type": "application/json"}
    told = await client.call("POST", f"{MEMBER}/drain", data=body, headers=headers)
    assert "X-Evil" not in told.headers


@pytest.mark.parametrize(
    "attack",
    [
        # two lengths, or a length beside chunks (RFC 9112, section 6.3)
        HEAD + "Content-Length: 2\r\nContent-Length: 70\r\n\r\n{}" + SMUGGLED,
        HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding: identity, chunked, x\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + "Content-Length: +2\r\n\r\n{}" + SMUGGLED,
        HEAD + "Content-Length: 0x2\r\n\r\n{}" + SMUGGLED,
        HEAD + "Content-Length: 2, 2\r\n\r\n{}" + SMUGGLED,
        HEAD + "Content-Length: \r\n\r\n" + SMUGGLED,
        # chunks that are none
        HEAD + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n" + SMUGGLED,
        # lines that end or go on as they must not
        HEAD.replace("Host: localhost", "Host: localhost\rX: y") + "\r\n" + SMUGGLED,
        HEAD + " folded: yes\r\n\r\n" + SMUGGLED,
        HEAD + "X\0: y\r\n\r\n" + SMUGGLED,
        HEAD + ": no name\r\n\r\n" + SMUGGLED,
        HEAD.replace("HTTP/1.1", "HTTP/9.9") + "\r\n" + SMUGGLED,
    ],
)
async def test_no_request_hides_in_another(attack: str) -> None:
    """What a proxy and we could read differently is refused, and ends the connection."""
    async with serving() as client:
        answer = await said(client, attack.encode("latin-1"), 1.0)
        assert statuses(answer)[:1] in ([400], [415], [])
        assert len(statuses(answer)) <= 1
        assert client.admin_service.orders == {}


# What nobody may know


@pytest.fixture
async def strict() -> AsyncIterator[Client]:
    """Serve with tokens."""
    async with serving(tokens=TOKENS) as client:
        yield client


@pytest.mark.parametrize(
    "request_head",
    [
        "GET /v1/pools HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n",
        "GET /v1/pools HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\x00\r\n",
        "GET /v1/pools HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {token}\r\n",
        "GET /v1/pools HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token} wrong\r\n",
        "GET /v1/pools HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n",
        "GET /v1/pools?token={token} HTTP/1.1\r\nHost: x\r\n",
        "GET /{token} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n",
        "BREW /{token} HTTP/1.1\r\nHost: x\r\nContent-Length: {token}\r\n",
    ],
)
async def test_no_token_is_logged(
    strict: Client,
    request_head: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Right or wrong, in its place or out of it, in a sound request or a broken one."""
    caplog.set_level(logging.DEBUG)
    for token in (SECRETS[Role.ADMIN], "a-wrong-token"):
        with structlog.testing.capture_logs() as logs:
            head = request_head.format(token=token) + "Connection: close\r\n\r\n"
            await said(strict, head.encode("latin-1"), 1.0)
        out, err = capfd.readouterr()
        assert not any(token in text for text in (str(logs), caplog.text, out, err))


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00", b"\0" * 5000, b"SSH-2.0-x\r\n", b"\r\n"])
async def test_what_is_no_http_costs_no_line_in_the_log(
    client: Client,
    junk: bytes,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A stranger could fill the disk with it."""
    caplog.set_level(logging.INFO)
    with structlog.testing.capture_logs() as logs:
        await said(client, junk * 3, 0.3)
    out, err = capfd.readouterr()
    assert (logs, caplog.text, out, err) == ([], "", "", "")
