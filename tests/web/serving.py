"""Serve a farm on a real socket for the length of a test, and call it."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from rrdns.core.roles import Role, Token
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.app import STATIC, make_app
from rrdns.web.metrics import ProbeMetrics
from rrdns.web.transport.server import ApiServer
from tests.web.fake_admin_service import FakeAdminService

MEMBER = "/v1/pools/boot/members/pvs-1"
SECRETS = {role: f"secret-of-{role}" for role in Role}
TOKENS = tuple(
    Token(f"{role}-token", role, hashlib.sha256(secret.encode()).hexdigest())
    for role, secret in SECRETS.items()
)


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    text: str
    json: Any

    @property
    def problem(self) -> str:
        """Return the type of the problem document that this must be."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.text
        assert self.json["status"] == self.status
        assert self.json["title"]
        assert self.json["detail"]
        kind: str = self.json["type"]
        return kind.removeprefix("/problems/")


@dataclass(slots=True)
class Client:
    """Calls the API; `slept` are the waits that wrong tokens cost."""

    session: aiohttp.ClientSession
    admin_service: FakeAdminService
    port: int
    server: ApiServer
    slept: list[float] = field(default_factory=list)

    async def call(self, method: str, path: str, role: Role | None = None, **kwargs: Any) -> Answer:
        """Make a call, with the token of a role."""
        headers = dict(kwargs.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {SECRETS[role]}"
        async with self.session.request(method, path, headers=headers, **kwargs) as response:
            text = await response.text()
            is_json = "json" in response.content_type and response.content_type[-1] != "l"
            body = await response.json(content_type=None) if is_json and text else None
            return Answer(response.status, response.headers, text, body)

    async def get(self, path: str, role: Role | None = None, **kwargs: Any) -> Answer:
        """Look."""
        return await self.call("GET", path, role, **kwargs)

    async def post(
        self, path: str, body: object = None, role: Role | None = None, **kwargs: Any
    ) -> Answer:
        """Order."""
        return await self.call("POST", path, role, json=body or {}, **kwargs)


def bound() -> socket.socket:
    """Return a socket on a free port of this host."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


@asynccontextmanager
async def serving(
    admin_service: FakeAdminService | None = None,
    tokens: Sequence[Token] = (),
    *,
    stats: ProbeMetrics | None = None,
    heartbeat: float = 10.0,
    static: Path = STATIC,
) -> AsyncIterator[Client]:
    """Serve a farm."""
    admin_service = admin_service or FakeAdminService()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    app = make_app(
        admin_service,
        TokenAuthenticator(tokens),
        stats,
        clock=lambda: admin_service.now,
        sleep=sleep,
        heartbeat=heartbeat,
        static=static,
    )
    sock = bound()
    port: int = sock.getsockname()[1]
    server = ApiServer(app, sock)
    await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield Client(session, admin_service, port, server, slept)
    await server.stop()
