"""Put the API together: every call of `web.contract` with its handler and its guard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from rrdns.core.model import Order
from rrdns.web.api import problems
from rrdns.web.api.admin_service import Farm
from rrdns.web.api.auth import Gate
from rrdns.web.api.endpoints import CALLS
from rrdns.web.api.middleware import (
    CallersHandler,
    Guard,
    Sleep,
    make_shield,
    meet_expectation,
    set_headers,
)
from rrdns.web.api.problems import Trouble
from rrdns.web.api.request_parsing import MOST_BODY
from rrdns.web.handlers.event_stream import HEARTBEAT, Watchtower
from rrdns.web.handlers.explain import Explaining
from rrdns.web.handlers.monitoring import Watching
from rrdns.web.handlers.orders import Ordering
from rrdns.web.handlers.read import Looking
from rrdns.web.metrics import Stats
from rrdns.web.transport.connections import CONNECTIONS, Connections, make_counter

STATIC = Path(__file__).with_name("static")


def make_app(
    farm: Farm,
    gate: Gate,
    stats: Stats | None = None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Sleep = asyncio.sleep,
    heartbeat: float = HEARTBEAT,
    static: Path = STATIC,
) -> web.Application:
    """Return the application that serves the API and, where it is installed, the page."""
    guard, connections = Guard(gate, sleep), Connections()
    tower = Watchtower(farm.events, heartbeat=heartbeat)
    app = web.Application(
        middlewares=[make_counter(connections), make_shield(guard)], client_max_size=MOST_BODY
    )
    app[CONNECTIONS] = connections
    _add_calls(
        app, guard, _guarded_handlers(farm, tower, clock), _open_handlers(farm, gate, stats, clock)
    )
    _add_page(app, static)
    app.on_response_prepare.append(set_headers)

    async def end_streams(_: web.Application) -> None:
        tower.close()

    app.on_shutdown.append(end_streams)
    return app


def _guarded_handlers(
    farm: Farm, tower: Watchtower, clock: Callable[[], float]
) -> dict[str, CallersHandler]:
    looking, ordering = Looking(farm), Ordering(farm, clock)
    return {
        "me": looking.me,
        "exporters": looking.exporters,
        "webhooks": looking.webhooks,
        "pools": looking.pools,
        "pool": looking.pool,
        "member": looking.member,
        "audit": looking.audit,
        "audit-export": looking.audit_export,
        "drain": ordering.order(Order.DRAIN),
        "force-up": ordering.order(Order.FORCE_UP),
        "force-down": ordering.order(Order.FORCE_DOWN),
        "resume": ordering.order(None),
        "drain-together": ordering.together(Order.DRAIN),
        "force-up-together": ordering.together(Order.FORCE_UP),
        "force-down-together": ordering.together(Order.FORCE_DOWN),
        "resume-together": ordering.together(None),
        "explain": Explaining(farm, clock).explain,
        "events": tower.serve,
    }


def _open_handlers(
    farm: Farm, gate: Gate, stats: Stats | None, clock: Callable[[], float]
) -> dict[str, Handler]:
    watching = Watching(farm, gate, stats or Stats(), clock)
    return {
        "liveness": watching.liveness,
        "readiness": watching.readiness,
        "metrics": watching.metrics,
        "openapi": watching.openapi,
        "problem": watching.problem,
    }


def _add_calls(
    app: web.Application,
    guard: Guard,
    guarded: dict[str, CallersHandler],
    unguarded: dict[str, Handler],
) -> None:
    """Route each call; one without a handler, or with the wrong sort, is an error at start."""
    for call in CALLS:
        needs = call.needs
        handler = unguarded[call.id] if needs is None else guard.for_role(needs, guarded[call.id])
        app.router.add_route(call.method, call.path, handler, expect_handler=meet_expectation)
        if call.method == "GET" and call.id != "events":
            app.router.add_route("HEAD", call.path, handler)


def _add_page(app: web.Application, static: Path) -> None:
    """Serve the page at `/` and what it is made of below `/static/`."""

    async def page(_: web.Request) -> web.StreamResponse:
        index = static / "index.html"
        if not await asyncio.to_thread(index.is_file):
            raise Trouble(problems.NOT_FOUND, "the page is not installed; the API is at /v1")
        return web.FileResponse(index)

    app.router.add_get("/", page)
    if static.is_dir():
        app.router.add_static("/static/", static)
