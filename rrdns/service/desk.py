"""Take orders: check them, keep them, carry them out, and report.

An order is written to the store before anything changes, and acknowledged after every
worker answers by it. Orders go one at a time, so that two admins cannot both take the
last member but one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from rrdns import __version__
from rrdns.core.model import AuditEntry, Order, Override
from rrdns.core.report import ExportReport, PoolReport, ServiceReport
from rrdns.errors import RrdnsError
from rrdns.service.herald import OURSELVES, STORE_FAILED, Herald
from rrdns.service.publication import EVERYTHING_DOWN, Publication
from rrdns.service.publisher import Publisher
from rrdns.service.roster import Roster
from rrdns.store.base import Store
from rrdns.web.events import EventLog
from rrdns.web.farm import OrderDone

SAME_END = 2.0  # seconds between the ends of two orders that are one
APPLY_PATIENCE = 3.0  # seconds for the workers; one that takes longer hangs and is replaced


class Desk:
    """What the web side calls the farm."""

    def __init__(
        self,
        roster: Roster,
        store: Store,
        publication: Publication,
        publisher: Publisher,
        herald: Herald,
        exports: Callable[[], tuple[ExportReport, ...]],
        clock: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._store = store
        self._publication = publication
        self._publisher = publisher
        self._herald = herald
        self._exports = exports
        self._clock = clock
        self._started_at = clock()
        self._one_at_a_time = asyncio.Lock()
        self.orders_changed = asyncio.Event()  # the next expiry may be another

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
        return self._roster.report(name, self._clock(), self._publisher.firsts(name))

    def service(self) -> ServiceReport:
        """Report on the service as a whole."""
        alarms = self._herald.alarms()
        everything_down = any(alarm.name == EVERYTHING_DOWN for alarm in alarms)
        return ServiceReport(
            version=__version__,
            started_at=self._started_at,
            ready=self._publisher.connected() and not everything_down,
            alarms=alarms,
            serial=self._publisher.snapshot.serial,
            published_at=self._publication.published_at,
            workers=self._publisher.workers(),
            counts=self._publisher.queries(),
            exports=self._exports(),
        )

    async def order(
        self,
        pool: str,
        member: str,
        order: Order,
        *,
        by: str,
        reason: str,
        until: float | None,
        force: bool,
    ) -> OrderDone:
        """Put an order in force for a member and return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            LastMember: too few members would be left, and `force` is not set.
            StoreFailed: the order could not be kept, so it was not carried out.
        """
        async with self._one_at_a_time:
            before = self._roster.track(pool, member).override
            wanted = Override(pool, member, order, by, self._clock(), reason, until)
            if before is not None and _is_same(before, wanted):
                return self._done(pool, member, changed=False)
            if not force:
                self._roster.check_order(wanted)
            entry = self._entry(order.value, by, wanted, before)
            if force:
                entry = replace(entry, details={"forced": "yes"})
            await self._kept(self._store.give(wanted, entry))
            self._roster.put(wanted)
            await self._carry_out(entry)
            return self._done(pool, member, changed=True)

    async def resume(self, pool: str, member: str, *, by: str, reason: str) -> OrderDone:
        """End a member's order; without one, nothing changes.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            StoreFailed: it could not be kept, so the order stays in force.
        """
        async with self._one_at_a_time:
            before = self._roster.track(pool, member).override
            if before is None:
                return self._done(pool, member, changed=False)
            await self._lift(before, "resume", by, reason)
            return self._done(pool, member, changed=True)

    async def expire(self) -> None:
        """End the orders whose time has come."""
        async with self._one_at_a_time:
            for override in self._roster.expired(self._clock()):
                await self._lift(override, "expire", OURSELVES, "its time was over")

    async def audit(
        self, limit: int, before_id: int | None, pool: str | None, member: str | None
    ) -> tuple[AuditEntry, ...]:
        """Return audit entries, the newest first.

        Raises:
            StoreFailed: they cannot be read.
        """
        await self._herald.flush()
        return await self._store.audit(limit, before_id, pool, member)

    async def _lift(self, override: Override, action: str, by: str, reason: str) -> None:
        entry = AuditEntry(
            at=self._clock(),
            by=by,
            action=action,
            pool=override.pool,
            member=override.member,
            reason=reason,
            before=_describe(override),
        )
        await self._kept(self._store.lift(override.pool, override.member, entry))
        self._roster.lift(override.pool, override.member)
        await self._carry_out(entry)

    async def _kept(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except RrdnsError as error:
            self._herald.alarm(STORE_FAILED, str(error))
            raise
        self._herald.calm(STORE_FAILED)

    async def _carry_out(self, entry: AuditEntry) -> None:
        self.orders_changed.set()
        self._herald.tell(entry, kept=True)
        self._publication.mark(entry.pool)
        serial = self._publication.flush()
        await self._publisher.applied(serial, APPLY_PATIENCE)

    def _entry(
        self, action: str, by: str, override: Override, before: Override | None
    ) -> AuditEntry:
        return AuditEntry(
            at=override.since,
            by=by,
            action=action,
            pool=override.pool,
            member=override.member,
            reason=override.reason,
            before=_describe(before),
            after=_describe(override),
        )

    def _done(self, pool: str, member: str, *, changed: bool) -> OrderDone:
        firsts = self._publisher.firsts(pool)
        report = self._roster.report_member(pool, member, self._clock(), firsts)
        return OrderDone(report, report.safe_after or self._clock(), changed)


def _is_same(before: Override, wanted: Override) -> bool:
    """Tell whether an order is in force already: asking twice is one order."""
    if (before.order, before.reason) != (wanted.order, wanted.reason):
        return False
    if before.until is None or wanted.until is None:
        return before.until == wanted.until
    # "for two hours", said again by a client that saw no answer, ends a little later.
    return abs(before.until - wanted.until) < SAME_END


def _describe(override: Override | None) -> str:
    return override.order.value if override is not None else ""
