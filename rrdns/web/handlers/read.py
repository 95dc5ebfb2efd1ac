"""Answer the calls that only look: pools, members, the audit trail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web
from pydantic import BaseModel

from rrdns.core.events import Event
from rrdns.core.status import MemberStatus, PoolStatus
from rrdns.errors import UnknownMember
from rrdns.web.api import request_models, response_models, serialize
from rrdns.web.api.admin_service import AdminService
from rrdns.web.api.auth import Caller
from rrdns.web.api.negotiation import compress
from rrdns.web.api.request_parsing import read_query
from rrdns.web.transport.connections import write_with_timeout

EXPORT_PAGE = 500  # audit entries read at once


class ReadHandlers:
    """The handlers of the calls that change nothing."""

    def __init__(self, admin_service: AdminService) -> None:
        self._admin_service = admin_service

    async def exporters(self, _: web.Request, _caller: Caller) -> web.StreamResponse:
        """Tell how the exporters fare."""
        return json_response(
            response_models.Exporters.model_validate(self._admin_service.service())
        )

    async def webhooks(self, _: web.Request, _caller: Caller) -> web.StreamResponse:
        """Tell how the webhooks fare."""
        return json_response(response_models.Webhooks.model_validate(self._admin_service.service()))

    async def me(self, _: web.Request, caller: Caller) -> web.StreamResponse:
        """Tell callers who they are."""
        return json_response(response_models.Me.model_validate(caller))

    async def pools(self, request: web.Request, _: Caller) -> web.StreamResponse:
        """Show all pools."""
        asked = read_query(request, request_models.ListQuery).recent
        reports = self._admin_service.pools()
        # Thousands of pools take a while, and probes must not wait for that.
        body = await asyncio.to_thread(_render, reports, _recent_of(reports, asked))
        response = web.Response(body=body, content_type="application/json", charset="utf-8")
        compress(request, response)
        return response

    async def pool(self, request: web.Request, _: Caller) -> web.StreamResponse:
        """Show one pool."""
        recent = read_query(request, request_models.ShowQuery).recent
        report = self._admin_service.pool(request.match_info["pool"])
        return json_response(serialize.pool_view(report, recent), serialize.pool_tag(report))

    async def member(self, request: web.Request, _: Caller) -> web.StreamResponse:
        """Show one member."""
        recent = read_query(request, request_models.ShowQuery).recent
        pool, report = find_member(self._admin_service, request)
        view = serialize.member_view(pool.pool.name, report, recent)
        return json_response(view, serialize.member_tag(report))

    async def audit(self, request: web.Request, _: Caller) -> web.StreamResponse:
        """Show a page of the audit trail."""
        asked = read_query(request, request_models.AuditQuery)
        # One more than asked for tells whether there is a next page.
        found = await self._admin_service.audit(
            asked.limit + 1, asked.before, asked.pool, asked.member
        )
        shown = found[: asked.limit]
        more = shown[-1].id if len(found) > len(shown) else None
        page = response_models.Audit.model_validate({"entries": shown, "next": more})
        return json_response(page)

    async def audit_export(self, request: web.Request, _: Caller) -> web.StreamResponse:
        """Stream the audit trail as JSON lines."""
        asked = read_query(request, request_models.AuditFilter)
        # A store that fails now is told as a problem; once the stream runs it can only break off.
        page = await self._page(asked, None)
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/jsonl",
                "Content-Disposition": 'attachment; filename="rrdns-audit.jsonl"',
            }
        )
        compress(request, response)
        await response.prepare(request)
        try:
            while page:
                await write_with_timeout(response, _lines(page))
                page = await self._page(asked, page[-1].id)
            await response.write_eof()
        except TimeoutError:  # who reads no more gets no end that looks like one
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _page(
        self, asked: request_models.AuditFilter, before: int | None
    ) -> tuple[Event, ...]:
        return await self._admin_service.audit(EXPORT_PAGE, before, asked.pool, asked.member)


def _recent_of(reports: Sequence[PoolStatus], asked: int | None) -> int:
    """Return how many recent probes a list shows: with many members they would be most of it."""
    if asked is not None:
        return asked
    many = sum(len(report.members) for report in reports) > response_models.MAX_RECENT_MEMBERS
    return 0 if many else response_models.RECENT


def _render(reports: Sequence[PoolStatus], recent: int) -> bytes:
    """Write a list of pools, one at a time: each holds up other threads while it is written."""
    pools = [serialize.pool_view(report, recent).model_dump_json() for report in reports]
    return f'{{"pools":[{",".join(pools)}]}}'.encode()


def find_member(
    admin_service: AdminService, request: web.Request
) -> tuple[PoolStatus, MemberStatus]:
    """Return the pool and the member that a request's path names.

    Raises:
        UnknownPool, UnknownMember: there is no such one.
    """
    pool = admin_service.pool(request.match_info["pool"])
    name = request.match_info["member"]
    for report in pool.members:
        if report.member.name == name:
            return pool, report
    raise UnknownMember(name, pool.pool.name)


def json_response(model: BaseModel, tag: str | None = None, status: int = 200) -> web.Response:
    """Return a model as the body of an answer."""
    response = _json(model.model_dump_json(), status)
    if tag is not None:
        response.headers["ETag"] = tag
    return response


def _json(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json")


def _lines(entries: tuple[Event, ...]) -> bytes:
    models = map(response_models.AuditEntry.model_validate, entries)
    return "".join(f"{model.model_dump_json()}\n" for model in models).encode()
