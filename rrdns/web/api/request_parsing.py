"""Parse requests, and name every mistake in them."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from rrdns.timeformat import MAX_SECONDS, start_of
from rrdns.web.api import problems
from rrdns.web.api.problems import ApiError, field_errors, invalid
from rrdns.web.api.request_models import OrderBody
from rrdns.web.api.response_models import FieldError

M = TypeVar("M", bound=BaseModel)

MAX_BODY = 64 * 1024  # bytes
BODY_TIMEOUT = 10.0  # seconds for a body to come in


async def read_body(request: web.Request, model: type[M]) -> M:
    """Return the body of a request; an empty one asks for nothing in particular.

    Raises:
        ApiError: the body is not JSON, or has mistakes.
    """
    # A page of another site can make a browser POST, but not with this media type unless
    # we allow it (Fetch, "CORS-safelisted request-header"), which we never do.
    if request.content_type != "application/json":
        raise ApiError(problems.NOT_JSON)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiError(problems.NOT_JSON, "send the body without a Content-Encoding")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await request.read()
    except TimeoutError as error:
        raise ApiError(problems.TOO_SLOW, headers={"Connection": "close"}) from error
    return _checked(_parsed(body), model)


def read_query(request: web.Request, model: type[M]) -> M:
    """Return the query of a request.

    Raises:
        ApiError: it has mistakes.
    """
    twice = {name for name in request.query if len(request.query.getall(name)) > 1}
    if twice:
        raise invalid([FieldError(place=name, problem="is given twice") for name in sorted(twice)])
    return _checked(dict(request.query), model)


def resolve_times(order: OrderBody, now: float) -> tuple[float | None, float | None]:
    """Return when an order begins (None: now) and ends (None: it does not), in Unix seconds.

    Raises:
        ApiError: that makes no sense, or is absurdly far away.
    """
    at = None if order.at is None else start_of(order.at, now)
    begins = now if at is None else max(at, now)
    if begins > now + MAX_SECONDS:
        raise invalid([FieldError(place="at", problem="is too far away")])
    if order.lasting is not None:
        return at, begins + order.lasting
    if order.until is not None and not begins < order.until <= begins + MAX_SECONDS:
        word = "too far away" if order.until > begins else "in the past"
        late = order.until > now and order.until <= begins
        raise invalid(
            [FieldError(place="until", problem="is before `at`" if late else f"is {word}")]
        )
    return at, order.until


def _parsed(body: bytes) -> object:
    if not body.strip():
        return {}
    try:
        value: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise ApiError(problems.BAD_JSON, f"the body is not JSON: {error}") from error
    return value


def _checked(value: object, model: type[M]) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(field_errors(error)) from error
