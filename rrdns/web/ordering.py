"""Answer the calls that order: drain, resume, force up, force down."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from aiohttp import web

from rrdns.core.model import Order
from rrdns.core.report import MemberReport, PoolReport
from rrdns.web import models, problems, views
from rrdns.web.auth import Caller
from rrdns.web.farm import Farm, OrderDone
from rrdns.web.guard import CallersHandler
from rrdns.web.looking import answer, find_member
from rrdns.web.problems import Trouble
from rrdns.web.requests import end_of, read_body
from rrdns.web.times import rfc3339


class Ordering:
    """The handlers of the calls that change what is answered."""

    def __init__(self, farm: Farm, clock: Callable[[], float]) -> None:
        self._farm = farm
        self._clock = clock
        # Between the look at If-Match and the order no other order may come.
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def order(self, kind: Order) -> CallersHandler:
        """Return the handler of one kind of order."""

        async def handler(request: web.Request, caller: Caller) -> web.StreamResponse:
            pool, report = find_member(self._farm, request)
            body = await read_body(request, models.OrderBody)
            until = end_of(body, self._clock())
            return await self._carry_out(
                request,
                lambda: self._farm.order(
                    pool.pool.name,
                    report.member.name,
                    kind,
                    by=caller.name,
                    reason=body.reason,
                    until=until,
                    force=body.force,
                ),
            )

        return handler

    async def resume(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """End the order in force for a member."""
        pool, report = find_member(self._farm, request)
        body = await read_body(request, models.ResumeBody)
        return await self._carry_out(
            request,
            lambda: self._farm.resume(
                pool.pool.name, report.member.name, by=caller.name, reason=body.reason
            ),
        )

    async def _carry_out(
        self, request: web.Request, act: Callable[[], Awaitable[OrderDone]]
    ) -> web.StreamResponse:
        async with self._one_at_a_time[request.match_info["pool"]]:
            _check_match(request, *find_member(self._farm, request))
            done = await act()
        pool = request.match_info["pool"]
        told = models.Done(
            member=views.member_view(pool, done.report, recent=0),
            safe_after=rfc3339(done.safe_after),
            changed=done.changed,
        )
        return answer(told, views.member_tag(done.report))


def _check_match(request: web.Request, pool: PoolReport, member: MemberReport) -> None:
    """Refuse an order that was made up on an outdated view (RFC 9110, section 13.1.1).

    The tag may be the member's or its pool's: who looks at the page sees the pool.

    Raises:
        Trouble: neither is as the caller saw it.
    """
    wanted = request.headers.getall("If-Match", [])
    if not wanted:
        return
    tags = {tag.strip() for field in wanted for tag in field.split(",")}
    now = views.member_tag(member)
    if not tags & {"*", now, views.pool_tag(pool)}:
        raise Trouble(problems.STALE, headers={"ETag": now})
