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

from rrdns.core.health.eligibility import Why
from rrdns.core.health.standing import ASSUMED_UP
from rrdns.core.model import AuditEntry, Member, Override, Plan
from rrdns.core.orders.request import (
    Command,
    Target,
    handed_out,
    is_same,
    is_same_plan,
    overrides_at,
    refusal,
)
from rrdns.core.status import MemberReport
from rrdns.errors import LastMember, RrdnsError
from rrdns.service.control.orphaned_orders import tell_orphans
from rrdns.service.events.audit_entries import Signed, cancelling, giving, lifting, planning, sign
from rrdns.service.events.recorder import OURSELVES, STORE_FAILED, Herald
from rrdns.service.health.pool_states import Roster
from rrdns.service.publish.snapshot_publisher import Publication
from rrdns.service.publish.worker_feed import Publisher
from rrdns.service.runtime.clocks import Clocks
from rrdns.store.base import Batch, Store
from rrdns.web.api.admin_service import OrderDone, OrdersDone

APPLY_PATIENCE = 3.0  # seconds for the workers; one that takes longer hangs and is replaced
DISK_PATIENCE = 1.0  # seconds for the last good snapshot, which workers start from

MOST_LATE = 86400.0  # seconds after its time at which an order still begins


class Orders:
    """The orders in force and for later, and every change of them."""

    def __init__(
        self,
        roster: Roster,
        store: Store,
        publication: Publication,
        publisher: Publisher,
        herald: Herald,
        clock: Clocks,
    ) -> None:
        self._roster = roster
        self._store = store
        self._publication = publication
        self._publisher = publisher
        self._herald = herald
        self._clock = clock
        self.one_at_a_time = asyncio.Lock()
        self.changed = asyncio.Event()  # the next order to end or begin may be another

    async def carry_out(self, command: Command) -> OrdersDone:
        """Carry out a command, and return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            LastMember: too few members would be left, and it is not forced.
            StoreFailed: the order could not be kept, so nothing was changed.
        """
        async with self.one_at_a_time:
            for target in command.targets:
                if command.order is not None or not self._roster.is_orphan(*target):
                    self._roster.track(*target)
            if command.order is None:
                return await self._resume(command)
            if command.at is not None and command.at > self._clock():
                return await self._plan(command)
            return await self._give(replace(command, at=None))

    async def keep_time(self) -> None:
        """End the orders whose time is over, and begin those whose time has come.

        Raises:
            StoreFailed: that could not be kept, so all is as before.
        """
        async with self.one_at_a_time:
            ahead = self._clock.ahead()
            now = self._clock.steady() + ahead  # one reading: the clock may be set at any moment
            self._roster.follow_clock(ahead, self._clock.boot)
            over = self._roster.expired(now)
            if over:
                signed = Signed(OURSELVES, now, "its time was over")
                lifted = tuple((one.pool, one.member) for one in over)
                entries = tuple(lifting("expire", one, None, signed) for one in over)
                await self._change(Batch(lifted=lifted, entries=entries))
            missed = self._roster.missed(now)
            if missed:
                signed = Signed(OURSELVES, now, "its time was over before its member was back")
                entries = tuple(cancelling("refused", plan, signed) for plan in missed)
                gone = tuple(plan.key for plan in missed)
                await self._change(Batch(cancelled=gone, entries=entries), bad=True)
            for _, together in groupby(self._roster.due(now), key=lambda plan: plan.id):
                await self._begin(tuple(together), now)

    async def _give(self, command: Command) -> OrdersDone:
        now, identity = self._clock(), _new_id()
        fresh = [
            one
            for one in self._wanted(command, now)
            if not is_same(self._roster.track(one.pool, one.member).override, one)
        ]
        refused = self._refusal(fresh)
        if command.dry_run:
            return self._preview(command, fresh, refused, now)
        if refused is not None and not command.force:
            raise refused
        if fresh:
            signed = Signed(command.by, now, command.reason, identity, forced=command.force)
            entries = tuple(giving(one, self._in_force(one), signed) for one in fresh)
            await self._change(Batch(given=tuple(fresh), entries=entries))
        return self._done(command, _targets(fresh), identity)

    async def _resume(self, command: Command) -> OrdersDone:
        now, identity = self._clock(), _new_id()
        lifted = [key for key in command.targets if self._roster.override(*key)]
        cancelled = [key for key in command.targets if self._roster.plan(*key)]
        changed = [key for key in command.targets if key in lifted or key in cancelled]
        if command.dry_run:
            left = self._left(command.targets, {}, now, without=changed)
            return OrdersDone("", self._each(command, changed, now), left=left, dry_run=True)
        if changed:
            signed = Signed(command.by, now, command.reason, identity)
            entries = tuple(self._ending(key, signed) for key in changed)
            await self._change(
                Batch(lifted=tuple(lifted), cancelled=tuple(cancelled), entries=entries)
            )
        return self._done(command, changed, identity)

    async def _plan(self, command: Command) -> OrdersDone:
        now, identity = self._clock(), _new_id()
        plans = [Plan(one, now, command.force, identity) for one in self._wanted(command, now)]
        fresh = [plan for plan in plans if not is_same_plan(self._roster.plan(*plan.key), plan)]
        wanted = [plan.override for plan in plans]
        at = command.at or now
        refused = self._refusal(wanted, at)
        if command.dry_run:
            return self._preview(command, [plan.override for plan in fresh], refused, at)
        if fresh:
            signed = Signed(command.by, now, command.reason, identity, forced=command.force)
            entries = tuple(planning(one, self._roster.plan(*one.key), signed) for one in fresh)
            await self._change(Batch(planned=tuple(fresh), entries=entries))
        done = self._done(command, [plan.key for plan in fresh], identity)
        left = self._left(command.targets, _by_pool(wanted), at)
        return replace(done, guard=refused, left=left)

    async def _begin(self, plans: Sequence[Plan], now: float) -> None:
        """Carry out orders that were given together for this time, or say why not."""
        keys = tuple(plan.key for plan in plans)
        wanted = tuple(self._from_now(plan.override, now) for plan in plans)
        refused: RrdnsError | None = self._refusal(wanted)
        if any(not one.in_force(now) for one in wanted):
            because = "its time was over before it could begin"
        elif now - plans[0].override.since > MOST_LATE:
            because = "it is too late for it: rrdns was not there at its time, or its member"
        elif refused is not None and not plans[0].force:
            because = str(refused)
        else:
            await self._begin_now(plans, wanted, now)
            return
        signed = Signed(OURSELVES, now, because, plans[0].id)
        entries = tuple(cancelling("refused", plan, signed) for plan in plans)
        await self._change(Batch(cancelled=keys, entries=entries), bad=True)

    async def _begin_now(
        self, plans: Sequence[Plan], wanted: Sequence[Override], now: float
    ) -> None:
        entries = []
        for plan, one in zip(plans, wanted, strict=True):
            signed = Signed(one.by, now, one.reason, plan.id, forced=plan.force)
            entries.append(giving(one, self._in_force(one), signed, planned_at=plan.given_at))
        keys = tuple(plan.key for plan in plans)
        await self._change(Batch(given=tuple(wanted), cancelled=keys, entries=tuple(entries)))

    def _wanted(self, command: Command, now: float) -> tuple[Override, ...]:
        wanted = command.overrides(now)
        if command.lasting:
            ahead, boot = self._clock.ahead(), self._clock.boot
            wanted = tuple(replace(one, ahead=ahead, boot=boot) for one in wanted)
        return tuple(self._roster.assigned(one) for one in wanted)

    def _from_now(self, planned: Override, now: float) -> Override:
        """Return a planned order as it begins; its end is the date that was shown."""
        ahead = None if planned.ahead is None else self._clock.ahead()
        return replace(planned, since=now, ahead=ahead, boot=self._clock.boot)

    def _ending(self, key: Target, signed: Signed) -> AuditEntry:
        override, plan = self._roster.override(*key), self._roster.plan(*key)
        if override is not None:
            return lifting("resume", override, plan, signed)
        return cancelling("cancel", plan, signed) if plan else sign("resume", *key, signed)

    async def _change(self, batch: Batch, *, bad: bool = False) -> None:
        """Keep a change, carry it out, and wait until the answers follow it."""
        await self._kept(self._store.commit(batch))
        for key in batch.lifted:
            self._roster.lift(*key)
        for key in batch.cancelled:
            self._roster.drop_plan(*key)
        for override in batch.given:
            self._roster.put(override)
        for plan in batch.planned:
            self._roster.put_plan(plan)
        self.changed.set()
        for entry in batch.entries:
            self._herald.tell(entry, kept=True, bad=bad)
        tell_orphans(self._roster, self._herald)
        pools = {*_pools(batch.lifted), *(one.pool for one in batch.given)}
        pools = {pool for pool in pools if pool in self._roster}
        if pools:
            await self._published(pools)

    async def _published(self, pools: Iterable[str]) -> None:
        for pool in pools:
            self._publication.mark(pool)
        serial = self._publication.flush()
        await asyncio.gather(
            self._publisher.applied(serial, APPLY_PATIENCE),
            # Else a worker that starts after a power cut might name whom this took out.
            self._publication.kept(DISK_PATIENCE),
        )

    async def _kept(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except RrdnsError as error:
            self._herald.alarm(STORE_FAILED, str(error))
            raise
        self._herald.calm(STORE_FAILED)

    def _in_force(self, wanted: Override) -> Override | None:
        return self._roster.track(wanted.pool, wanted.member).override

    def _refusal(self, wanted: Sequence[Override], at: float | None = None) -> LastMember | None:
        """Return the guard's word on orders for now, or for later as far as is known today."""
        for pool, orders in _by_pool(wanted).items():
            record = self._roster.record(pool)
            before = self._orders_at(pool, at)
            refused = refusal(record.pool, record.standings(), before, list(orders.values()))
            if refused is not None:
                return refused
        return None

    def _orders_at(self, pool: str, at: float | None) -> dict[str, Override]:
        before = self._roster.record(pool).overrides()
        return before if at is None else overrides_at(before, self._roster.plans(pool), at)

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
            if pool not in self._roster:  # of an order that fits no member
                left[pool] = ()
                continue
            record = self._roster.record(pool)
            then = {**self._orders_at(pool, at), **wanted.get(pool, {})}
            then = {name: one for name, one in then.items() if (pool, name) not in set(without)}
            left[pool] = handed_out(record.pool, record.standings(), then)
        return left

    def _preview(
        self, command: Command, fresh: Sequence[Override], refused: LastMember | None, at: float
    ) -> OrdersDone:
        return OrdersDone(
            id="",
            members=self._each(command, _targets(fresh), at),
            guard=refused,
            left=self._left(command.targets, _by_pool(fresh), at),
            dry_run=True,
        )

    def _each(
        self, command: Command, changed: Iterable[Target], at: float
    ) -> tuple[OrderDone, ...]:
        """Return what would become of each member at a time."""
        ahead = self._clock.ahead()
        return tuple(
            OrderDone(
                key[0],
                self._report(key),
                self._roster.leaving(*key, at, ahead) if self._roster.has(*key) else at,
                key in changed,
            )
            for key in command.targets
        )

    def _done(self, command: Command, changed: Sequence[Target], identity: str) -> OrdersDone:
        now, each = self._clock(), []
        for key in command.targets:
            report = self._report(key)
            each.append(OrderDone(key[0], report, report.safe_after or now, key in changed))
        left = {pool: self._now_out(pool) for pool in _pools(command.targets)}
        return OrdersDone(identity if changed else "", tuple(each), left=left)

    def _now_out(self, pool: str) -> tuple[str, ...]:
        if pool not in self._roster:
            return ()
        return tuple(member.name for member in self._roster.record(pool).selection().members)

    def _report(self, key: Target) -> MemberReport:
        if not self._roster.has(*key):
            return _no_member(key, self._roster.override(*key), self._clock())
        firsts, ahead = self._publisher.firsts(key[0]), self._clock.ahead()
        return self._roster.report_member(*key, self._clock(), firsts, ahead)


def _no_member(key: Target, override: Override | None, now: float) -> MemberReport:
    """Report on a member that is not in the config, of which there is or was an order."""
    member = Member(key[1], override.address if override is not None else "")
    return MemberReport(member, ASSUMED_UP, now, override, Why.NO_MEMBER, 0.0, 0)


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
