"""Rows of the database as values, and values as rows."""

from __future__ import annotations

import json
from typing import Any

from rrdns.core.events import Event
from rrdns.core.model import OrderKind, Override, ScheduledOverride


def order_row(override: Override) -> tuple[Any, ...]:
    """Return the row of an order in force."""
    return (
        override.pool,
        override.member,
        override.order.value,
        override.by,
        override.since,
        override.reason,
        override.until,
        override.ahead,
        override.boot,
        override.address,
        override.hostname,
    )


def scheduled_row(plan: ScheduledOverride) -> tuple[Any, ...]:
    """Return the row of a scheduled order."""
    return (*order_row(plan.override), plan.given_at, plan.force, plan.id)


def scheduled_of(row: tuple[Any, ...]) -> ScheduledOverride:
    """Return the scheduled order of a row."""
    *order, given_at, force, identity = row
    return ScheduledOverride(override_of(tuple(order)), given_at, bool(force), identity)


def override_of(row: tuple[Any, ...]) -> Override:
    """Return the order of a row."""
    pool, member, kind, *rest = row
    return Override(pool, member, OrderKind(kind), *rest)


def audit_row(entry: Event) -> tuple[Any, ...]:
    """Return the row of an event, without its number."""
    return (
        entry.at,
        entry.by,
        entry.action,
        entry.pool,
        entry.member,
        entry.reason,
        entry.before,
        entry.after,
        json.dumps(entry.details),
    )


def event_of(row: tuple[Any, ...]) -> Event:
    """Return the event of a row of the audit trail."""
    at, by, action, pool, member, reason, before, after, details, number = row
    kept = json.loads(details)
    return Event(at, by, action, pool, member, reason, before, after, kept, id=number)
