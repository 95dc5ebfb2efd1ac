"""Decide which members are in rotation, and why each other member is not.

Standings (from probes) and overrides (from admins) are separate values everywhere else. Only
this module combines them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from rrdns.core.health.standing import ASSUMED_UP, Standing
from rrdns.core.model import Member, OnEmpty, OrderKind, Override, Pool


class EligibilityReason(StrEnum):
    """Why a member is in rotation (in the answers) or not."""

    in_rotation: bool

    HEALTHY = "healthy", True
    ASSUMED = "assumed", True  # not probed yet, assumed to be as it was before
    AWAITING_PROBE = "awaiting-probe", False  # new: out until its first probe has passed
    FORCED_UP = "forced-up", True
    LAST_RESORT = "last-resort", True  # no member is healthy, so all that are not drained are in
    DOWN = "down", False
    DRAINED = "drained", False
    FORCED_DOWN = "forced-down", False
    STANDBY = "standby", False  # a backup, not needed now
    NO_MEMBER = "no-member", False  # an order for this name, but no such member in the config

    def __new__(cls, value: str, in_rotation: bool) -> Self:
        """Return a reason with its code, and whether a member with it is in rotation."""
        reason = str.__new__(cls, value)
        reason._value_ = value
        reason.in_rotation = in_rotation
        return reason


@dataclass(frozen=True, slots=True)
class Selection:
    """The members of a pool that are in rotation, in the order of the config, and all reasons."""

    reasons: Mapping[str, EligibilityReason]  # by member name; all members of the pool
    members: tuple[Member, ...]  # those in rotation
    everything_down: bool  # no member is healthy: an alarm, also with `on_empty`

    @property
    def is_awaiting(self) -> bool:
        """Return whether a member waits for the result of its first probe."""
        return EligibilityReason.AWAITING_PROBE in self.reasons.values()


def select(
    pool: Pool, standings: Mapping[str, Standing], overrides: Mapping[str, Override]
) -> Selection:
    """Return the members in rotation, from the standings and the orders in force.

    `standings` and `overrides` are by member name; a member without a standing is assumed up.
    """
    reasons = {
        member.name: _why(standings.get(member.name, ASSUMED_UP), overrides.get(member.name))
        for member in pool.members
    }
    eligible = [member for member in pool.members if reasons[member.name].in_rotation]
    primaries = [member for member in eligible if not member.backup]
    if primaries and len(primaries) < len(eligible):
        for member in eligible:
            if member.backup and reasons[member.name] is not EligibilityReason.FORCED_UP:
                reasons[member.name] = EligibilityReason.STANDBY
    awaiting = EligibilityReason.AWAITING_PROBE in reasons.values()
    everything_down = not eligible and (EligibilityReason.DOWN in reasons.values() or not awaiting)
    if not eligible and not awaiting and pool.on_empty is OnEmpty.SERVE_ALL:
        for name, reason in reasons.items():
            if reason is EligibilityReason.DOWN:
                reasons[name] = EligibilityReason.LAST_RESORT
    members = tuple(member for member in pool.members if reasons[member.name].in_rotation)
    return Selection(reasons=reasons, members=members, everything_down=everything_down)


def _why(standing: Standing, override: Override | None) -> EligibilityReason:
    if override is not None:
        return _ORDERED[override.order]
    if standing.awaited:
        return EligibilityReason.AWAITING_PROBE
    if not standing.up:
        return EligibilityReason.DOWN
    return EligibilityReason.HEALTHY if standing.probed else EligibilityReason.ASSUMED


_ORDERED = {
    OrderKind.DRAIN: EligibilityReason.DRAINED,
    OrderKind.FORCE_UP: EligibilityReason.FORCED_UP,
    OrderKind.FORCE_DOWN: EligibilityReason.FORCED_DOWN,
}
