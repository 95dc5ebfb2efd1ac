"""All calls of the API as one table: what the router, the guard and OpenAPI are made from."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from rrdns.core.roles import Role
from rrdns.web.api import problems as p
from rrdns.web.api import request_models, response_models

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """One call: who may make it, what goes in, and what comes out."""

    id: str
    method: str
    path: str
    summary: str
    needs: Role | None  # None: open to everybody who can connect
    answer: type[BaseModel] | None = None
    media: str = JSON
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    problems: tuple[p.ProblemType, ...] = ()
    tagged: bool = False  # answers with an ETag
    notes: str = ""

    @property
    def kinds(self) -> tuple[p.ProblemType, ...]:
        """Return all kinds of problems that the call may answer with."""
        guarded = (p.UNAUTHORIZED, p.FORBIDDEN, p.TOO_MANY) if self.needs else ()
        asked = (p.INVALID,) if self.query else ()
        return (*self.problems, *guarded, *asked, p.INTERNAL)


_MEMBER = "/v1/pools/{pool}/members/{member}"
_NOBODY = (p.UNKNOWN_POOL, p.UNKNOWN_MEMBER)
_BODY = (p.BAD_JSON, p.TOO_SLOW, p.STALE, p.TOO_LARGE, p.NOT_JSON, p.INVALID)
_TAG_NOTE = (
    "The ETag names the order in force and the reason why a member is handed out or not, not "
    "its counters. Send it (or the pool's) as If-Match with an order, and the order is refused "
    "with 412 when somebody or something was quicker."
)


def _order(verb: str, summary: str, needs: Role, *, guarded: bool) -> ApiEndpoint:
    return ApiEndpoint(
        verb,
        "POST",
        f"{_MEMBER}/{verb}",
        summary,
        needs,
        answer=response_models.OrderResponse,
        body=request_models.OrderBody,
        problems=(*_NOBODY, *_BODY, *((p.LAST_MEMBER,) if guarded else ()), p.STORE_FAILED),
        tagged=True,
        notes="The same order twice is one: `changed` is false then.",
    )


def _together(verb: str, summary: str, needs: Role, *, guarded: bool) -> ApiEndpoint:
    return ApiEndpoint(
        f"{verb}-together",
        "POST",
        f"/v1/orders/{verb}",
        summary,
        needs,
        answer=response_models.GroupOrderResponse,
        body=request_models.GroupResumeBody if verb == "resume" else request_models.GroupOrderBody,
        problems=(
            *_NOBODY,
            p.AMBIGUOUS_MEMBER,
            *(kind for kind in _BODY if kind is not p.STALE),
            *((p.LAST_MEMBER,) if guarded else ()),
            p.STORE_FAILED,
        ),
        notes="For all that are meant or for none: the guard looks at them together, and they "
        "are kept together. Each gets a line of its own in the audit trail, with the order's id.",
    )


ENDPOINTS = (
    ApiEndpoint(
        "exporters",
        "GET",
        "/v1/exporters",
        "What other systems were told",
        Role.VIEWER,
        answer=response_models.Exporters,
    ),
    ApiEndpoint(
        "webhooks",
        "GET",
        "/v1/webhooks",
        "What webhooks were told of events, and what waits",
        Role.VIEWER,
        answer=response_models.Webhooks,
    ),
    ApiEndpoint(
        "me", "GET", "/v1/me", "Who is calling, and as what", Role.VIEWER, answer=response_models.Me
    ),
    ApiEndpoint(
        "pools",
        "GET",
        "/v1/pools",
        "All pools and their members",
        Role.VIEWER,
        answer=response_models.Pools,
        query=request_models.ListQuery,
    ),
    ApiEndpoint(
        "pool",
        "GET",
        "/v1/pools/{pool}",
        "One pool and its members",
        Role.VIEWER,
        answer=response_models.Pool,
        query=request_models.ShowQuery,
        problems=(p.UNKNOWN_POOL,),
        tagged=True,
        notes=_TAG_NOTE,
    ),
    ApiEndpoint(
        "member",
        "GET",
        _MEMBER,
        "One member: standing, order, why it is in or out",
        Role.VIEWER,
        answer=response_models.Member,
        query=request_models.ShowQuery,
        problems=_NOBODY,
        tagged=True,
        notes=_TAG_NOTE,
    ),
    ApiEndpoint(
        "explain",
        "GET",
        "/v1/explain",
        "Who is answered next, why others are not, and what would change it",
        Role.VIEWER,
        answer=response_models.Explanation,
        query=request_models.ExplainQuery,
        problems=(p.UNKNOWN_POOL,),
    ),
    _order(
        "drain", "Take a member out of the answers; it is probed on", Role.OPERATOR, guarded=True
    ),
    ApiEndpoint(
        "resume",
        "POST",
        f"{_MEMBER}/resume",
        "End the order in force for a member",
        Role.OPERATOR,
        answer=response_models.OrderResponse,
        body=request_models.ResumeBody,
        problems=(*_NOBODY, *_BODY, p.LAST_MEMBER, p.STORE_FAILED),
        tagged=True,
        notes="An order for later is cancelled, too. Without any, nothing changes, and `changed` "
        "is false.",
    ),
    _order("force-up", "Hand a member out whatever the probes say", Role.ADMIN, guarded=False),
    _order("force-down", "Keep a member out whatever the probes say", Role.ADMIN, guarded=True),
    _together("drain", "Take several members out of the answers", Role.OPERATOR, guarded=True),
    _together("resume", "End what is ordered for several members", Role.OPERATOR, guarded=False),
    _together("force-up", "Hand several members out", Role.ADMIN, guarded=False),
    _together("force-down", "Keep several members out", Role.ADMIN, guarded=True),
    ApiEndpoint(
        "audit",
        "GET",
        "/v1/audit",
        "Who did what, when and why; the newest first",
        Role.VIEWER,
        answer=response_models.Audit,
        query=request_models.AuditQuery,
        problems=(p.STORE_FAILED,),
    ),
    ApiEndpoint(
        "audit-export",
        "GET",
        "/v1/audit/export",
        "The whole audit trail as JSON lines, the newest first",
        Role.VIEWER,
        media="application/jsonl",
        query=request_models.AuditFilter,
        problems=(p.STORE_FAILED,),
    ),
    ApiEndpoint(
        "events",
        "GET",
        "/v1/events",
        "What happens, as server-sent events",
        Role.VIEWER,
        media="text/event-stream",
        problems=(p.BAD_REQUEST,),
        notes="With Last-Event-ID the events since then come first; a `gap` event says that some "
        "are not known any more, so that everything should be read anew.",
    ),
    ApiEndpoint(
        "openapi", "GET", "/v1/openapi.json", "This document", None, media="application/json"
    ),
    ApiEndpoint(
        "liveness",
        "GET",
        "/healthz",
        "The control process works",
        None,
        answer=response_models.Liveness,
    ),
    ApiEndpoint(
        "readiness",
        "GET",
        "/readyz",
        "Targets are served; 503 with the alarms when a pool is all down or a worker is missing",
        None,
        answer=response_models.Readiness,
    ),
    ApiEndpoint(
        "metrics",
        "GET",
        "/metrics",
        "For Prometheus",
        None,
        media="text/plain",
    ),
    ApiEndpoint(
        "problem",
        "GET",
        "/problems/{kind}",
        "What a kind of problem means",
        None,
        media="text/plain",
        problems=(p.NOT_FOUND,),
    ),
)
