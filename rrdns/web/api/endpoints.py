"""The table of all endpoints, for the router, the role check and OpenAPI."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from rrdns.core.roles import Role
from rrdns.web.api import problems as p
from rrdns.web.api import request_models, response_models

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """One endpoint: its role, its request, its response and its problems."""

    id: str
    method: str
    path: str
    summary: str
    needs: Role | None  # None: without a token
    answer: type[BaseModel] | None = None
    media: str = JSON
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    problems: tuple[p.ProblemType, ...] = ()
    tagged: bool = False  # the response has an ETag
    notes: str = ""

    @property
    def kinds(self) -> tuple[p.ProblemType, ...]:
        """Return all types of problems that the endpoint may return."""
        guarded = (p.UNAUTHORIZED, p.FORBIDDEN, p.TOO_MANY) if self.needs else ()
        asked = (p.INVALID,) if self.query else ()
        return (*self.problems, *guarded, *asked, p.INTERNAL)


_MEMBER = "/v1/pools/{pool}/members/{member}"
_NOBODY = (p.UNKNOWN_POOL, p.UNKNOWN_MEMBER)
_BODY = (p.BAD_JSON, p.TOO_SLOW, p.STALE, p.TOO_LARGE, p.NOT_JSON, p.INVALID)
_TAG_NOTE = (
    "The ETag covers the order in force and why a member is in rotation or not, but not its "
    "counters. Send it (or the pool's) as If-Match with an order. rrdns then refuses the order "
    "with 412 if the member changed in the meantime."
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
        notes="If the same order is in force already, `changed` is false.",
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
        notes="The order is given to all selected members or to none. The guard checks them "
        "together. Each member gets an entry in the audit trail, with the order's id.",
    )


ENDPOINTS = (
    ApiEndpoint(
        "exporters",
        "GET",
        "/v1/exporters",
        "Exporters and their last results",
        Role.VIEWER,
        answer=response_models.Exporters,
    ),
    ApiEndpoint(
        "webhooks",
        "GET",
        "/v1/webhooks",
        "Webhooks, their last results and waiting events",
        Role.VIEWER,
        answer=response_models.Webhooks,
    ),
    ApiEndpoint(
        "me", "GET", "/v1/me", "Name and role of the caller", Role.VIEWER, answer=response_models.Me
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
        "One member: standing, order, why it is in rotation or not",
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
        "The next answers, why each member is in them or not, and what would change that",
        Role.VIEWER,
        answer=response_models.Explanation,
        query=request_models.ExplainQuery,
        problems=(p.UNKNOWN_POOL,),
    ),
    _order(
        "drain", "Take a member out of rotation; rrdns still probes it", Role.OPERATOR, guarded=True
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
        notes="This cancels an order for later, too. Without an order nothing changes, and "
        "`changed` is false.",
    ),
    _order(
        "force-up", "Keep a member in rotation, even if its probes fail", Role.ADMIN, guarded=False
    ),
    _order(
        "force-down",
        "Keep a member out of rotation, even if its probes pass",
        Role.ADMIN,
        guarded=True,
    ),
    _together("drain", "Take several members out of rotation", Role.OPERATOR, guarded=True),
    _together("resume", "End the orders for several members", Role.OPERATOR, guarded=False),
    _together("force-up", "Keep several members in rotation", Role.ADMIN, guarded=False),
    _together("force-down", "Keep several members out of rotation", Role.ADMIN, guarded=True),
    ApiEndpoint(
        "audit",
        "GET",
        "/v1/audit",
        "The audit trail, newest entry first",
        Role.VIEWER,
        answer=response_models.Audit,
        query=request_models.AuditQuery,
        problems=(p.STORE_FAILED,),
    ),
    ApiEndpoint(
        "audit-export",
        "GET",
        "/v1/audit/export",
        "The whole audit trail as JSON lines, newest entry first",
        Role.VIEWER,
        media="application/jsonl",
        query=request_models.AuditFilter,
        problems=(p.STORE_FAILED,),
    ),
    ApiEndpoint(
        "events",
        "GET",
        "/v1/events",
        "Events as they happen (server-sent events)",
        Role.VIEWER,
        media="text/event-stream",
        problems=(p.BAD_REQUEST,),
        notes="With Last-Event-ID, rrdns first sends the events since then. A `gap` event means "
        "that some are lost, so read the state again.",
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
        "rrdns serves targets; 503 with the alarms if a pool is down or a worker is missing",
        None,
        answer=response_models.Readiness,
    ),
    ApiEndpoint(
        "metrics",
        "GET",
        "/metrics",
        "Metrics for Prometheus",
        None,
        media="text/plain",
    ),
    ApiEndpoint(
        "problem",
        "GET",
        "/problems/{kind}",
        "The meaning of a problem type",
        None,
        media="text/plain",
        problems=(p.NOT_FOUND,),
    ),
)
