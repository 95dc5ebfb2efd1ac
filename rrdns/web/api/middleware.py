"""Authenticate each request before its handler, and add headers and problem documents."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler, Middleware

from rrdns.core.roles import Role
from rrdns.web.api import problems
from rrdns.web.api.auth import Caller, TokenAuthenticator
from rrdns.web.api.problems import ApiError

CallerHandler = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
Sleep = Callable[[float], Awaitable[None]]

MAX_WAITING = 64  # delayed responses to wrong tokens at once

_REALM = 'Bearer realm="rrdns"'
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "rrdns",  # without versions, which would help an attacker
}


class RoleGuard:
    """The check that a caller is authenticated, and has the role that a call needs."""

    def __init__(self, authenticator: TokenAuthenticator, sleep: Sleep = asyncio.sleep) -> None:
        self._authenticator = authenticator
        self._sleep = sleep
        self._waiting = 0

    def require_role(self, needed: Role, handler: CallerHandler) -> Handler:
        """Return a handler that refuses callers without the role."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            caller = await self._caller(request)
            if caller.role.rank < needed.rank:
                raise ApiError(
                    problems.FORBIDDEN,
                    f"{caller.name!r} is {_article(caller.role)}; this needs {_article(needed)}",
                )
            return await handler(request, caller)

        return guarded

    def check_host(self, request: web.Request) -> None:
        """Refuse a request for a host name that rrdns does not serve.

        Raises:
            ApiError: The host name is not served.
        """
        host = request.headers.get("Host", "")
        if not self._authenticator.is_allowed_host(host):
            raise ApiError(problems.WRONG_HOST)

    async def _caller(self, request: web.Request) -> Caller:
        source = request.remote or ""
        bearer = _bearer(request)
        caller = self._authenticator.authenticate(bearer, source)
        if caller is not None:
            return caller
        if self._authenticator.allows_local:
            raise ApiError(
                problems.FORBIDDEN, "no tokens are configured, so only this host may call"
            )
        if bearer is None:
            raise ApiError(
                problems.UNAUTHORIZED,
                "send a token: Authorization: Bearer ...",
                headers={"WWW-Authenticate": _REALM},
            )
        await self._hold_back(self._authenticator.failure_delay(source))
        raise ApiError(
            problems.UNAUTHORIZED,
            "unknown token",
            headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'},
        )

    async def _hold_back(self, seconds: float) -> None:
        if seconds <= 0.0:
            return
        if self._waiting >= MAX_WAITING:
            retry = {"Retry-After": str(math.ceil(seconds))}
            raise ApiError(problems.TOO_MANY, "too many wrong tokens", headers=retry)
        self._waiting += 1
        try:
            await self._sleep(seconds)
        finally:
            self._waiting -= 1


def error_middleware(guard: RoleGuard) -> Middleware:
    """Return the middleware that turns every exception into a problem document."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            guard.check_host(request)
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - the outermost place; a defect is logged there
            return problems.from_exception(error).response()

    return middleware


async def handle_expect(request: web.Request) -> web.StreamResponse | None:
    """Send 100 Continue to a caller that waits for it (RFC 9110, section 10.1.1).

    aiohttp calls this before any middleware.
    """
    if request.version < HttpVersion11:
        return None
    if request.headers.get("Expect", "").lower() != "100-continue":
        return ApiError(problems.UNEXPECTED).response()
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # else aiohttp assumes that the response has begun
    return None


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the security and cache headers to every response."""
    for name, value in _HEADERS.items():
        response.headers[name] = value
    is_page = request.path == "/" or request.path.startswith("/static/")
    response.headers["Content-Security-Policy"] = _PAGE_POLICY if is_page else _API_POLICY
    response.headers["Cache-Control"] = "no-cache" if is_page else "no-store"


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _article(role: Role) -> str:
    return f"{'a' if role is Role.VIEWER else 'an'} {role}"
