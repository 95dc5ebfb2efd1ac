"""Decide and commit changes of orders: the guard, the store, the states, the snapshot.

A change is written to the store before anything else changes. One change at a time is decided and
committed, so that two concurrent drains cannot empty a pool. Waiting for the workers needs no lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rrdns.core.model import Override
from rrdns.core.orders.guard import check_guard
from rrdns.core.orders.request import Target, active_at
from rrdns.errors import StoreFailed, TooFewMembers
from rrdns.service.control.context import ControlContext
from rrdns.service.control.orphaned_orders import record_orphans
from rrdns.service.events.recorder import STORE_FAILED
from rrdns.store.base import OrderTransaction

APPLY_TIMEOUT = 3.0  # seconds for the workers; one that takes longer hangs and is replaced
DISK_TIMEOUT = 1.0  # seconds for the last good snapshot, which workers start from


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a change of orders would come to."""

    refusal: TooFewMembers | None  # why the guard refuses it
    remaining: Mapping[str, tuple[str, ...]]  # pool -> members in rotation then


class OrderChanges:
    """The changes of orders in force and of scheduled orders."""

    def __init__(self, context: ControlContext) -> None:
        self.lock = asyncio.Lock()  # hold it from the decision to the end of `commit`
        self.changed = asyncio.Event()  # the next order to begin or end may be another
        self._context = context
        self._states = context.states

    def forecast(
        self,
        targets: Iterable[Target],
        wanted: Iterable[Override] = (),
        at: float | None = None,
        ended: Iterable[Target] = (),
    ) -> Forecast:
        """Return what the pools of `targets` come to with some orders, and without others.

        `at`: at a later time, as far as that is known today.
        """
        new, refusal = _by_pool(wanted), None
        gone, remaining = set(ended), dict[str, tuple[str, ...]]()
        for pool in _pools_of(targets):
            if pool not in self._states:  # of an order without a member
                remaining[pool] = ()
                continue
            record, orders = self._states.record(pool), new.get(pool, {})
            before, now = record.overrides(), None
            if at is not None:
                before = active_at(before, self._states.scheduled_of(pool), at)
                now = record.selection_under(before)
            after = {**before, **orders}
            after = {name: one for name, one in after.items() if (pool, name) not in gone}
            now = now or record.selection()
            then = record.selection_under(after) if after != before else now
            remaining[pool] = tuple(member.name for member in then.members)
            if orders and refusal is None:
                refusal = check_guard(record.pool, now, then, tuple(orders))
        return Forecast(refusal, remaining)

    async def commit(self, batch: OrderTransaction, *, bad: bool = False) -> int:
        """Store a change, put it in force and publish it; return the snapshot's serial.

        Raises:
            StoreFailed: it could not be stored, so nothing changed.
        """
        recorder = self._context.recorder
        try:
            await self._context.store.commit(batch)
        except StoreFailed as error:
            recorder.raise_alarm(STORE_FAILED, str(error))
            raise
        has_orphans = not all(
            self._states.has(*key) for key in (*batch.removed, *batch.unscheduled)
        )
        for key in batch.removed:
            self._states.clear_override(*key)
        for key in batch.unscheduled:
            self._states.unschedule(*key)
        for override in batch.set:
            self._states.set_override(override)
        for plan in batch.scheduled:
            self._states.schedule(plan)
        pools = {*(pool for pool, _ in batch.removed), *(one.pool for one in batch.set)}
        pools = {pool for pool in pools if pool in self._states}
        self.changed.set()
        recorder.clear_alarm(STORE_FAILED)
        for event in batch.entries:
            recorder.record(event, kept=True, bad=bad)
        if has_orphans:
            record_orphans(self._states, recorder)
        for pool in pools:
            self._context.publisher.mark_changed(pool)
        if not pools:  # scheduled orders change no answer
            return self._context.worker_feed.snapshot.serial
        return self._context.publisher.flush()

    async def wait_answered(self, serial: int) -> None:
        """Wait until every worker answers from a snapshot, and any worker that starts would."""
        await asyncio.gather(
            self._context.worker_feed.wait_applied(serial, APPLY_TIMEOUT),
            # Otherwise a worker that starts after a power cut might answer from an older one.
            self._context.saver.wait_synced(DISK_TIMEOUT),
        )


def _pools_of(targets: Iterable[Target]) -> Sequence[str]:
    """Return the pools of some members, each once."""
    return tuple(dict.fromkeys(pool for pool, _ in targets))


def _by_pool(overrides: Iterable[Override]) -> dict[str, dict[str, Override]]:
    """Return orders by pool and member."""
    found: dict[str, dict[str, Override]] = {}
    for override in overrides:
        found.setdefault(override.pool, {})[override.member] = override
    return found
