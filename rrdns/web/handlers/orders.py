"""Answer the calls that order: drain, resume, force up, force down, for one member or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from aiohttp import web

from rrdns.core.model import OrderKind
from rrdns.core.orders.request import MemberSelector, OrderRequest, Target
from rrdns.core.status import MemberStatus, PoolStatus
from rrdns.errors import VersionMismatch
from rrdns.web.api import problems, request_models, serialize
from rrdns.web.api.admin_service import AdminService, OrderResult
from rrdns.web.api.auth import Caller
from rrdns.web.api.middleware import CallerHandler
from rrdns.web.api.problems import ApiError
from rrdns.web.api.request_parsing import read_body, resolve_times
from rrdns.web.handlers.read import json_response
from rrdns.web.handlers.wait_until_safe import SafeWait


class OrderHandlers:
    """The handlers of the calls that change what is answered."""

    def __init__(self, admin_service: AdminService, clock: Callable[[], float]) -> None:
        self._admin_service = admin_service
        self._clock = clock
        self._safe_wait = SafeWait(clock)

    def order(self, kind: OrderKind | None) -> CallerHandler:
        """Return the handler of one kind of order for one member; None ends what is ordered."""

        async def handler(request: web.Request, caller: Caller) -> web.StreamResponse:
            model = request_models.OrderBody if kind else request_models.ResumeBody
            body = await read_body(request, model)
            order = replace(
                self._order_request(kind, caller, body),
                targets=((request.match_info["pool"], request.match_info["member"]),),
                expected_versions=_expected_versions(request),
            )
            done = await self._execute(request, order, waits=_waits(body))
            tag = serialize.member_tag(done.members[0].report)
            return json_response(serialize.done_view(done, self._clock()), tag)

        return handler

    def together(self, kind: OrderKind | None) -> CallerHandler:
        """Return the handler of one kind of order for several members."""

        async def handler(request: web.Request, caller: Caller) -> web.StreamResponse:
            model = request_models.GroupOrderBody if kind else request_models.GroupResumeBody
            body = await read_body(request, model)
            selector = MemberSelector(
                tuple(body.members or ()), body.tag, body.glob, body.pool, body.one_pool
            )
            order = replace(self._order_request(kind, caller, body), selector=selector)
            done = await self._execute(request, order, waits=_waits(body))
            return json_response(serialize.together_view(done, self._clock()))

        return handler

    def _order_request(
        self, kind: OrderKind | None, caller: Caller, body: request_models.ResumeBody
    ) -> OrderRequest:
        order = OrderRequest((), kind, caller.name, body.reason, dry_run=body.dry_run)
        if not isinstance(body, request_models.OrderBody):
            return order
        order = replace(order, force=body.force)
        if body.at is None and body.until is None and body.lasting is None:
            return order
        at, until = resolve_times(body, self._clock())
        return replace(order, at=at, until=until, lasting=body.lasting is not None)

    async def _execute(
        self, request: web.Request, order: OrderRequest, *, waits: bool
    ) -> OrderResult:
        if waits:
            return await self._execute_and_wait(request, order)
        try:
            return await self._admin_service.execute(order)
        except VersionMismatch as error:
            headers = {"ETag": serialize.entity_tag(error.version)}
            raise ApiError(problems.STALE, headers=headers) from error

    async def _execute_and_wait(self, request: web.Request, order: OrderRequest) -> OrderResult:
        """Return what was done once all members are safe to work on, or will not be in time."""
        with self._safe_wait.reserve():
            done = await self._execute(request, order, waits=False)
            return await self._safe_wait.until_safe(request, lambda: self._again(done))

    def _again(self, done: OrderResult) -> OrderResult:
        """Return what was done as of now: somebody may have brought a member back."""
        now = self._clock()
        reports = _by_target([self._admin_service.pool(pool) for pool in done.remaining])
        members = []
        for one in done.members:
            report = reports.get((one.pool, one.report.member.name))
            if report is not None:  # else a reload has taken it away
                members.append(replace(one, report=report, safe_after=report.safe_after or now))
        return replace(done, members=tuple(members) or done.members)


def _waits(body: request_models.ResumeBody) -> bool:
    return isinstance(body, request_models.OrderBody) and body.wait


def _by_target(pools: Sequence[PoolStatus]) -> dict[Target, MemberStatus]:
    return {
        (pool.pool.name, report.member.name): report for pool in pools for report in pool.members
    }


def _expected_versions(request: web.Request) -> frozenset[str] | None:
    """Return the versions in If-Match (RFC 9110, section 13.1.1); None: any will do.

    A tag may be the member's or its pool's: the page shows the pool.
    """
    fields = request.headers.getall("If-Match", [])
    tags = {tag.strip() for field in fields for tag in field.split(",")}
    if not fields or "*" in tags:
        return None
    # A weak tag (W/"...") never matches here, as it keeps its prefix.
    return frozenset(tag[1:-1] if tag.startswith('"') else tag for tag in tags)
