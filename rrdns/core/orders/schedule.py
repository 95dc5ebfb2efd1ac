"""When orders begin and end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rrdns.core.model import Override, ScheduledOverride
from rrdns.core.orders.request import Target

HasMember = Callable[[str, str], bool]  # pool, member


def due(
    scheduled: Mapping[Target, ScheduledOverride], has_member: HasMember, now: float
) -> tuple[ScheduledOverride, ...]:
    """Return the scheduled orders whose time has come, the earliest first."""
    found = [
        plan for key, plan in scheduled.items() if plan.override.since <= now and has_member(*key)
    ]
    return tuple(sorted(found, key=lambda plan: (plan.override.since, plan.id)))


def expired(orders: Mapping[Target, Override], now: float) -> tuple[Override, ...]:
    """Return the orders in force whose time is over."""
    return tuple(one for one in orders.values() if not one.is_active(now))


def missed(
    scheduled: Mapping[Target, ScheduledOverride], has_member: HasMember, now: float
) -> tuple[ScheduledOverride, ...]:
    """Return the scheduled orders whose time was over before the config had their member."""
    return tuple(
        plan
        for key, plan in scheduled.items()
        if not has_member(*key) and not plan.override.is_active(now)
    )


def next_change(
    orders: Mapping[Target, Override],
    scheduled: Mapping[Target, ScheduledOverride],
    has_member: HasMember,
) -> float | None:
    """Return when the next order begins or ends, in Unix seconds; None: no order does."""
    times = [one.until for one in orders.values()]
    for key, plan in scheduled.items():
        times.append(plan.override.since if has_member(*key) else plan.override.until)
    return min((at for at in times if at is not None), default=None)
