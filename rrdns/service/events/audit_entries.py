"""Write the audit lines of orders: who, when, what, before and after, why."""

from __future__ import annotations

from dataclasses import dataclass

from rrdns.core.model import AuditEntry, Override, ScheduledOverride
from rrdns.timeformat import rfc3339


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who ordered a change, when and why."""

    by: str
    at: float
    reason: str
    id: str = ""  # what was ordered together has one
    forced: bool = False


def audit_entry(
    action: str,
    pool: str,
    member: str,
    signed: Attribution,
    *,
    before: str = "",
    after: str = "",
    **details: str,
) -> AuditEntry:
    """Return an audit line; details that say nothing are left out."""
    facts = {"order": signed.id, "forced": "yes" if signed.forced else "", **details}
    return AuditEntry(
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


def set_entry(
    wanted: Override, before: Override | None, signed: Attribution, planned_at: float | None = None
) -> AuditEntry:
    """Return the line of an order that comes into force."""
    return audit_entry(
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


def removed_entry(
    action: str, before: Override, plan: ScheduledOverride | None, signed: Attribution
) -> AuditEntry:
    """Return the line of an order that ends, perhaps with one that was to come."""
    return audit_entry(
        action,
        before.pool,
        before.member,
        signed,
        before=_word(before),
        until_before=_time(before.until),
        cancelled=_planned(plan) if plan else "",
    )


def scheduled_entry(
    plan: ScheduledOverride, before: ScheduledOverride | None, signed: Attribution
) -> AuditEntry:
    """Return the line of an order for later."""
    return audit_entry(
        "plan",
        *plan.key,
        signed,
        before=_planned(before) if before else "",
        after=_planned(plan),
        at=_time(plan.override.since),
        until=_time(plan.override.until),
    )


def unscheduled_entry(action: str, plan: ScheduledOverride, signed: Attribution) -> AuditEntry:
    """Return the line of an order for later that will not be."""
    return audit_entry(
        action, *plan.key, signed, before=_planned(plan), ordered_by=plan.override.by
    )


def _planned(plan: ScheduledOverride) -> str:
    return f"{plan.override.order.value} at {rfc3339(plan.override.since)}"


def _word(override: Override | None) -> str:
    return override.order.value if override is not None else ""


def _time(at: float | None) -> str:
    return "" if at is None else rfc3339(at)
