"""Keep a caller waiting until members are safe to work on: not without end, and not too many.

The order is carried out before the wait begins. A caller that goes away ends its own wait
and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from rrdns.web.api import problems
from rrdns.web.api.admin_service import OrderResult
from rrdns.web.api.problems import ApiError
from rrdns.web.api.request_models import MAX_WAIT
from rrdns.web.api.serialize import is_safe

MAX_WAITERS = 64
POLL_INTERVAL = 0.5  # seconds: whether the caller is still there, and the members still out


class SafeWait:
    """Lets callers wait."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiters = 0

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Keep a place for a caller that will wait.

        Raises:
            ApiError: no place is free, so the order is not executed.
        """
        if self._waiters >= MAX_WAITERS:
            headers = {"Retry-After": "5"}
            raise ApiError(problems.TOO_MANY, "too many callers wait", headers=headers)
        self._waiters += 1
        try:
            yield
        finally:
            self._waiters -= 1

    async def until_safe(
        self, request: web.Request, look: Callable[[], OrderResult]
    ) -> OrderResult:
        """Return what `look` sees when all members are safe, or will not be in time."""
        end = asyncio.get_running_loop().time() + MAX_WAIT
        while True:
            done, now = look(), self._clock()
            left = max(one.safe_after for one in done.members) - now
            is_back = any(one.report.why.in_rotation for one in done.members)
            if is_back or all(is_safe(one, now) for one in done.members):
                return done
            patience = end - asyncio.get_running_loop().time()
            if patience <= 0 or request.transport is None or request.transport.is_closing():
                return done
            await asyncio.sleep(min(max(left, 0.001), patience, POLL_INTERVAL))
