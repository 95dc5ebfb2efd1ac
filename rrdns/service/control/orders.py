"""Carry orders out: for all their members or for none, one order at a time.

An order is written to the store before anything changes, and acknowledged after every
worker answers by it, and any that starts would. That orders go one at a time is what keeps
two admins from taking the last two members, each while looking at the other one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from rrdns.core.events import SYSTEM_ACTOR, Event
from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.standing import ASSUMED_UP
from rrdns.core.model import Member, Override, ScheduledOverride
from rrdns.core.orders.request import (
    OrderRequest,
    Target,
    active_at,
    check_guard,
    in_rotation_after,
    is_active_already,
    is_scheduled_already,
)
from rrdns.core.status import MemberStatus
from rrdns.errors import RrdnsError, TooFewMembers
from rrdns.service.control.context import ControlContext
from rrdns.service.control.orphaned_orders import record_orphans
from rrdns.service.events.order_events import (
    Attribution,
    order_event,
    removed_event,
    scheduled_event,
    set_event,
    unscheduled_event,
)
from rrdns.service.events.recorder import STORE_FAILED
from rrdns.service.health.status_view import member_status
from rrdns.store.base import OrderTransaction
from rrdns.web.api.admin_service import MemberOrderResult, OrderResult

APPLY_TIMEOUT = 3.0  # seconds for the workers; one that takes longer hangs and is replaced
DISK_TIMEOUT = 1.0  # seconds for the last good snapshot, which workers start from

MAX_LATE = 86400.0  # seconds after its time at which an order still begins


class OrderExecutor:
    """The orders in force and for later, and every change of them."""

    def __init__(self, context: ControlContext) -> None:
        self._states = context.states
        self._context = context
        self._clock = context.clock
        self.lock = asyncio.Lock()
        self.changed = asyncio.Event()  # the next order to end or begin may be another

    async def execute(self, command: OrderRequest) -> OrderResult:
        """Carry out a command, and return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            TooFewMembers: too few members would be left, and it is not forced.
            StoreFailed: the order could not be kept, so nothing was changed.
        """
        async with self.lock:
            for target in command.targets:
                if command.order is not None or not self._states.is_orphan(*target):
                    self._states.state(*target)
            if command.order is None:
                return await self._resume(command)
            if command.at is not None and command.at > self._clock():
                return await self._plan(command)
            return await self._give(replace(command, at=None))

    async def run_due(self) -> None:
        """End the orders whose time is over, and begin those whose time has come.

        Raises:
            StoreFailed: that could not be kept, so all is as before.
        """
        async with self.lock:
            ahead = self._clock.ahead()
            now = self._clock.steady() + ahead  # one reading: the clock may be set at any moment
            self._states.follow_clock(ahead, self._clock.boot)
            over = self._states.expired(now)
            if over:
                signed = Attribution(SYSTEM_ACTOR, now, "its time was over")
                lifted = tuple((one.pool, one.member) for one in over)
                entries = tuple(removed_event("expire", one, None, signed) for one in over)
                await self._change(OrderTransaction(removed=lifted, entries=entries))
            missed = self._states.missed(now)
            if missed:
                signed = Attribution(
                    SYSTEM_ACTOR, now, "its time was over before its member was back"
                )
                entries = tuple(unscheduled_event("refused", plan, signed) for plan in missed)
                gone = tuple(plan.key for plan in missed)
                await self._change(OrderTransaction(unscheduled=gone, entries=entries), bad=True)
            for _, together in groupby(self._states.due(now), key=lambda plan: plan.id):
                await self._begin(tuple(together), now)

    async def _give(self, command: OrderRequest) -> OrderResult:
        now, identity = self._clock(), _new_id()
        fresh = [
            one
            for one in self._wanted(command, now)
            if not is_active_already(self._states.state(one.pool, one.member).override, one)
        ]
        refused = self._refusal(fresh)
        if command.dry_run:
            return self._preview(command, fresh, refused, now)
        if refused is not None and not command.force:
            raise refused
        if fresh:
            signed = Attribution(command.by, now, command.reason, identity, forced=command.force)
            entries = tuple(set_event(one, self._in_force(one), signed) for one in fresh)
            await self._change(OrderTransaction(set=tuple(fresh), entries=entries))
        return self._done(command, _targets(fresh), identity)

    async def _resume(self, command: OrderRequest) -> OrderResult:
        now, identity = self._clock(), _new_id()
        lifted = [key for key in command.targets if self._states.override(*key)]
        cancelled = [key for key in command.targets if self._states.scheduled_override(*key)]
        changed = [key for key in command.targets if key in lifted or key in cancelled]
        if command.dry_run:
            left = self._left(command.targets, {}, now, without=changed)
            return OrderResult("", self._each(command, changed, now), remaining=left, dry_run=True)
        if changed:
            signed = Attribution(command.by, now, command.reason, identity)
            entries = tuple(self._ending(key, signed) for key in changed)
            await self._change(
                OrderTransaction(
                    removed=tuple(lifted), unscheduled=tuple(cancelled), entries=entries
                )
            )
        return self._done(command, changed, identity)

    async def _plan(self, command: OrderRequest) -> OrderResult:
        now, identity = self._clock(), _new_id()
        plans = [
            ScheduledOverride(one, now, command.force, identity)
            for one in self._wanted(command, now)
        ]
        fresh = [
            plan
            for plan in plans
            if not is_scheduled_already(self._states.scheduled_override(*plan.key), plan)
        ]
        wanted = [plan.override for plan in plans]
        at = command.at or now
        refused = self._refusal(wanted, at)
        if command.dry_run:
            return self._preview(command, [plan.override for plan in fresh], refused, at)
        if fresh:
            signed = Attribution(command.by, now, command.reason, identity, forced=command.force)
            entries = tuple(
                scheduled_event(one, self._states.scheduled_override(*one.key), signed)
                for one in fresh
            )
            await self._change(OrderTransaction(scheduled=tuple(fresh), entries=entries))
        done = self._done(command, [plan.key for plan in fresh], identity)
        left = self._left(command.targets, _by_pool(wanted), at)
        return replace(done, guard=refused, remaining=left)

    async def _begin(self, plans: Sequence[ScheduledOverride], now: float) -> None:
        """Carry out orders that were given together for this time, or say why not."""
        keys = tuple(plan.key for plan in plans)
        wanted = tuple(self._from_now(plan.override, now) for plan in plans)
        refused: RrdnsError | None = self._refusal(wanted)
        if any(not one.is_active(now) for one in wanted):
            because = "its time was over before it could begin"
        elif now - plans[0].override.since > MAX_LATE:
            because = "it is too late for it: rrdns was not there at its time, or its member"
        elif refused is not None and not plans[0].force:
            because = str(refused)
        else:
            await self._begin_now(plans, wanted, now)
            return
        signed = Attribution(SYSTEM_ACTOR, now, because, plans[0].id)
        entries = tuple(unscheduled_event("refused", plan, signed) for plan in plans)
        await self._change(OrderTransaction(unscheduled=keys, entries=entries), bad=True)

    async def _begin_now(
        self, plans: Sequence[ScheduledOverride], wanted: Sequence[Override], now: float
    ) -> None:
        entries = []
        for plan, one in zip(plans, wanted, strict=True):
            signed = Attribution(one.by, now, one.reason, plan.id, forced=plan.force)
            entries.append(set_event(one, self._in_force(one), signed, planned_at=plan.given_at))
        keys = tuple(plan.key for plan in plans)
        await self._change(
            OrderTransaction(set=tuple(wanted), unscheduled=keys, entries=tuple(entries))
        )

    def _wanted(self, command: OrderRequest, now: float) -> tuple[Override, ...]:
        wanted = command.overrides(now)
        if command.lasting:
            ahead, boot = self._clock.ahead(), self._clock.boot
            wanted = tuple(replace(one, ahead=ahead, boot=boot) for one in wanted)
        return tuple(self._states.assigned(one) for one in wanted)

    def _from_now(self, planned: Override, now: float) -> Override:
        """Return a planned order as it begins; its end is the date that was shown."""
        ahead = None if planned.ahead is None else self._clock.ahead()
        return replace(planned, since=now, ahead=ahead, boot=self._clock.boot)

    def _ending(self, key: Target, signed: Attribution) -> Event:
        override, plan = self._states.override(*key), self._states.scheduled_override(*key)
        if override is not None:
            return removed_event("resume", override, plan, signed)
        return (
            unscheduled_event("cancel", plan, signed)
            if plan
            else order_event("resume", *key, signed)
        )

    async def _change(self, batch: OrderTransaction, *, bad: bool = False) -> None:
        """Keep a change, carry it out, and wait until the answers follow it."""
        await self._kept(self._context.store.commit(batch))
        for key in batch.removed:
            self._states.clear_override(*key)
        for key in batch.unscheduled:
            self._states.unschedule(*key)
        for override in batch.set:
            self._states.set_override(override)
        for plan in batch.scheduled:
            self._states.schedule(plan)
        self.changed.set()
        for entry in batch.entries:
            self._context.recorder.record(entry, kept=True, bad=bad)
        record_orphans(self._states, self._context.recorder)
        pools = {*_pools(batch.removed), *(one.pool for one in batch.set)}
        pools = {pool for pool in pools if pool in self._states}
        if pools:
            await self._published(pools)

    async def _published(self, pools: Iterable[str]) -> None:
        for pool in pools:
            self._context.publisher.mark_changed(pool)
        serial = self._context.publisher.flush()
        await asyncio.gather(
            self._context.worker_feed.wait_applied(serial, APPLY_TIMEOUT),
            # Else a worker that starts after a power cut might name whom this took out.
            self._context.saver.wait_synced(DISK_TIMEOUT),
        )

    async def _kept(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except RrdnsError as error:
            self._context.recorder.raise_alarm(STORE_FAILED, str(error))
            raise
        self._context.recorder.clear_alarm(STORE_FAILED)

    def _in_force(self, wanted: Override) -> Override | None:
        return self._states.state(wanted.pool, wanted.member).override

    def _refusal(self, wanted: Sequence[Override], at: float | None = None) -> TooFewMembers | None:
        """Return the guard's word on orders for now, or for later as far as is known today."""
        for pool, orders in _by_pool(wanted).items():
            record = self._states.record(pool)
            before = self._orders_at(pool, at)
            refused = check_guard(record.pool, record.standings(), before, list(orders.values()))
            if refused is not None:
                return refused
        return None

    def _orders_at(self, pool: str, at: float | None) -> dict[str, Override]:
        before = self._states.record(pool).overrides()
        return before if at is None else active_at(before, self._states.scheduled_of(pool), at)

    def _left(
        self,
        targets: Iterable[Target],
        wanted: Mapping[str, Mapping[str, Override]],
        at: float,
        without: Iterable[Target] = (),
    ) -> dict[str, tuple[str, ...]]:
        """Return who will be handed out in the pools concerned."""
        left: dict[str, tuple[str, ...]] = {}
        for pool in _pools(targets):
            if pool not in self._states:  # of an order that fits no member
                left[pool] = ()
                continue
            record = self._states.record(pool)
            then = {**self._orders_at(pool, at), **wanted.get(pool, {})}
            then = {name: one for name, one in then.items() if (pool, name) not in set(without)}
            left[pool] = in_rotation_after(record.pool, record.standings(), then)
        return left

    def _preview(
        self,
        command: OrderRequest,
        fresh: Sequence[Override],
        refused: TooFewMembers | None,
        at: float,
    ) -> OrderResult:
        return OrderResult(
            id="",
            members=self._each(command, _targets(fresh), at),
            guard=refused,
            remaining=self._left(command.targets, _by_pool(fresh), at),
            dry_run=True,
        )

    def _each(
        self, command: OrderRequest, changed: Iterable[Target], at: float
    ) -> tuple[MemberOrderResult, ...]:
        """Return what would become of each member at a time."""
        ahead = self._clock.ahead()
        return tuple(
            MemberOrderResult(
                key[0],
                self._report(key),
                self._states.safe_after_if_withdrawn(*key, at, ahead)
                if self._states.has(*key)
                else at,
                key in changed,
            )
            for key in command.targets
        )

    def _done(self, command: OrderRequest, changed: Sequence[Target], identity: str) -> OrderResult:
        now, each = self._clock(), []
        for key in command.targets:
            report = self._report(key)
            each.append(MemberOrderResult(key[0], report, report.safe_after or now, key in changed))
        left = {pool: self._now_out(pool) for pool in _pools(command.targets)}
        return OrderResult(identity if changed else "", tuple(each), remaining=left)

    def _now_out(self, pool: str) -> tuple[str, ...]:
        if pool not in self._states:
            return ()
        return tuple(member.name for member in self._states.record(pool).selection().members)

    def _report(self, key: Target) -> MemberStatus:
        if not self._states.has(*key):
            return _no_member(key, self._states.override(*key), self._clock())
        firsts, ahead = self._context.worker_feed.firsts(key[0]), self._clock.ahead()
        return member_status(self._states, *key, self._clock(), firsts, ahead)


def _no_member(key: Target, override: Override | None, now: float) -> MemberStatus:
    """Report on a member that is not in the config, of which there is or was an order."""
    member = Member(key[1], override.address if override is not None else "")
    return MemberStatus(member, ASSUMED_UP, now, override, EligibilityReason.NO_MEMBER, 0.0, 0)


def _new_id() -> str:
    return secrets.token_hex(6)


def _targets(overrides: Iterable[Override]) -> list[Target]:
    return [(one.pool, one.member) for one in overrides]


def _pools(targets: Iterable[Target]) -> list[str]:
    return list(dict.fromkeys(pool for pool, _ in targets))


def _by_pool(overrides: Iterable[Override]) -> dict[str, dict[str, Override]]:
    found: dict[str, dict[str, Override]] = {}
    for one in overrides:
        found.setdefault(one.pool, {})[one.member] = one
    return found
