"""The state of pools and members as the API, the metrics and the page show it."""

from __future__ import annotations

from collections.abc import Mapping

from rrdns.core.health.eligibility import Selection
from rrdns.core.health.probe_timing import detection_time, worst_case
from rrdns.core.model import ScheduledOverride
from rrdns.core.orders.cache_expiry import (
    NEVER,
    safe_after,
)
from rrdns.core.status import MemberStatus, PoolStatus
from rrdns.service.health.pool_states import PoolState, PoolStates


def pool_status(
    states: PoolStates,
    pool: str,
    now: float,
    firsts: Mapping[str, int] | None = None,
    ahead: float = 0.0,
) -> PoolStatus:
    """Return the status of a pool and its members; `firsts` counts first places by address."""
    record = states.record(pool)
    selection = record.selection()
    firsts = firsts or {}
    members = tuple(
        member_status(
            record, name, selection, now, firsts, states.scheduled_override(pool, name), ahead
        )
        for name in record.members
    )
    return PoolStatus(
        pool=record.pool,
        members=members,
        everything_down=selection.everything_down,
        detection=detection_time(record.pool.probe),
        worst_case=worst_case(record.pool),
        queries=sum(firsts.values()),
    )


def member_status(
    record: PoolState,
    name: str,
    selection: Selection,
    now: float,
    firsts: Mapping[str, int],
    plan: ScheduledOverride | None,
    ahead: float,
) -> MemberStatus:
    """Return the status of one member; `firsts` counts first places by address."""
    member_state = record.members[name]
    why = selection.reasons[name]
    exposure = record.cached.get(member_state.member.address, NEVER)
    safe = None if why.in_rotation else safe_after(exposure, now - ahead)
    return MemberStatus(
        member=member_state.member,
        standing=member_state.standing,
        since=member_state.since or now,
        override=member_state.override,
        why=why,
        share=1 / len(selection.members) if why.in_rotation else 0.0,
        answers=firsts.get(member_state.member.address, 0),
        probed_at=member_state.probed_at,
        last_probe=member_state.last_probe,
        recent=tuple(member_state.recent),
        seen=member_state.seen,
        drift=tuple(drift for drift in record.drift if drift.member == name),
        safe_after=None if safe is None else safe + ahead,
        plan=plan,
        deciding_probe=member_state.decided,
    )
