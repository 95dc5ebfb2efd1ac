"""A real API on a real socket for the client verbs, and the command line itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from rrdns.cli.main import app
from tests.web.fake_admin_service import FakeAdminService, pool
from tests.web.serving import bound, serving

Run = Callable[..., Result]


@pytest.fixture
def rrdns(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command line, with nothing of this machine's environment."""
    for name in ("RRDNS_URL", "RRDNS_TOKEN", "RRDNS_CA_FILE", "RRDNS_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: object, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(app, [str(arg) for arg in args], env=env)

    return run


@dataclass
class Api:
    """The API of a farm in memory."""

    farm: FakeAdminService
    url: str


@contextmanager
def in_a_thread(serve: Callable[[], AbstractAsyncContextManager[int]]) -> Iterator[str]:
    """Run a server in a loop of its own, since the verbs block; return its URL."""
    ready = threading.Event()
    facts: dict[str, Any] = {}

    async def until_the_end() -> None:
        facts["loop"], facts["ending"] = asyncio.get_running_loop(), asyncio.Event()
        async with serve() as facts["port"]:
            ready.set()
            await facts["ending"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(until_the_end()))
    thread.start()
    try:
        assert ready.wait(10), "the server did not start"
        yield f"http://127.0.0.1:{facts['port']}"
    finally:
        facts["loop"].call_soon_threadsafe(facts["ending"].set)
        thread.join(10)


@contextmanager
def api_of(farm: FakeAdminService, **kwargs: Any) -> Iterator[Api]:
    """Serve a farm through the real API."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with serving(farm, **kwargs) as client:
            yield client.port

    with in_a_thread(serve) as url:
        yield Api(farm, url)


@contextmanager
def answering(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Iterator[str]:
    """Serve whatever a handler says on every path: what is no rrdns."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        runner = web.ServerRunner(web.Server(handler))  # type: ignore[arg-type]  # a web.Request is a BaseRequest
        await runner.setup()
        sock = bound()
        port: int = sock.getsockname()[1]
        await web.SockSite(runner, sock).start()
        yield port
        await runner.cleanup()

    with in_a_thread(serve) as url:
        yield url


@pytest.fixture
def farm() -> FakeAdminService:
    """Return a farm with one pool of three members, as of now."""
    farm = FakeAdminService()
    farm.now = time.time()
    return farm


@pytest.fixture
def two_pools() -> FakeAdminService:
    """Return a farm whose pools share two names of members."""
    farm = FakeAdminService(pool("boot"), pool("login", members=2))
    farm.now = time.time()
    return farm


@pytest.fixture
def api(farm: FakeAdminService) -> Iterator[Api]:
    """Serve the farm, without tokens."""
    with api_of(farm) as api:
        yield api
