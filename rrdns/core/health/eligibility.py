"""Decide who is handed out to booting machines, and why each other member is not.

What the probes say (standing) and what an admin ordered (override) stay apart until
here; this is the only place where they meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rrdns.core.health.standing import ASSUMED_UP, Standing
from rrdns.core.model import Member, OnEmpty, Order, Override, Pool


class Why(StrEnum):
    """Why a member is handed out, or is not."""

    HEALTHY = "healthy"
    ASSUMED = "assumed"  # not probed yet; believed to be as it was
    AWAITING_PROBE = "awaiting-probe"  # new, so it has to wait for the end of its first probe
    FORCED_UP = "forced-up"
    LAST_RESORT = "last-resort"  # nothing is healthy, so everything undrained is handed out
    DOWN = "down"
    DRAINED = "drained"
    FORCED_DOWN = "forced-down"
    STANDBY = "standby"  # a backup, and it is not needed now
    NO_MEMBER = "no-member"  # there is an order by this name, and no such member in the config

    @property
    def handed_out(self) -> bool:
        """Tell whether a member with this reason is in the answers."""
        return self in _IN


_IN = frozenset({Why.HEALTHY, Why.ASSUMED, Why.FORCED_UP, Why.LAST_RESORT})


@dataclass(frozen=True, slots=True)
class Selection:
    """Who of a pool is handed out, in the order of the config, and why each is or is not."""

    whys: Mapping[str, Why]  # member name -> why; every member of the pool is in it
    members: tuple[Member, ...]  # who is handed out
    everything_down: bool  # nothing is healthy: an alarm, whatever is answered

    @property
    def is_awaiting(self) -> bool:
        """Tell whether the result of a first probe is waited for."""
        return Why.AWAITING_PROBE in self.whys.values()


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
    fit = [member for member in pool.members if whys[member.name].handed_out]
    first_choice = [member for member in fit if not member.backup]
    if first_choice and len(first_choice) < len(fit):
        for member in fit:
            if member.backup and whys[member.name] is not Why.FORCED_UP:
                whys[member.name] = Why.STANDBY
    awaiting = Why.AWAITING_PROBE in whys.values()
    everything_down = not fit and (Why.DOWN in whys.values() or not awaiting)
    if not fit and not awaiting and pool.on_empty is OnEmpty.SERVE_ALL:
        for name, why in whys.items():
            if why is Why.DOWN:
                whys[name] = Why.LAST_RESORT
    members = tuple(member for member in pool.members if whys[member.name].handed_out)
    return Selection(whys=whys, members=members, everything_down=everything_down)


def _why(standing: Standing, override: Override | None) -> Why:
    if override is not None:
        return _ORDERED[override.order]
    if standing.awaited:
        return Why.AWAITING_PROBE
    if not standing.up:
        return Why.DOWN
    return Why.HEALTHY if standing.settled else Why.ASSUMED


_ORDERED = {
    Order.DRAIN: Why.DRAINED,
    Order.FORCE_UP: Why.FORCED_UP,
    Order.FORCE_DOWN: Why.FORCED_DOWN,
}
