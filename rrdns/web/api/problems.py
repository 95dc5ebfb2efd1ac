"""Turn errors into problem documents (RFC 9457).

`type` is a stable path that scripts may compare. `GET` it to read its meaning.
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
    """A type of problem, by the name that scripts compare."""

    name: str  # the last part of `type`
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """Return the URI reference of the type (RFC 9457, section 3.1.1)."""
        return f"/problems/{self.name}"


BAD_JSON = ProblemType("bad-json", 400, "Not JSON", "The body is not JSON in UTF-8.")
BAD_REQUEST = ProblemType("bad-request", 400, "Bad request", "The request is not valid HTTP.")
UNAUTHORIZED = ProblemType(
    "unauthorized", 401, "Unauthorized", "The bearer token is missing or wrong."
)
FORBIDDEN = ProblemType("forbidden", 403, "Forbidden", "The token's role does not allow this call.")
WRONG_HOST = ProblemType(
    "wrong-host",
    403,
    "Wrong host name",
    "Without tokens, rrdns serves localhost and addresses only, against DNS rebinding.",
)
NOT_FOUND = ProblemType("not-found", 404, "Not found", "The path does not exist.")
UNKNOWN_POOL = ProblemType("unknown-pool", 404, "Unknown pool", "The config has no such pool.")
UNKNOWN_MEMBER = ProblemType(
    "unknown-member", 404, "Unknown member", "The pool has no such member."
)
WRONG_METHOD = ProblemType(
    "wrong-method", 405, "Method not allowed", "The path has other methods; see Allow."
)
TOO_SLOW = ProblemType("too-slow", 408, "Request timeout", "The body did not arrive in time.")
REFUSED = ProblemType("refused", 409, "Refused", "The order would do harm.")
LAST_MEMBER = ProblemType(
    "last-member",
    409,
    "Too few members would be left",
    "The order would leave fewer members than `min_members`. `force` overrides that.",
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
    "Precondition failed",
    "The member changed since you read it (ETag mismatch). Read it again and retry.",
)
TOO_LARGE = ProblemType("too-large", 413, "Content too large", "The body is larger than any order.")
NOT_JSON = ProblemType(
    "wrong-media-type",
    415,
    "Unsupported media type",
    "Send `Content-Type: application/json`, even if the body is `{}` or empty.",
)
UNEXPECTED = ProblemType(
    "expectation", 417, "Expectation failed", "Only `Expect: 100-continue` is supported."
)
INVALID = ProblemType(
    "invalid", 422, "Invalid request", "The request has mistakes; all are listed."
)
TOO_MANY = ProblemType(
    "too-many", 429, "Too many requests", "Too many calls of this kind at once. Wait and retry."
)
INTERNAL = ProblemType(
    "internal", 500, "Internal error", "rrdns has a defect. Its log has the traceback."
)
STORE_FAILED = ProblemType(
    "store-failed", 503, "Store failed", "The store cannot be used. Nothing was changed."
)

KINDS: Mapping[str, ProblemType] = {
    kind.name: kind for kind in list(globals().values()) if isinstance(kind, ProblemType)
}
_OF_STATUS = {
    400: BAD_REQUEST,
    403: NOT_FOUND,  # aiohttp's status for a directory of static files
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
    """A request failed; the response is a problem document."""

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


def invalid(errors: Sequence[FieldError]) -> ApiError:
    """Return the error of a request with these mistakes."""
    count = len(errors)
    listed = "; ".join(
        f"{error.place}: {error.problem}" if error.place else error.problem for error in errors
    )
    return ApiError(INVALID, f"{count} mistake{'s' if count != 1 else ''}: {listed}", errors)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return pydantic's errors in words for a caller."""
    return [
        FieldError(
            place=".".join(str(part) for part in found["loc"]),
            problem=_problem(found),
        )
        for found in error.errors(include_url=False, include_input=False)
    ]


def _problem(found: ErrorDetails) -> str:
    message = _MESSAGES.get(found["type"])
    if message is None:
        return found["msg"].removeprefix("Value error, ")
    return message.format(**found.get("ctx", {}))


def from_error(error: RrdnsError) -> ApiError:
    """Return the API error of one of rrdns' errors; one without a problem type is a defect."""
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
    """Return the API error of anything that a handler raised."""
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
    structlog.get_logger().error(
        "an API call failed because of a defect", part="api", exc_info=error
    )
    return ApiError(INTERNAL)


_MESSAGES = {
    "extra_forbidden": "unknown field",
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
