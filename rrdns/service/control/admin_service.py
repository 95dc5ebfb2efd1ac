"""What the web side calls the farm: reports, orders, the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rrdns import __version__
from rrdns.core.model import AuditEntry
from rrdns.core.orders.request import Command
from rrdns.core.status import ExportReport, PoolReport, ServiceReport, WebhookReport
from rrdns.service.control.orders import Orders
from rrdns.service.events.recorder import Herald
from rrdns.service.health.pool_states import Roster
from rrdns.service.publish.snapshot_publisher import EVERYTHING_DOWN, Publication
from rrdns.service.publish.worker_feed import Publisher
from rrdns.service.runtime.clocks import Clocks
from rrdns.shm.counters import NOTHING
from rrdns.store.base import Store
from rrdns.web.api.admin_service import OrdersDone
from rrdns.web.event_buffer import EventLog


class Desk:
    """What the web side calls the farm."""

    def __init__(
        self,
        roster: Roster,
        store: Store,
        publication: Publication,
        publisher: Publisher,
        herald: Herald,
        orders: Orders,
        exports: Callable[[], tuple[ExportReport, ...]],
        webhooks: Callable[[], tuple[WebhookReport, ...]],
        clock: Clocks,
        dropped_lines: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._roster = roster
        self._store = store
        self._publication = publication
        self._publisher = publisher
        self._herald = herald
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
    def events(self) -> EventLog:
        """Return the log of what happens, for watchers."""
        return self._herald.events

    def pools(self) -> tuple[PoolReport, ...]:
        """Report on all pools, in the order of the config."""
        return tuple(self.pool(name) for name in self._roster.names())

    def pool(self, name: str) -> PoolReport:
        """Report on one pool.

        Raises:
            UnknownPool: it is not configured.
        """
        firsts, ahead = self._publisher.firsts(name), self._clock.ahead()
        report = self._roster.report(name, self._clock(), firsts, ahead)
        return replace(report, turn=self._publisher.turn(name))

    def service(self) -> ServiceReport:
        """Report on the service as a whole."""
        alarms = self._herald.alarms()
        counts = self._publisher.queries()
        unanswered = counts.pop(NOTHING, 0)
        everything_down = any(alarm.name == EVERYTHING_DOWN for alarm in alarms)
        return ServiceReport(
            version=__version__,
            started_at=self._started_at,
            ready=self._publisher.connected() and not everything_down,
            alarms=alarms,
            serial=self._publisher.snapshot.serial,
            published_at=self._publication.published_at,
            workers=self._publisher.workers(),
            counts=counts,
            unanswered=unanswered,
            configured_at=self._configured_at,
            reload_failed=self._reload_failed,
            exports=self._exports(),
            webhooks=self._webhooks(),
            dropped_lines=self._dropped_lines(),
            orphaned=self._roster.orphans(),
        )

    async def carry_out(self, command: Command) -> OrdersDone:
        """Carry out a command, and return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            LastMember: too few members would be left, and it is not forced.
            StoreFailed: the order could not be kept, so nothing was changed.
        """
        return await self._orders.carry_out(command)

    async def audit(
        self, limit: int, before_id: int | None, pool: str | None, member: str | None
    ) -> tuple[AuditEntry, ...]:
        """Return audit entries, the newest first.

        Raises:
            StoreFailed: they cannot be read.
        """
        await self._herald.flush()
        return await self._store.audit(limit, before_id, pool, member)
