"""How much of rrdns a drain passes through: who follows one by hand must not get tired."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from types import FrameType

import aiohttp
import pytest

from rrdns.core.model import OrderKind
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.app import make_app
from rrdns.web.transport.server import ApiServer
from tests.service.control_harness import Office
from tests.web.serving import bound

MAX_STAYS = 60  # consecutive calls inside one module are one stay


class Trace:
    """The calls inside rrdns, by module and function."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self._frames: list[FrameType] = []
        self.calls = Counter[str]()

    def see(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call (a profile function, see sys.setprofile)."""
        name = str(frame.f_globals.get("__name__", ""))
        if event != "call" or not name.startswith("rrdns."):
            return
        if frame.f_code.co_flags & inspect.CO_COROUTINE:  # one that goes on is not called again
            if frame in self._frames:
                return
            self._frames.append(frame)
        # Comprehensions, and what `dataclass` makes, are no functions that somebody reads.
        if frame.f_code.co_name.startswith("<") or frame.f_code.co_filename == "<string>":
            return
        self.calls[f"{name}.{frame.f_code.co_name}"] += 1
        if not self.modules or self.modules[-1] != name:
            self.modules.append(name)


@pytest.mark.parametrize("path", ["/v1/pools/boot/members/pvs-1/drain", "/v1/orders/drain"])
async def test_a_drain_computes_everything_once(path: str) -> None:
    """From the request to the response; eligibility three times at most, one report."""
    office = Office()
    await office.open()
    sock = bound()
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    app = make_app(office.admin_service, TokenAuthenticator(()), clock=office.clock)
    server = ApiServer(app, sock)
    await server.start()
    trace = Trace()
    async with aiohttp.ClientSession(url) as session:
        await drain(session, path, "pvs-2")  # what is imported and cached at first does not count
        sys.setprofile(trace.see)
        try:
            await drain(session, path, "pvs-1")
        finally:
            sys.setprofile(None)
    await server.stop()
    order = office.states.override("boot", "pvs-1")
    assert order is not None
    assert order.order is OrderKind.DRAIN
    assert trace.calls["rrdns.core.health.eligibility.select"] <= 3
    assert trace.calls["rrdns.service.health.status_view.member_status"] == 1
    assert trace.calls["rrdns.service.health.status_view.pool_status"] == 0
    assert trace.calls["rrdns.service.publish.worker_feed.firsts"] == 1
    assert len(trace.modules) <= MAX_STAYS, trace.modules


async def drain(session: aiohttp.ClientSession, path: str, member: str) -> None:
    """Give the order, by the path of a member or for several."""
    body = {"members": [member], "pool": "boot"} if path.startswith("/v1/orders") else {}
    async with session.post(path.replace("pvs-1", member), json=body) as response:
        await response.read()
        assert response.status == 200
