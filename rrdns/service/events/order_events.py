"""Make the events of orders: who, when, what, before and after, why."""

from __future__ import annotations

from dataclasses import dataclass

from rrdns.core.events import Event
from rrdns.core.model import Override, ScheduledOverride
from rrdns.timeformat import rfc3339


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who ordered a change, when and why."""

    by: str
    at: float
    reason: str
    id: str = ""  # of the order; its members share it
    forced: bool = False


def order_event(
    action: str,
    pool: str,
    member: str,
    signed: Attribution,
    *,
    before: str = "",
    after: str = "",
    **details: str,
) -> Event:
    """Return the event of an order; empty details are left out."""
    facts = {"order": signed.id, "forced": "yes" if signed.forced else "", **details}
    return Event(
        at=signed.at,
        by=signed.by,
        action=action,
        pool=pool,
        member=member,
        reason=signed.reason,
        before=before,
        after=after,
        details={name: fact for name, fact in facts.items() if fact},
    )


def set_event(
    wanted: Override, before: Override | None, signed: Attribution, planned_at: float | None = None
) -> Event:
    """Return the event of an order that comes into force."""
    return order_event(
        wanted.order.value,
        wanted.pool,
        wanted.member,
        signed,
        before=_word(before),
        after=_word(wanted),
        until=_time(wanted.until),
        until_before=_time(before.until if before else None),
        planned=_time(planned_at),
    )


def removed_event(
    action: str, before: Override, plan: ScheduledOverride | None, signed: Attribution
) -> Event:
    """Return the event of an order that ends, perhaps together with a scheduled one."""
    return order_event(
        action,
        before.pool,
        before.member,
        signed,
        before=_word(before),
        until_before=_time(before.until),
        cancelled=_planned(plan) if plan else "",
    )


def scheduled_event(
    plan: ScheduledOverride, before: ScheduledOverride | None, signed: Attribution
) -> Event:
    """Return the event of an order that is scheduled."""
    return order_event(
        "plan",
        *plan.key,
        signed,
        before=_planned(before) if before else "",
        after=_planned(plan),
        at=_time(plan.override.since),
        until=_time(plan.override.until),
    )


def unscheduled_event(action: str, plan: ScheduledOverride, signed: Attribution) -> Event:
    """Return the event of a scheduled order that is cancelled or refused."""
    return order_event(
        action, *plan.key, signed, before=_planned(plan), ordered_by=plan.override.by
    )


def _planned(plan: ScheduledOverride) -> str:
    return f"{plan.override.order.value} at {rfc3339(plan.override.since)}"


def _word(override: Override | None) -> str:
    return override.order.value if override is not None else ""


def _time(at: float | None) -> str:
    return "" if at is None else rfc3339(at)
