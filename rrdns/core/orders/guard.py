"""Decide whether an order may take members out, or would leave targets without a server."""

from __future__ import annotations

from collections.abc import Mapping

from rrdns.core.health.eligibility import EligibilityReason, Selection, select
from rrdns.core.health.standing import Standing
from rrdns.core.model import Override, Pool


def remaining_if_too_few(
    pool: Pool,
    standings: Mapping[str, Standing],
    before: Mapping[str, Override],
    after: Mapping[str, Override],
) -> tuple[str, ...] | None:
    """Return whom a change of orders would leave, when those are too few.

    None when the change may be made. Too few is less than `pool.min_members` members that a target
    can boot from. A change that takes none of those away is always allowed, save that
    somebody must be left to answer.
    """
    now, then = select(pool, standings, before), select(pool, standings, after)
    if now.members and not then.members:
        return ()
    before_it, left = len(_bootable(now)), _bootable(then)
    if len(left) < min(pool.min_members, before_it or pool.min_members) and len(left) < before_it:
        return left
    return None


def _bootable(selection: Selection) -> tuple[str, ...]:
    """Return who is handed out now or stands by, and can be believed to boot a target."""
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
