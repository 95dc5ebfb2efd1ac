"""The state of one member, and how a reload carries it over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rrdns.core.health.probe_result import LoadedFile, ProbeResult
from rrdns.core.health.standing import AWAITED, Standing
from rrdns.core.model import Member, Override, ProbeSpec

RECENT_PROBES = 120


@dataclass(slots=True)
class MemberState:
    """What is known of one member."""

    member: Member
    standing: Standing = AWAITED
    since: float = 0.0
    override: Override | None = None
    last_probe: ProbeResult | None = None
    probed_at: float | None = None
    decided: tuple[ProbeResult, float] | None = None  # the probe that made the standing, and when
    seen: tuple[LoadedFile, ...] = ()
    recent: deque[tuple[float, float, bool]] = field(
        default_factory=lambda: deque(maxlen=RECENT_PROBES)
    )


def carry_over(
    known: Iterable[MemberState], member: Member, now: float, *, proven: bool
) -> MemberState:
    """Return the state of a member of a new config: that of its address, if there was one.

    `proven`: its standing comes from probes like those of the new config.
    """
    state = next((one for one in known if one.member.address == member.address), None)
    if state is None:
        return MemberState(member, since=now)
    if not proven:
        unproven = replace(state.standing, probed=False, contradicting_probes=0)
        return replace(state, member=member, standing=unproven, seen=(), decided=None)
    return replace(state, member=member)


def probes_alike(one: ProbeSpec, other: ProbeSpec) -> bool:
    """Return whether two probes prove the same: the same files on the same port."""
    return (one.files, one.port) == (other.files, other.port)
