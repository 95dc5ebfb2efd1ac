"""Answer the calls of machines that watch rrdns itself: health, metrics, the API's description."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from rrdns import __version__
from rrdns.web.api import problems, response_models, serialize
from rrdns.web.api.admin_service import AdminService
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.api.negotiation import accepted, compress, vary_by
from rrdns.web.api.openapi import describe
from rrdns.web.api.problems import ApiError
from rrdns.web.handlers.read import json_response
from rrdns.web.metrics import ProbeMetrics, exposition, scrape


class MonitoringHandlers:
    """The handlers of the calls that need no token."""

    def __init__(
        self,
        admin_service: AdminService,
        authenticator: TokenAuthenticator,
        stats: ProbeMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._admin_service = admin_service
        self._authenticator = authenticator
        self._stats = stats
        self._clock = clock

    async def liveness(self, _: web.Request) -> web.StreamResponse:
        """Tell that the event loop turns."""
        return json_response(response_models.Liveness(alive=True, version=__version__))

    async def readiness(self, _: web.Request) -> web.StreamResponse:
        """Tell whether targets are served, and every alarm."""
        readiness = serialize.readiness_view(self._admin_service.service())
        return json_response(readiness, status=200 if readiness.ready else 503)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Show Prometheus the metrics."""
        taken = scrape(
            self._admin_service.pools(), self._admin_service.service(), self._stats, self._clock()
        )
        accept = accepted(request.headers.getall("Accept", []))
        # Writing out thousands of pools takes a while, and probes must not wait for that.
        body, content_type = await asyncio.to_thread(exposition, taken, accept)
        response = web.Response(body=body, headers={"Content-Type": content_type})
        vary_by(response, "Accept")
        compress(request, response)
        return response

    async def openapi(self, _: web.Request) -> web.StreamResponse:
        """Describe the API."""
        return web.json_response(describe(with_tokens=not self._authenticator.allows_local))

    async def problem(self, request: web.Request) -> web.StreamResponse:
        """Tell what a kind of problem means."""
        kind = problems.KINDS.get(request.match_info["kind"])
        if kind is None:
            raise ApiError(problems.NOT_FOUND)
        return web.Response(text=f"{kind.title} ({kind.status})\n\n{kind.meaning}\n")
