"""Who gets through to what, what else is refused, and how every answer looks."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
import structlog

from rrdns.core.roles import Role
from rrdns.errors import ConfigInvalid
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.api.endpoints import ENDPOINTS
from rrdns.web.api.problems import KINDS
from rrdns.web.app import make_app
from rrdns.web.transport.server import ApiServer
from tests.web.fake_admin_service import FakeAdminService
from tests.web.serving import MEMBER, TOKENS, Client, serving

MATRIX = [
    ("GET", "/v1/pools", Role.VIEWER),
    ("GET", "/v1/pools/boot", Role.VIEWER),
    ("GET", MEMBER, Role.VIEWER),
    ("GET", "/v1/me", Role.VIEWER),
    ("GET", "/v1/exporters", Role.VIEWER),
    ("GET", "/v1/webhooks", Role.VIEWER),
    ("GET", "/v1/audit", Role.VIEWER),
    ("GET", "/v1/audit/export", Role.VIEWER),
    ("GET", "/v1/events", Role.VIEWER),
    ("GET", "/v1/explain", Role.VIEWER),
    ("POST", f"{MEMBER}/drain", Role.OPERATOR),
    ("POST", f"{MEMBER}/resume", Role.OPERATOR),
    ("POST", f"{MEMBER}/force-up", Role.ADMIN),
    ("POST", f"{MEMBER}/force-down", Role.ADMIN),
    ("POST", "/v1/orders/drain", Role.OPERATOR),
    ("POST", "/v1/orders/resume", Role.OPERATOR),
    ("POST", "/v1/orders/force-up", Role.ADMIN),
    ("POST", "/v1/orders/force-down", Role.ADMIN),
    ("GET", "/v1/openapi.json", None),
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/metrics", None),
    ("GET", "/problems/invalid", None),
]


async def status(client: Client, method: str, path: str, role: Role | None) -> int:
    """Return the status of a call; streams are not read."""
    headers = {"Content-Type": "application/json"} if method == "POST" else {}
    if role is not None:
        headers["Authorization"] = f"Bearer secret-of-{role}"
    body = b'{"tag": "rack-1", "dry_run": true}' if path.startswith("/v1/orders/") else None
    async with client.session.request(method, path, headers=headers, data=body) as response:
        return response.status


def test_the_matrix_below_has_every_call() -> None:
    """A new call needs a row."""
    names = {"{pool}": "boot", "{member}": "pvs-1", "{kind}": "invalid"}
    paths = set()
    for call in ENDPOINTS:
        path = call.path
        for name, value in names.items():
            path = path.replace(name, value)
        paths.add((call.method, path, call.needs))
    assert paths == set(MATRIX)


@pytest.mark.parametrize(("method", "path", "needs"), MATRIX)
async def test_each_call_takes_its_role(
    strict: Client, method: str, path: str, needs: Role | None
) -> None:
    """200 with the role or a higher one, 403 with a lower one, 401 without a token."""
    expected: dict[Role | None, int] = {None: 200 if needs is None else 401}
    for role in Role:
        expected[role] = 200 if needs is None or role.rank >= needs.rank else 403
    found = {role: await status(strict, method, path, role) for role in (None, *Role)}
    assert found == expected


@pytest.mark.parametrize(("method", "path", "needs"), MATRIX)
async def test_without_tokens_this_host_may_do_everything(
    client: Client, method: str, path: str, needs: Role | None
) -> None:
    """As the admin that the trail calls local."""
    assert await status(client, method, path, None) == 200


async def test_a_role_that_is_too_low_is_told_so(strict: Client) -> None:
    """By name."""
    answer = await strict.post(f"{MEMBER}/drain", role=Role.VIEWER)
    assert (answer.status, answer.problem) == (403, "forbidden")
    assert answer.json["detail"] == "'viewer-token' is a viewer; this needs an operator"
    assert strict.admin_service.orders == {}


async def test_an_order_is_signed_with_the_token_s_name(strict: Client) -> None:
    """In the override and in the trail."""
    answer = await strict.post(f"{MEMBER}/drain", role=Role.OPERATOR)
    assert answer.json["member"]["override"]["by"] == "operator-token"


async def test_without_a_token_the_caller_is_told_to_send_one(strict: Client) -> None:
    """As RFC 6750 has it, and without a wait."""
    for headers in ({}, {"Authorization": "Basic b3BzOm9wcw=="}, {"Authorization": "Bearer "}):
        answer = await strict.get("/v1/pools", headers=headers)
        assert (answer.status, answer.problem) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="rrdns"'
    assert strict.slept == []


async def test_guessing_gets_slower_and_does_not_lock_out_the_right_token(strict: Client) -> None:
    """An admin behind the same proxy as the guesser gets in at once."""
    for _ in range(5):
        answer = await strict.get("/v1/pools", headers={"Authorization": "bearer wrong"})
        assert (answer.status, answer.problem) == (401, "unauthorized")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert strict.slept == [0.1, 0.2, 0.4, 0.8]
    assert (await strict.get("/v1/pools", Role.VIEWER)).status == 200
    assert len(strict.slept) == 4


async def test_only_so_many_guesses_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told to come back later."""
    monkeypatch.setattr("rrdns.web.api.middleware.MAX_WAITING", 0)
    async with serving(tokens=TOKENS) as client:
        headers = {"Authorization": "Bearer wrong"}
        await client.get("/v1/pools", headers=headers)
        answer = await client.get("/v1/pools", headers=headers)
        assert (answer.status, answer.problem) == (429, "too-many")
        assert answer.headers["Retry-After"] == "1"


async def test_without_tokens_another_site_s_name_is_refused(client: Client) -> None:
    """A page could point its own name at this host (DNS rebinding); every path is closed."""
    for path in ("/v1/pools", "/healthz", "/nowhere"):
        answer = await client.get(path, headers={"Host": "evil.example:8053"})
        assert (answer.status, answer.problem) == (403, "wrong-host")
    assert (await client.get("/healthz", headers={"Host": "localhost:1"})).status == 200


async def test_with_tokens_any_name_will_do(strict: Client) -> None:
    """A page cannot know the token."""
    answer = await strict.get("/v1/pools", Role.VIEWER, headers={"Host": "rrdns.example"})
    assert answer.status == 200


async def test_without_tokens_only_this_host_may_call(tmp_path: Path) -> None:
    """A caller without an address, as behind a Unix socket, is nobody."""
    path = str(tmp_path / "api.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        server = ApiServer(make_app(FakeAdminService(), TokenAuthenticator()), sock)
        await server.start()
        connector = aiohttp.UnixConnector(path)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://localhost/v1/pools") as response,
        ):
            assert response.status == 403
            assert (await response.json(content_type=None))["type"] == "/problems/forbidden"
        await server.stop()


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1", "/v1/", "/v1/pools/", "/v1/pools/a/b", "/static"]
)
async def test_nothing_at_a_path_is_a_problem_document(client: Client, path: str) -> None:
    """Not a page of aiohttp's."""
    answer = await client.get(path)
    assert (answer.status, answer.problem) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v1/pools", "GET,HEAD"),
        ("DELETE", MEMBER, "GET,HEAD"),
        ("GET", f"{MEMBER}/drain", "POST"),
        ("OPTIONS", f"{MEMBER}/drain", "POST"),
        ("PUT", "/metrics", "GET,HEAD"),
        ("HEAD", "/v1/events", "GET"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: Client, method: str, path: str, allow: str
) -> None:
    """And no other site's page is told that it may."""
    answer = await client.call(method, path, headers={"Origin": "https://evil.example"})
    assert (answer.status, answer.headers["Allow"]) == (405, allow)
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_a_defect_is_logged_and_tells_the_caller_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The details are for the log."""

    def broken() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(client.admin_service, "pools", broken)
    with structlog.testing.capture_logs() as logs:
        answer = await client.get("/v1/pools")
    assert (answer.status, answer.problem) == (500, "internal")
    assert "secret" not in answer.text
    (line,) = logs
    assert (line["log_level"], str(line["exc_info"])) == ("error", "a secret")


@pytest.mark.parametrize("path", ["/v1/pools", "/nowhere", "/metrics", "/", "/v1/events"])
async def test_every_answer_is_safe_to_show(client: Client, path: str) -> None:
    """Errors and streams as well."""
    async with client.session.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert response.headers["Server"] == "rrdns"
        assert response.headers["Cache-Control"] == ("no-cache" if path == "/" else "no-store")


async def test_only_known_expectations_are_met(client: Client) -> None:
    """A client such as curl waits for 100-continue before it sends a large body."""
    headers = {"Expect": "miracles", "Content-Type": "application/json"}
    answer = await client.call("POST", f"{MEMBER}/drain", data=b"{}", headers=headers)
    assert (answer.status, answer.problem) == (417, "expectation")
    assert client.admin_service.orders == {}
    answer = await client.post(f"{MEMBER}/drain", expect100=True)
    assert answer.status == 200


async def test_an_error_without_a_kind_is_a_defect(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new error needs a kind; until then it tells nothing."""

    def broken() -> None:
        raise ConfigInvalid("rrdns.toml", ())

    monkeypatch.setattr(client.admin_service, "pools", broken)
    with structlog.testing.capture_logs() as logs:
        answer = await client.get("/v1/pools")
    assert (answer.status, answer.problem, len(logs)) == (500, "internal", 1)


async def test_what_a_problem_means_can_be_looked_up(client: Client) -> None:
    """Under the very path that its type is."""
    for kind in KINDS.values():
        answer = await client.get(kind.type)
        assert answer.status == 200
        assert kind.meaning in answer.text
    assert (await client.get("/problems/nope")).problem == "not-found"


async def test_the_page_is_served_where_it_is_installed(tmp_path: Path) -> None:
    """With what it is made of, and with a policy that lets nothing else in."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "page.js").write_text("1")
    async with serving(static=tmp_path) as client:
        page, script = await client.get("/"), await client.get("/static/page.js")
        assert (page.status, page.text) == (200, "<!doctype html>")
        assert (script.status, script.text) == (200, "1")
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        integrations = await client.get("/static/%2e%2e/%2e%2e/etc/passwd")
        assert integrations.problem == "not-found"
    async with serving(static=tmp_path / "none") as client:
        assert (await client.get("/")).problem == "not-found"


async def test_a_body_that_does_not_come_in_is_given_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told, and the connection is not kept."""
    monkeypatch.setattr("rrdns.web.api.request_parsing.BODY_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        f"POST {MEMBER}/drain HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{".encode()
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b" 408 " in head
    assert b"Connection: close" in head
    writer.close()
    await writer.wait_closed()
