"""The part of the pools' state that is saved with a snapshot, and restored at a start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rrdns.core.health.standing import Standing
from rrdns.core.orders.cache_expiry import CachedAnswers, expiry
from rrdns.service.health.pool_states import PoolStates

Standings = dict[str, dict[str, bool]]  # pool -> member -> up
Expiring = dict[str, dict[str, float]]  # pool -> address -> when the last answer expires


def standings_of(states: PoolStates, pools: Iterable[str]) -> Standings:
    """Return which members are up, by their probes."""
    return {
        pool: {name: member.standing.up for name, member in states.record(pool).members.items()}
        for pool in pools
    }


def expiring_of(states: PoolStates, pools: Iterable[str], now: float) -> Expiring:
    """Return when withdrawn answers expire, or expired, by the steady clock."""
    found: Expiring = {}
    for pool in pools:
        cached = states.record(pool).cached
        ends = {address: expiry(exposure, now) for address, exposure in cached.items()}
        found[pool] = {address: end for address, end in ends.items() if end}
    return found


def restore_standings(
    states: PoolStates, standings: Mapping[str, Mapping[str, bool]], *, settled: bool
) -> None:
    """Restore standings from before a restart.

    `settled`: the gap was short, so they count as proven; otherwise the first probe
    of each member decides.
    """
    for pool, members in standings.items():
        for name, up in members.items():
            if states.has(pool, name):
                states.restore_standing(pool, name, Standing(up=up, probed=settled))


def restore_cached(
    states: PoolStates, pool: str, addresses: Mapping[str, tuple[int | None, float]]
) -> None:
    """Restore what is known of answers from before a restart.

    `addresses`: the TTL of the answers that may still be given, and when others expire
    (by the steady clock).
    """
    states.record(pool).cached = {
        address: CachedAnswers(ttl=ttl, expires_at=until)
        for address, (ttl, until) in addresses.items()
    }
