"""The admin service of the control process: reports, orders, the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rrdns import __version__
from rrdns.core.model import AuditEntry
from rrdns.core.orders.request import OrderRequest
from rrdns.core.status import ExporterStatus, PoolStatus, ServiceStatus, WebhookStatus
from rrdns.service.control.orders import OrderExecutor
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.health.status_view import pool_status
from rrdns.service.publish.snapshot_publisher import EVERYTHING_DOWN, SnapshotPublisher
from rrdns.service.publish.worker_feed import WorkerFeed
from rrdns.service.runtime.clocks import Clocks
from rrdns.shm.counters import UNANSWERED
from rrdns.store.base import Store
from rrdns.web.api.admin_service import OrderResult
from rrdns.web.event_buffer import EventBuffer


class ControlAdminService:
    """Implements the admin service for the handlers of the API."""

    def __init__(
        self,
        states: PoolStates,
        store: Store,
        snapshots: SnapshotPublisher,
        worker_feed: WorkerFeed,
        recorder: EventRecorder,
        orders: OrderExecutor,
        exports: Callable[[], tuple[ExporterStatus, ...]],
        webhooks: Callable[[], tuple[WebhookStatus, ...]],
        clock: Clocks,
        dropped_lines: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._states = states
        self._store = store
        self._snapshots = snapshots
        self._worker_feed = worker_feed
        self._recorder = recorder
        self._exports = exports
        self._webhooks = webhooks
        self._clock = clock
        self._dropped_lines = dropped_lines
        self._started_at = self._configured_at = clock()
        self._reload_failed = False
        self._orders = orders

    def reloaded(self, *, refused: bool) -> None:
        """Note that the config was read again."""
        self._reload_failed = refused
        if not refused:
            self._configured_at = self._clock()

    @property
    def events(self) -> EventBuffer:
        """Return the log of what happens, for watchers."""
        return self._recorder.events

    def pools(self) -> tuple[PoolStatus, ...]:
        """Report on all pools, in the order of the config."""
        return tuple(self.pool(name) for name in self._states.names())

    def pool(self, name: str) -> PoolStatus:
        """Report on one pool.

        Raises:
            UnknownPool: it is not configured.
        """
        firsts, ahead = self._worker_feed.firsts(name), self._clock.ahead()
        report = pool_status(self._states, name, self._clock(), firsts, ahead)
        return replace(report, turn=self._worker_feed.turn(name))

    def service(self) -> ServiceStatus:
        """Report on the service as a whole."""
        alarms = self._recorder.alarms()
        counts = self._worker_feed.queries()
        unanswered = counts.pop(UNANSWERED, 0)
        everything_down = any(alarm.name == EVERYTHING_DOWN for alarm in alarms)
        return ServiceStatus(
            version=__version__,
            started_at=self._started_at,
            ready=self._worker_feed.connected() and not everything_down,
            alarms=alarms,
            serial=self._worker_feed.snapshot.serial,
            published_at=self._snapshots.published_at,
            workers=self._worker_feed.workers(),
            counts=counts,
            unanswered=unanswered,
            configured_at=self._configured_at,
            reload_failed=self._reload_failed,
            exporters=self._exports(),
            webhooks=self._webhooks(),
            dropped_lines=self._dropped_lines(),
            orphaned=self._states.orphans(),
        )

    async def execute(self, command: OrderRequest) -> OrderResult:
        """Carry out a command, and return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            TooFewMembers: too few members would be left, and it is not forced.
            StoreFailed: the order could not be kept, so nothing was changed.
        """
        return await self._orders.execute(command)

    async def audit(
        self, limit: int, before_id: int | None, pool: str | None, member: str | None
    ) -> tuple[AuditEntry, ...]:
        """Return audit entries, the newest first.

        Raises:
            StoreFailed: they cannot be read.
        """
        await self._recorder.flush()
        return await self._store.audit(limit, before_id, pool, member)
