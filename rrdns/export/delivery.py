"""Carry to one exporter what changed: the latest state only, one attempt at a time.

A change waits a moment for others. Whoever publishes hands it over and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from rrdns.core.status import ExporterStatus
from rrdns.export.exporter import Exporter
from rrdns.export.pool_view import PoolView, limited_to, with_first
from rrdns.export.retry import RETRY_FIRST, DeliveryEvent, RetryingTask
from rrdns.export.settings import ExporterSettingsBase

COALESCE = 0.1  # seconds that a change waits for others


class ExporterTask(RetryingTask[ExporterStatus]):
    """One exporter's task."""

    def __init__(
        self,
        exporter: Exporter,
        delivery: ExporterSettingsBase,
        on_event: Callable[[DeliveryEvent], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        status = ExporterStatus(
            name=delivery.name,
            kind=delivery.kind,
            pools=delivery.pools,
            pending=False,
            failing=False,
        )
        super().__init__(status, delivery.timeout, on_event, clock)
        self.delivery = delivery
        self._exporter = exporter
        self._latest: dict[str, PoolView] = {}
        self._exported: dict[str, PoolView] = {}  # as last composed, for the member that was first
        self._withheld: set[str] = set()
        self._changed = asyncio.Event()
        self._fresh_at: float | None = None  # loop time; None: nothing new
        self._trying = False
        self._tried_at = self._exported_at = self._rotated_at = 0.0  # on the loop's clock

    def update(self, views: Iterable[PoolView]) -> None:
        """Take the current state of pools; those of other exporters are ignored.

        A pool with no member in rotation is withheld: the members that were exported last may
        still boot a target, and an empty list boots none.
        """
        for view in views:
            if view.pool not in self.delivery.pools:
                continue
            if not view.in_rotation:
                self._withheld.add(view.pool)
                continue
            self._withheld.discard(view.pool)
            known = self._latest.get(view.pool)
            self._latest[view.pool] = view
            if not view.has_same_content(known):
                if self._fresh_at is None:
                    self._fresh_at = asyncio.get_running_loop().time()
                self._changed.set()

    def report(self) -> ExporterStatus:
        """Return the status of the exporter."""
        pending = self._trying or self._fresh_at is not None or self._status.failing
        return replace(self._status, pending=pending, next_try=self._next_try(), note=self._note())

    async def _until_due(self) -> None:
        clock = asyncio.get_running_loop().time
        while (due := self._due_at()) is None or due > clock():
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._changed.wait()

    def _due_at(self) -> float | None:
        """Return the loop time of the next attempt; None: when something new comes."""
        if any(pool not in self._latest for pool in self.delivery.pools):
            return None
        times: list[float] = []
        if self._fresh_at is not None:
            # Something new need not wait for a long back-off, but is no way round it either.
            soonest = self._tried_at + RETRY_FIRST if self._retry_at is not None else 0.0
            times.append(max(self._fresh_at + COALESCE, soonest))
        if self._retry_at is not None:
            times.append(self._retry_at)
        elif self._status.delivered:
            times += [self._rotated_at + self.delivery.rotation] if self._may_rotate() else []
            refresh = self.delivery.refresh_every
            times += [self._exported_at + refresh] if refresh else []
        return min(times, default=None)

    def _may_rotate(self) -> bool:
        several = any(len(view.in_rotation) > 1 for view in self._latest.values())
        return several and self.delivery.rotation > 0

    async def _deliver(self) -> None:
        views = self._compose()
        self._fresh_at, self._trying = None, True
        self._tried_at = asyncio.get_running_loop().time()
        try:
            said = await self._exporter.export(views)
        finally:
            self._trying = False
        self._exported_at = asyncio.get_running_loop().time()
        serial = max(view.serial for view in views)
        self._status = replace(self._status, serial=serial)
        self._succeeded(said, serial)

    def _compose(self) -> tuple[PoolView, ...]:
        now = asyncio.get_running_loop().time()
        turn = bool(self._exported) and self._may_rotate()
        turn = turn and now >= self._rotated_at + self.delivery.rotation
        if turn or not self._exported:
            self._rotated_at = now
        at, before = self._clock(), self._exported
        self._exported = {
            pool: with_first(replace(self._latest[pool], at=at), before.get(pool), turn=turn)
            for pool in self.delivery.pools
        }
        return tuple(limited_to(view, self.delivery.scope) for view in self._exported.values())

    def _next_try(self) -> float | None:
        return self._date_of(self._retry_at and (self._due_at() or self._retry_at))

    def _note(self) -> str:
        if not self._withheld:
            return ""
        pools = ", ".join(repr(pool) for pool in self.delivery.pools if pool in self._withheld)
        return f"no member of {pools} is in rotation; the last exported state is kept"
