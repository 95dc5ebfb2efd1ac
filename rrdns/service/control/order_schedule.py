"""Begin scheduled orders when their time has come, and end orders when theirs is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

from rrdns.core.events import SYSTEM_ACTOR
from rrdns.core.model import JUMP, Override, ScheduledOverride
from rrdns.core.orders import schedule
from rrdns.errors import StoreFailed
from rrdns.service.control.context import ControlContext
from rrdns.service.control.order_changes import OrderChanges
from rrdns.service.events.order_events import (
    Attribution,
    removed_event,
    set_event,
    unscheduled_event,
)
from rrdns.service.runtime.log_setup import get_log
from rrdns.store.base import OrderTransaction

MAX_LATE = 86400.0  # seconds after its time until which a scheduled order still begins
MAX_SLEEP = 1.0  # seconds between two looks at the clock, which an admin may have set
RETRY_INTERVAL = 5.0  # seconds, while the store fails


class OrderSchedule:
    """Runs what is due."""

    def __init__(self, context: ControlContext, changes: OrderChanges) -> None:
        self._states = context.states
        self._clock = context.clock
        self._changes = changes
        self._log = get_log()

    async def run(self) -> None:
        """Begin and end orders at their times, for as long as the service runs."""
        ahead = self._clock.ahead()
        while True:
            self._changes.changed.clear()
            due = self.next_change()
            wait = MAX_SLEEP
            if due is not None:
                wait = min(max(0.0, due - self._clock()), MAX_SLEEP)
            ahead = self._note_jump(ahead)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changes.changed.wait(), wait)
                continue
            try:
                await self.run_due()
            except StoreFailed:  # the alarm is raised; all is as before until it can be stored
                await asyncio.sleep(RETRY_INTERVAL)

    def next_change(self) -> float | None:
        """Return when the next order begins or ends, in Unix seconds."""
        orders, scheduled = self._states.orders(), self._states.scheduled()
        return schedule.next_change(orders, scheduled, self._states.has)

    async def run_due(self) -> None:
        """End the orders whose time is over, and begin those whose time has come.

        Raises:
            StoreFailed: that could not be stored, so all is as before.
        """
        serials = []
        async with self._changes.lock:
            ahead = self._clock.ahead()
            now = self._clock.steady() + ahead  # one reading: the clock may be set at any moment
            self._states.follow_clock(ahead, self._clock.boot)
            orders, scheduled = self._states.orders(), self._states.scheduled()
            if expired := schedule.expired(orders, now):
                serials.append(await self._end(expired, now))
            if missed := schedule.missed(scheduled, self._states.has, now):
                await self._refuse(missed, now, "its time was over before its member was back")
            due = schedule.due(scheduled, self._states.has, now)
            for _, together in groupby(due, key=lambda plan: plan.id):
                serials.append(await self._begin(tuple(together), now))
        if serials:
            await self._changes.wait_answered(max(serials))

    async def _end(self, expired: Sequence[Override], now: float) -> int:
        signed = Attribution(SYSTEM_ACTOR, now, "its time was over")
        removed = tuple((one.pool, one.member) for one in expired)
        entries = tuple(removed_event("expire", one, None, signed) for one in expired)
        return await self._changes.commit(OrderTransaction(removed=removed, entries=entries))

    async def _begin(self, plans: Sequence[ScheduledOverride], now: float) -> int:
        """Begin orders that were given together for this time, or record why not."""
        wanted = tuple(self._from_now(plan.override, now) for plan in plans)
        targets = tuple(plan.key for plan in plans)
        refusal = self._changes.forecast(targets, wanted).refusal
        if any(not one.is_active(now) for one in wanted):
            reason = "its time was over before it could begin"
            return await self._refuse(plans, now, reason, plans[0].id)
        if now - plans[0].override.since > MAX_LATE:
            reason = (
                "missed: its time passed more than 24 h ago, while rrdns was down or the member "
                "was not configured"
            )
            return await self._refuse(plans, now, reason, plans[0].id)
        if refusal is not None and not plans[0].force:
            return await self._refuse(plans, now, str(refusal), plans[0].id)
        entries = []
        for plan, one in zip(plans, wanted, strict=True):
            signed = Attribution(one.by, now, one.reason, plan.id, forced=plan.force)
            before = self._states.override(*plan.key)
            entries.append(set_event(one, before, signed, planned_at=plan.given_at))
        return await self._changes.commit(
            OrderTransaction(set=wanted, unscheduled=targets, entries=tuple(entries))
        )

    async def _refuse(
        self, plans: Sequence[ScheduledOverride], now: float, reason: str, identity: str = ""
    ) -> int:
        signed = Attribution(SYSTEM_ACTOR, now, reason, identity)
        entries = tuple(unscheduled_event("refused", plan, signed) for plan in plans)
        keys = tuple(plan.key for plan in plans)
        return await self._changes.commit(
            OrderTransaction(unscheduled=keys, entries=entries), bad=True
        )

    def _from_now(self, planned: Override, now: float) -> Override:
        """Return a scheduled order as it begins; its end is the date that was shown."""
        ahead = None if planned.ahead is None else self._clock.ahead()
        return replace(planned, since=now, ahead=ahead, boot=self._clock.boot)

    def _note_jump(self, before: float) -> float:
        """Log that the clock was set; return by how much it is ahead of the steady one now."""
        ahead = self._clock.ahead()
        if abs(ahead - before) > JUMP:
            self._log.warning(
                "the clock was set",
                seconds=round(ahead - before, 1),
                meaning="orders that begin or end at a date follow the new time: check them",
            )
        return ahead
