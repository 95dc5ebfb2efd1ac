"""Execute the orders that admins give: for all their members or for none.

An order is acknowledged when it is stored, every worker answers by it, and any worker that starts
would, too.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from rrdns.core.events import Event
from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.standing import ASSUMED_UP
from rrdns.core.model import Member, Override, ScheduledOverride
from rrdns.core.orders.request import (
    OrderRequest,
    Target,
    is_active_already,
    is_scheduled_already,
    select_members,
)
from rrdns.core.orders.version import member_version, pool_version
from rrdns.core.status import MemberStatus
from rrdns.errors import VersionMismatch
from rrdns.service.control.context import ControlContext
from rrdns.service.control.order_changes import Forecast, OrderChanges
from rrdns.service.events.order_events import (
    Attribution,
    order_event,
    removed_event,
    scheduled_event,
    set_event,
    unscheduled_event,
)
from rrdns.service.health.status_view import member_status
from rrdns.store.base import OrderTransaction
from rrdns.web.api.admin_service import MemberOrderResult, OrderResult


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is to be done about a request; it is committed unless the request is a dry run."""

    request: OrderRequest  # with its targets
    changed: Collection[Target]
    forecast: Forecast
    at: float  # when it begins
    batch: OrderTransaction
    id: str
    is_scheduled: bool = False


class OrderExecutor:
    """Executes orders, one at a time."""

    def __init__(self, context: ControlContext, changes: OrderChanges) -> None:
        self._context = context
        self._states = context.states
        self._clock = context.clock
        self._changes = changes

    async def execute(self, request: OrderRequest) -> OrderResult:
        """Execute an order, and return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember, AmbiguousMember: the order selects no such member.
            VersionMismatch: a member is not as the caller saw it.
            TooFewMembers: too few members would be left, and it is not forced.
            StoreFailed: the order could not be stored, so nothing changed.
        """
        serial = None
        async with self._changes.lock:
            targets = self._targets(request)
            decision = self._decide(replace(request, targets=targets), self._clock())
            if decision.changed and not request.dry_run:
                serial = await self._changes.commit(decision.batch)
        if serial is not None and (decision.batch.set or decision.batch.removed):
            await self._changes.wait_answered(serial)
        return self._result(decision)

    def _targets(self, request: OrderRequest) -> tuple[Target, ...]:
        """Return the members that a request is for; an order that ends may have none any more."""
        selector = request.selector
        if selector is not None:
            orphans = self._states.orphans() if request.order is None else ()
            keys = [(one.pool, one.member) for one in orphans]
            return select_members((record.pool for record in self._states), selector, keys)
        for target in request.targets:
            if request.order is None and self._states.is_orphan(*target):
                continue
            self._states.state(*target)
            if request.expected_versions is not None:
                self._check_version(*target, request.expected_versions)
        return request.targets

    def _check_version(self, pool: str, member: str, expected: frozenset[str]) -> None:
        versions = {}
        record = self._states.record(pool)
        for name, state in record.members.items():
            why = record.selection().reasons[name]
            plan = self._states.scheduled_override(pool, name)
            versions[name] = member_version(state.member, why, state.override, plan)
        if not expected & {versions[member], pool_version(versions.values())}:
            raise VersionMismatch(versions[member])

    def _decide(self, request: OrderRequest, now: float) -> _Decision:
        """Return what is to be done.

        Raises:
            TooFewMembers: the guard refuses it, and it is not forced.
        """
        if request.order is None:
            return self._decide_resume(request, now)
        identity = secrets.token_hex(6)
        signed = Attribution(request.by, now, request.reason, identity, forced=request.force)
        if request.at is not None and request.at > now:
            return self._decide_scheduled(request, request.at, signed)
        fresh, events = dict[Target, Override](), []
        for one in self._overrides(replace(request, at=None), now):
            before = self._states.override(one.pool, one.member)
            if before is None or not is_active_already(before, one):
                fresh[one.pool, one.member] = one
                events.append(set_event(one, before, signed))
        forecast = self._changes.forecast(request.targets, fresh.values())
        if forecast.refusal is not None and not (request.force or request.dry_run):
            raise forecast.refusal
        batch = OrderTransaction(set=tuple(fresh.values()), entries=tuple(events))
        return _Decision(request, fresh.keys(), forecast, now, batch, identity)

    def _decide_scheduled(self, request: OrderRequest, at: float, signed: Attribution) -> _Decision:
        wanted = self._overrides(request, signed.at)
        plans = [ScheduledOverride(one, signed.at, request.force, signed.id) for one in wanted]
        fresh = {}
        for plan in plans:
            known = self._states.scheduled_override(*plan.key)
            if not is_scheduled_already(known, plan):
                fresh[plan.key] = plan, scheduled_event(plan, known, signed)
        batch = OrderTransaction(
            scheduled=tuple(plan for plan, _ in fresh.values()),
            entries=tuple(event for _, event in fresh.values()),
        )
        forecast = self._changes.forecast(request.targets, wanted, at)
        return _Decision(request, fresh.keys(), forecast, at, batch, signed.id, is_scheduled=True)

    def _decide_resume(self, request: OrderRequest, now: float) -> _Decision:
        identity = secrets.token_hex(6)
        signed = Attribution(request.by, now, request.reason, identity)
        ended = [key for key in request.targets if self._states.override(*key)]
        cancelled = [key for key in request.targets if self._states.scheduled_override(*key)]
        changed = [key for key in request.targets if key in ended or key in cancelled]
        batch = OrderTransaction(
            removed=tuple(ended),
            unscheduled=tuple(cancelled),
            entries=tuple(self._resume_event(key, signed) for key in changed),
        )
        forecast = Forecast(None, {})
        if request.dry_run:
            forecast = self._changes.forecast(request.targets, ended=changed)
        return _Decision(request, changed, forecast, now, batch, identity)

    def _overrides(self, request: OrderRequest, now: float) -> Sequence[Override]:
        """Return the orders of a request, each for the server that its member is now."""
        wanted = request.overrides(now)
        if request.lasting:
            ahead, boot = self._clock.ahead(), self._clock.boot
            wanted = tuple(replace(one, ahead=ahead, boot=boot) for one in wanted)
        return [self._states.assigned(one) for one in wanted]

    def _resume_event(self, key: Target, signed: Attribution) -> Event:
        override, plan = self._states.override(*key), self._states.scheduled_override(*key)
        if override is not None:
            return removed_event("resume", override, plan, signed)
        if plan is not None:
            return unscheduled_event("cancel", plan, signed)
        return order_event("resume", *key, signed)

    def _result(self, decision: _Decision) -> OrderResult:
        request, now, ahead = decision.request, self._clock(), self._clock.ahead()
        feed = self._context.worker_feed
        firsts = {pool: feed.firsts(pool) for pool in {pool for pool, _ in request.targets}}
        members, in_rotation = [], dict[str, tuple[str, ...]](dict.fromkeys(firsts, ()))
        for key in request.targets:
            pool, name = key
            if not self._states.has(*key):
                report = _without_member(key, self._states.override(*key), now)
                safe_after = decision.at if request.dry_run else now
                members.append(MemberOrderResult(pool, report, safe_after, key in decision.changed))
                continue
            record, plan = self._states.record(pool), self._states.scheduled_override(*key)
            selection = record.selection()
            in_rotation[pool] = tuple(member.name for member in selection.members)
            if request.dry_run:
                safe_after = self._states.safe_after_if_withdrawn(*key, decision.at, ahead)
            report = member_status(record, name, selection, now, firsts[pool], plan, ahead)
            if not request.dry_run:
                safe_after = report.safe_after or now
            members.append(MemberOrderResult(pool, report, safe_after, key in decision.changed))
        is_open = request.dry_run or decision.is_scheduled  # the forecast is still to come true
        return OrderResult(
            id=decision.id if decision.changed and not request.dry_run else "",
            members=tuple(members),
            guard=decision.forecast.refusal if is_open else None,
            remaining=decision.forecast.remaining if is_open else in_rotation,
            dry_run=request.dry_run,
        )


def _without_member(key: Target, override: Override | None, now: float) -> MemberStatus:
    """Return the status of an order that has, or had, no member in the config."""
    member = Member(key[1], override.address if override is not None else "")
    return MemberStatus(member, ASSUMED_UP, now, override, EligibilityReason.NO_MEMBER, 0.0, 0)
