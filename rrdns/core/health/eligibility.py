"""Decide who is handed out to booting machines, and why each other member is not.

What the probes say (standing) and what an admin ordered (override) stay apart until
here; this is the only place where they meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from rrdns.core.health.standing import ASSUMED_UP, Standing
from rrdns.core.model import Member, OnEmpty, OrderKind, Override, Pool


class EligibilityReason(StrEnum):
    """Why a member is in rotation (in the answers), or is not."""

    in_rotation: bool

    HEALTHY = "healthy", True
    ASSUMED = "assumed", True  # not probed yet; believed to be as it was
    AWAITING_PROBE = "awaiting-probe", False  # new; it waits for the end of its first probe
    FORCED_UP = "forced-up", True
    LAST_RESORT = "last-resort", True  # no member is healthy, so all that are not drained are in
    DOWN = "down", False
    DRAINED = "drained", False
    FORCED_DOWN = "forced-down", False
    STANDBY = "standby", False  # a backup, and it is not needed now
    NO_MEMBER = "no-member", False  # an order by this name, and no such member in the config

    def __new__(cls, value: str, in_rotation: bool) -> Self:
        """Make a reason of its word, and of whether it keeps a member in rotation."""
        reason = str.__new__(cls, value)
        reason._value_ = value
        reason.in_rotation = in_rotation
        return reason


@dataclass(frozen=True, slots=True)
class Selection:
    """Who of a pool is handed out, in the order of the config, and why each is or is not."""

    reasons: Mapping[
        str, EligibilityReason
    ]  # member name -> why; every member of the pool is in it
    members: tuple[Member, ...]  # who is handed out
    everything_down: bool  # nothing is healthy: an alarm, whatever is answered

    @property
    def is_awaiting(self) -> bool:
        """Tell whether the result of a first probe is waited for."""
        return EligibilityReason.AWAITING_PROBE in self.reasons.values()


def select(
    pool: Pool, standings: Mapping[str, Standing], overrides: Mapping[str, Override]
) -> Selection:
    """Combine standings and the orders in force into who is handed out.

    `standings` and `overrides` are by member name; a member without a standing is assumed up.
    """
    whys = {
        member.name: _why(standings.get(member.name, ASSUMED_UP), overrides.get(member.name))
        for member in pool.members
    }
    fit = [member for member in pool.members if whys[member.name].in_rotation]
    first_choice = [member for member in fit if not member.backup]
    if first_choice and len(first_choice) < len(fit):
        for member in fit:
            if member.backup and whys[member.name] is not EligibilityReason.FORCED_UP:
                whys[member.name] = EligibilityReason.STANDBY
    awaiting = EligibilityReason.AWAITING_PROBE in whys.values()
    everything_down = not fit and (EligibilityReason.DOWN in whys.values() or not awaiting)
    if not fit and not awaiting and pool.on_empty is OnEmpty.SERVE_ALL:
        for name, why in whys.items():
            if why is EligibilityReason.DOWN:
                whys[name] = EligibilityReason.LAST_RESORT
    members = tuple(member for member in pool.members if whys[member.name].in_rotation)
    return Selection(reasons=whys, members=members, everything_down=everything_down)


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
