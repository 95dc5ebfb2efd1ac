"""Decide whether an order may take members out, or would leave targets without a server."""

from __future__ import annotations

from collections.abc import Sequence

from rrdns.core.health.eligibility import EligibilityReason, Selection
from rrdns.core.model import Pool
from rrdns.errors import TooFewMembers


def check_guard(
    pool: Pool, now: Selection, then: Selection, ordered: Sequence[str]
) -> TooFewMembers | None:
    """Return why the guard refuses orders for the members `ordered`, or None.

    `now` and `then`: the pool's selection without the orders and with them.
    """
    left = remaining_if_too_few(pool, now, then)
    if left is None:
        return None
    return TooFewMembers(pool.name, "', '".join(ordered), left, pool.min_members, len(ordered))


def remaining_if_too_few(pool: Pool, now: Selection, then: Selection) -> tuple[str, ...] | None:
    """Return the members that a change of orders would leave if they are too few, or None.

    Too few means less than `pool.min_members` members that a target can boot from. A change that
    takes out none of those is always allowed, except that a pool with a member in rotation must
    keep one.
    """
    if now.members and not then.members:
        return ()
    before, left = len(_bootable(now)), _bootable(then)
    if len(left) < min(pool.min_members, before or pool.min_members) and len(left) < before:
        return left
    return None


def _bootable(selection: Selection) -> tuple[str, ...]:
    """Return the members in rotation or on standby that a target can probably boot from."""
    return tuple(name for name, why in selection.reasons.items() if why in _BOOTABLE)


_BOOTABLE = frozenset(
    {
        EligibilityReason.HEALTHY,
        EligibilityReason.ASSUMED,
        EligibilityReason.AWAITING_PROBE,
        EligibilityReason.FORCED_UP,
        EligibilityReason.STANDBY,
    }
)
