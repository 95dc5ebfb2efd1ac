"""Say what went wrong as RFC 9457 problem documents, whatever went wrong and wherever.

`type` is a stable path that scripts may compare; `GET` it to read what it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rrdns.errors import (
    AmbiguousMember,
    NotFound,
    Refused,
    RrdnsError,
    StoreFailed,
    TooFewMembers,
    UnknownMember,
    UnknownPool,
)
from rrdns.web.api.response_models import FieldError, Problem

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem, as scripts know it."""

    name: str  # the last part of `type`
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """Return the URI reference that names the kind (RFC 9457, section 3.1.1)."""
        return f"/problems/{self.name}"


BAD_JSON = ProblemType("bad-json", 400, "Not JSON", "The body cannot be read as JSON in UTF-8.")
BAD_REQUEST = ProblemType(
    "bad-request", 400, "Bad request", "The request breaks the rules of HTTP."
)
UNAUTHORIZED = ProblemType(
    "unauthorized", 401, "Who are you?", "The call needs a bearer token, or has a wrong one."
)
FORBIDDEN = ProblemType(
    "forbidden", 403, "Not allowed", "The token's role does not allow this call."
)
WRONG_HOST = ProblemType(
    "wrong-host",
    403,
    "Wrong host name",
    "Without tokens only calls to localhost or an address are served (against DNS rebinding).",
)
NOT_FOUND = ProblemType("not-found", 404, "Not found", "There is nothing at this path.")
UNKNOWN_POOL = ProblemType("unknown-pool", 404, "Unknown pool", "No such pool is configured.")
UNKNOWN_MEMBER = ProblemType(
    "unknown-member", 404, "Unknown member", "The pool has no such member."
)
WRONG_METHOD = ProblemType(
    "wrong-method", 405, "Wrong method", "The path knows other methods; see Allow."
)
TOO_SLOW = ProblemType("too-slow", 408, "Too slow", "The body did not come in time.")
REFUSED = ProblemType("refused", 409, "Refused", "Carrying out the order would do harm.")
LAST_MEMBER = ProblemType(
    "last-member",
    409,
    "Too few members would be left",
    "The order would leave fewer members than must stay; `force` overrides that.",
)
AMBIGUOUS_MEMBER = ProblemType(
    "ambiguous-member",
    409,
    "Ambiguous member",
    "Several pools have a member of that name, and `one_pool` is true; give `pool`.",
)
STALE = ProblemType(
    "stale",
    412,
    "Somebody was quicker",
    "What If-Match names is no longer so; look again, then decide.",
)
TOO_LARGE = ProblemType("too-large", 413, "Too large", "The body is larger than any order can be.")
NOT_JSON = ProblemType(
    "wrong-media-type",
    415,
    "Wrong media type",
    "Send `Content-Type: application/json`, and `{}` or nothing where there is nothing to say.",
)
UNEXPECTED = ProblemType(
    "expectation", 417, "Too much expected", "Of Expect only 100-continue is known."
)
INVALID = ProblemType("invalid", 422, "Not understood", "The request has mistakes; all are listed.")
TOO_MANY = ProblemType(
    "too-many", 429, "Too many", "Too many calls of this kind at once; wait and retry."
)
INTERNAL = ProblemType("internal", 500, "Defect", "rrdns has a defect; its log says more.")
STORE_FAILED = ProblemType(
    "store-failed", 503, "Store failed", "The store cannot be used; nothing was changed."
)

KINDS: Mapping[str, ProblemType] = {
    kind.name: kind for kind in list(globals().values()) if isinstance(kind, ProblemType)
}
_OF_STATUS = {
    400: BAD_REQUEST,
    403: NOT_FOUND,  # aiohttp's word for a directory of static files
    404: NOT_FOUND,
    405: WRONG_METHOD,
    413: TOO_LARGE,
}
_OF_ERROR: tuple[tuple[type[RrdnsError], ProblemType], ...] = (
    (UnknownPool, UNKNOWN_POOL),
    (UnknownMember, UNKNOWN_MEMBER),
    (NotFound, NOT_FOUND),
    (TooFewMembers, LAST_MEMBER),
    (AmbiguousMember, AMBIGUOUS_MEMBER),
    (Refused, REFUSED),
    (StoreFailed, STORE_FAILED),
)


@dataclass
class ApiError(Exception):
    """A request cannot be served; the answer is a problem document."""

    kind: ProblemType
    detail: str = ""
    field_errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)  # extension members

    def __str__(self) -> str:
        return self.detail or self.kind.meaning

    def response(self) -> web.Response:
        """Return the problem document."""
        problem = Problem(
            type=self.kind.type,
            title=self.kind.title,
            status=self.kind.status,
            detail=str(self),
            errors=list(self.field_errors) or None,
        )
        return web.json_response(
            {**problem.model_dump(exclude_none=True), **self.facts},
            status=self.kind.status,
            headers=self.headers,
            content_type=CONTENT_TYPE,
        )


def invalid(slips: Sequence[FieldError]) -> ApiError:
    """Return the trouble of a request with these mistakes."""
    count = len(slips)
    said = "; ".join(
        f"{slip.place}: {slip.problem}" if slip.place else slip.problem for slip in slips
    )
    return ApiError(INVALID, f"{count} mistake{'s' if count != 1 else ''}: {said}", slips)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return pydantic's findings as mistakes that a caller can mend."""
    return [
        FieldError(
            place=".".join(str(part) for part in found["loc"]),
            problem=_problem(found),
        )
        for found in error.errors(include_url=False, include_input=False)
    ]


def _problem(found: ErrorDetails) -> str:
    said = _SAID.get(found["type"])
    if said is None:
        return found["msg"].removeprefix("Value error, ")
    return said.format(**found.get("ctx", {}))


def from_error(error: RrdnsError) -> ApiError:
    """Return one of rrdns' own errors as a trouble; a kind without a place is a defect."""
    for base, kind in _OF_ERROR:
        if isinstance(error, base):
            facts: dict[str, Any] = {}
            if isinstance(error, TooFewMembers):
                facts = {
                    "pool": error.pool,
                    "remaining": len(error.remaining),
                    "staying": list(error.remaining),
                    "min_members": error.required,
                }
            elif isinstance(error, AmbiguousMember):
                facts = {"pools": list(error.pools)}
            headers = {"Retry-After": "5"} if kind is STORE_FAILED else {}
            return ApiError(kind, str(error), headers=headers, facts=facts)
    return _defect(error)


def from_exception(error: Exception) -> ApiError:
    """Return anything that a handler raised as a trouble."""
    match error:
        case ApiError():
            return error
        case RrdnsError():
            return from_error(error)
        case web.HTTPException():
            return _of_http(error)
        case _:
            return _defect(error)


def _of_http(error: web.HTTPException) -> ApiError:
    kind = _OF_STATUS.get(error.status)
    if kind is None:
        kind = ProblemType(
            f"http-{error.status}", error.status, error.reason, error.text or error.reason
        )
    allow = error.headers.get("Allow")
    return ApiError(kind, headers={"Allow": allow} if allow else {})


def _defect(error: Exception) -> ApiError:
    structlog.get_logger().error("a call to the API hit a defect", part="api", exc_info=error)
    return ApiError(INTERNAL)


_SAID = {
    "extra_forbidden": "there is no such setting",
    "model_type": "the body must be a JSON object",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "too_long": "must be a list of at most {max_length}, not {actual_length}",
}
