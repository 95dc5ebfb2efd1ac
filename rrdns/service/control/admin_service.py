"""The admin service of the control process: reports, orders, the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rrdns import __version__
from rrdns.core.events import EVERYTHING_DOWN, Event
from rrdns.core.status import ExporterStatus, PoolStatus, ServiceStatus, WebhookStatus
from rrdns.service.control.context import ControlContext
from rrdns.service.control.orders import OrderExecutor
from rrdns.service.health.status_view import pool_status
from rrdns.web.event_buffer import EventBuffer


class ControlAdminService:
    """Implements the admin service for the handlers of the API."""

    def __init__(
        self,
        context: ControlContext,
        orders: OrderExecutor,
        exporters: Callable[[], tuple[ExporterStatus, ...]] = tuple,
        webhooks: Callable[[], tuple[WebhookStatus, ...]] = tuple,
        dropped_lines: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self.execute = orders.execute
        self._context = context
        self._exporters = exporters
        self._webhooks = webhooks
        self._dropped_lines = dropped_lines
        self._started_at = self._configured_at = context.clock()
        self._reload_failed = False

    def reloaded(self, *, refused: bool) -> None:
        """Note that the config was read again."""
        self._reload_failed = refused
        if not refused:
            self._configured_at = self._context.clock()

    @property
    def events(self) -> EventBuffer:
        """Return the recent events, for watchers."""
        return self._context.recorder.events

    def pools(self) -> tuple[PoolStatus, ...]:
        """Report on all pools, in the order of the config."""
        return tuple(self.pool(name) for name in self._context.states.names())

    def pool(self, name: str) -> PoolStatus:
        """Report on one pool.

        Raises:
            UnknownPool: it is not configured.
        """
        firsts, ahead = self._context.worker_feed.firsts(name), self._context.clock.ahead()
        report = pool_status(self._context.states, name, self._context.clock(), firsts, ahead)
        return replace(report, turn=self._context.worker_feed.turn(name))

    def service(self) -> ServiceStatus:
        """Report on the service as a whole."""
        alarms = self._context.recorder.alarms()
        everything_down = any(alarm.name == EVERYTHING_DOWN for alarm in alarms)
        return ServiceStatus(
            version=__version__,
            started_at=self._started_at,
            ready=self._context.worker_feed.connected() and not everything_down,
            alarms=alarms,
            serial=self._context.worker_feed.snapshot.serial,
            published_at=self._context.publisher.published_at,
            workers=self._context.worker_feed.workers(),
            counts=self._context.worker_feed.queries(),
            unanswered=self._context.worker_feed.unanswered(),
            configured_at=self._configured_at,
            reload_failed=self._reload_failed,
            exporters=self._exporters(),
            webhooks=self._webhooks(),
            dropped_lines=self._dropped_lines(),
            orphaned=self._context.states.orphans(),
        )

    async def audit(
        self, limit: int, before_id: int | None, pool: str | None, member: str | None
    ) -> tuple[Event, ...]:
        """Return audit entries, the newest first.

        Raises:
            StoreFailed: they cannot be read.
        """
        await self._context.recorder.flush()
        return await self._context.store.audit(limit, before_id, pool, member)
