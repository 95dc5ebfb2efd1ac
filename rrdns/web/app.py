"""Put the API together: every call of `web.contract` with its handler and its guard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from rrdns.core.model import OrderKind
from rrdns.web.api import problems
from rrdns.web.api.admin_service import AdminService
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.api.endpoints import ENDPOINTS
from rrdns.web.api.middleware import (
    CallerHandler,
    RoleGuard,
    Sleep,
    error_middleware,
    handle_expect,
    set_headers,
)
from rrdns.web.api.problems import ApiError
from rrdns.web.api.request_parsing import MAX_BODY
from rrdns.web.handlers.event_stream import HEARTBEAT, EventStream
from rrdns.web.handlers.explain import ExplainHandler
from rrdns.web.handlers.monitoring import MonitoringHandlers
from rrdns.web.handlers.orders import OrderHandlers
from rrdns.web.handlers.read import ReadHandlers
from rrdns.web.metrics import ProbeMetrics
from rrdns.web.transport.connections import CONNECTIONS, Connections, busy_middleware

STATIC = Path(__file__).with_name("static")


def make_app(
    admin_service: AdminService,
    authenticator: TokenAuthenticator,
    stats: ProbeMetrics | None = None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Sleep = asyncio.sleep,
    heartbeat: float = HEARTBEAT,
    static: Path = STATIC,
) -> web.Application:
    """Return the application that serves the API and, where it is installed, the page."""
    guard, connections = RoleGuard(authenticator, sleep), Connections()
    tower = EventStream(admin_service.events, heartbeat=heartbeat)
    app = web.Application(
        middlewares=[busy_middleware(connections), error_middleware(guard)],
        client_max_size=MAX_BODY,
    )
    app[CONNECTIONS] = connections
    _add_calls(
        app,
        guard,
        _guarded_handlers(admin_service, tower, clock),
        _open_handlers(admin_service, authenticator, stats, clock),
    )
    _add_page(app, static)
    app.on_response_prepare.append(set_headers)

    async def end_streams(_: web.Application) -> None:
        tower.close()

    app.on_shutdown.append(end_streams)
    return app


def _guarded_handlers(
    admin_service: AdminService, tower: EventStream, clock: Callable[[], float]
) -> dict[str, CallerHandler]:
    looking, ordering = ReadHandlers(admin_service), OrderHandlers(admin_service, clock)
    return {
        "me": looking.me,
        "exporters": looking.exporters,
        "webhooks": looking.webhooks,
        "pools": looking.pools,
        "pool": looking.pool,
        "member": looking.member,
        "audit": looking.audit,
        "audit-export": looking.audit_export,
        "drain": ordering.order(OrderKind.DRAIN),
        "force-up": ordering.order(OrderKind.FORCE_UP),
        "force-down": ordering.order(OrderKind.FORCE_DOWN),
        "resume": ordering.order(None),
        "drain-together": ordering.together(OrderKind.DRAIN),
        "force-up-together": ordering.together(OrderKind.FORCE_UP),
        "force-down-together": ordering.together(OrderKind.FORCE_DOWN),
        "resume-together": ordering.together(None),
        "explain": ExplainHandler(admin_service, clock).explain,
        "events": tower.serve,
    }


def _open_handlers(
    admin_service: AdminService,
    authenticator: TokenAuthenticator,
    stats: ProbeMetrics | None,
    clock: Callable[[], float],
) -> dict[str, Handler]:
    watching = MonitoringHandlers(admin_service, authenticator, stats or ProbeMetrics(), clock)
    return {
        "liveness": watching.liveness,
        "readiness": watching.readiness,
        "metrics": watching.metrics,
        "openapi": watching.openapi,
        "problem": watching.problem,
    }


def _add_calls(
    app: web.Application,
    guard: RoleGuard,
    guarded: dict[str, CallerHandler],
    unguarded: dict[str, Handler],
) -> None:
    """Route each call; one without a handler, or with the wrong sort, is an error at start."""
    for call in ENDPOINTS:
        needs = call.needs
        handler = (
            unguarded[call.id] if needs is None else guard.require_role(needs, guarded[call.id])
        )
        app.router.add_route(call.method, call.path, handler, expect_handler=handle_expect)
        if call.method == "GET" and call.id != "events":
            app.router.add_route("HEAD", call.path, handler)


def _add_page(app: web.Application, static: Path) -> None:
    """Serve the page at `/` and what it is made of below `/static/`."""

    async def page(_: web.Request) -> web.StreamResponse:
        index = static / "index.html"
        if not await asyncio.to_thread(index.is_file):
            raise ApiError(problems.NOT_FOUND, "the page is not installed; the API is at /v1")
        return web.FileResponse(index)

    app.router.add_get("/", page)
    if static.is_dir():
        app.router.add_static("/static/", static)
