"""Answer the calls that order: drain, resume, force up, force down, for one member or several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from aiohttp import web

from rrdns.core.model import OrderKind
from rrdns.core.orders.request import MemberSelector, OrderRequest, Target, select_members
from rrdns.core.status import MemberStatus, PoolStatus
from rrdns.web.api import problems, request_models, serialize
from rrdns.web.api.admin_service import AdminService, OrderResult
from rrdns.web.api.auth import Caller
from rrdns.web.api.middleware import CallerHandler
from rrdns.web.api.problems import ApiError
from rrdns.web.api.request_parsing import read_body, resolve_times
from rrdns.web.handlers.read import find_member, json_response
from rrdns.web.handlers.wait_until_safe import SafeWait


class OrderHandlers:
    """The handlers of the calls that change what is answered."""

    def __init__(self, admin_service: AdminService, clock: Callable[[], float]) -> None:
        self._admin_service = admin_service
        self._clock = clock
        self._patience = SafeWait(clock)
        # Between the look at If-Match and the order no other order may come.
        self._one_at_a_time = asyncio.Lock()

    def order(self, kind: OrderKind | None) -> CallerHandler:
        """Return the handler of one kind of order for one member; None ends what is ordered."""

        async def handler(request: web.Request, caller: Caller) -> web.StreamResponse:
            target = self._orphan(request) if kind is None else None
            if target is None:
                pool, report = find_member(self._admin_service, request)
                target = pool.pool.name, report.member.name
            body = await read_body(
                request, request_models.OrderBody if kind else request_models.ResumeBody
            )
            targets = (target,)
            command = self._command(kind, caller, targets, body)
            with self._patience.reserve(_waits(body)):
                done = await self._matched(request, command)
                done = await self._until_safe(request, done, waits=_waits(body))
            tag = serialize.member_tag(done.members[0].report)
            return json_response(serialize.done_view(done, self._clock()), tag)

        return handler

    def together(self, kind: OrderKind | None) -> CallerHandler:
        """Return the handler of one kind of order for several members."""

        async def handler(request: web.Request, caller: Caller) -> web.StreamResponse:
            body = await read_body(
                request, request_models.GroupOrderBody if kind else request_models.GroupResumeBody
            )
            command = self._command(kind, caller, self._chosen(kind, body), body)
            with self._patience.reserve(_waits(body)):
                async with self._one_at_a_time:
                    done = await self._admin_service.execute(command)
                done = await self._until_safe(request, done, waits=_waits(body))
            return json_response(serialize.together_view(done, self._clock()))

        return handler

    def _orphan(self, request: web.Request) -> Target | None:
        """Return whom a request names, if there is an order for him and no such member."""
        named = request.match_info["pool"], request.match_info["member"]
        return named if named in self._orphans() else None

    def _orphans(self, pool: str | None = None) -> list[Target]:
        """Return for whom there are orders, and no members."""
        orphaned = self._admin_service.service().orphaned
        return [(one.pool, one.member) for one in orphaned if pool in {None, one.pool}]

    def _chosen(
        self, kind: OrderKind | None, body: request_models.MemberSelection
    ) -> tuple[Target, ...]:
        orphans = self._orphans(body.pool) if kind is None else []
        if body.pool is None:
            pools = self._admin_service.pools()
        elif (
            body.pool in {report.pool.name for report in self._admin_service.pools()} or not orphans
        ):
            pools = (self._admin_service.pool(body.pool),)
        else:  # the config has no such pool any more
            pools = ()
        choice = MemberSelector(tuple(body.members or ()), body.tag, body.glob)
        return select_members((report.pool for report in pools), choice, orphans)

    def _command(
        self,
        kind: OrderKind | None,
        caller: Caller,
        targets: tuple[Target, ...],
        body: request_models.ResumeBody,
    ) -> OrderRequest:
        command = OrderRequest(targets, kind, caller.name, body.reason, dry_run=body.dry_run)
        if not isinstance(body, request_models.OrderBody):
            return command
        at, until = resolve_times(body, self._clock())
        lasting = body.lasting is not None
        return replace(command, at=at, until=until, lasting=lasting, force=body.force)

    async def _matched(self, request: web.Request, command: OrderRequest) -> OrderResult:
        async with self._one_at_a_time:
            if command.order is not None or self._orphan(request) is None:
                _check_match(request, *find_member(self._admin_service, request))
            return await self._admin_service.execute(command)

    async def _until_safe(
        self, request: web.Request, done: OrderResult, *, waits: bool
    ) -> OrderResult:
        """Return what was done as it is once all members are safe to work on, if that is asked."""
        if not waits:
            return done
        return await self._patience.until_safe(request, lambda: self._again(done))

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


def _check_match(request: web.Request, pool: PoolStatus, member: MemberStatus) -> None:
    """Refuse an order that was made up on an outdated view (RFC 9110, section 13.1.1).

    The tag may be the member's or its pool's: who looks at the page sees the pool.

    Raises:
        Trouble: neither is as the caller saw it.
    """
    wanted = request.headers.getall("If-Match", [])
    if not wanted:
        return
    tags = {tag.strip() for field in wanted for tag in field.split(",")}
    now = serialize.member_tag(member)
    if not tags & {"*", now, serialize.pool_tag(pool)}:
        raise ApiError(problems.STALE, headers={"ETag": now})
