"""Find what would change whether a member is in rotation: probes, other members, orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.model import OrderKind, Override, Pool, ProbeSpec
from rrdns.core.status import MemberStatus


class ChangeKind(StrEnum):
    """The kinds of events that change whether a member is in rotation."""

    FIRST_PROBE = "first-probe"  # it passes, or fails
    PROBES = "probes"  # so many in a row pass, or fail
    OTHERS_OUT = "others-out"  # no other member can be in rotation: for a backup
    OTHER_UP = "other-up"  # the probes of another member pass: for a last resort
    ORDER_ENDS = "order-ends"  # at the time that it has
    ORDER_RESUMED = "order-resumed"  # an admin ends it
    ORDER_BEGINS = "order-begins"  # at the time that it is scheduled for


@dataclass(frozen=True, slots=True)
class PossibleChange:
    """One event that would change whether a member is in rotation."""

    kind: ChangeKind
    order: OrderKind | None = None  # the one that ends or begins
    at: float | None = None  # Unix seconds: it happens then
    probes: int | None = None  # so many more in a row
    seconds: float | None = None  # about how long they take from now on
    passing: bool = False  # the probes must pass; else they must fail
    is_counting: bool = False  # some of the probes in a row were counted already
    stays_out: bool = False  # its probes fail, so the end of the order does not bring it in


def possible_changes(pool: Pool, report: MemberStatus, now: float) -> tuple[PossibleChange, ...]:
    """Return the events that would take a member out of rotation, or bring it in."""
    if report.override is not None:
        changes = _by_order(report, report.override)
    elif report.why is EligibilityReason.STANDBY:
        changes = iter([PossibleChange(ChangeKind.OTHERS_OUT)])
    elif report.why is EligibilityReason.LAST_RESORT:  # its own good probes would only keep it in
        changes = iter([PossibleChange(ChangeKind.OTHER_UP)])
    else:
        changes = _by_probes(pool.probe, report, now)
    return (*changes, *_by_plan(report))


def _by_order(report: MemberStatus, override: Override) -> Iterator[PossibleChange]:
    order, up = override.order, report.standing.up
    if order is OrderKind.FORCE_UP and up:
        return  # it stays in without the order
    if override.until is not None:
        yield PossibleChange(ChangeKind.ORDER_ENDS, order, at=override.until, stays_out=not up)
    yield PossibleChange(ChangeKind.ORDER_RESUMED, order, stays_out=not up)


def _by_probes(probe: ProbeSpec, report: MemberStatus, now: float) -> Iterator[PossibleChange]:
    if not report.standing.probed:
        seconds, passing = _to_next(probe, report, now), not report.why.in_rotation
        yield PossibleChange(ChangeKind.FIRST_PROBE, probes=1, seconds=seconds, passing=passing)
        return
    passing, counted = not report.standing.up, report.standing.contradicting_probes
    needed = (probe.rise if passing else probe.fall) - counted
    takes = _usual(report) if passing else probe.timeout
    gap = min(probe.fast_interval, probe.interval)
    yield PossibleChange(
        ChangeKind.PROBES,
        probes=needed,
        seconds=_to_next(probe, report, now) + takes + (needed - 1) * (gap + takes),
        passing=passing,
        is_counting=counted > 0,
    )


def _by_plan(report: MemberStatus) -> Iterator[PossibleChange]:
    if report.plan is None:
        return
    override = report.plan.override
    if report.why.in_rotation is not (override.order is OrderKind.FORCE_UP):
        yield PossibleChange(ChangeKind.ORDER_BEGINS, override.order, at=override.since)


def _to_next(probe: ProbeSpec, report: MemberStatus, now: float) -> float:
    """Return about how long it is until the next probe."""
    gap = probe.fast_interval if report.standing.is_contradicted else probe.interval
    # A clock that was set back makes the last probe one of the future.
    return min(gap, max(0.0, (report.probed_at or now) + gap - now))


def _usual(report: MemberStatus) -> float:
    """Return how long the member's last good probe took."""
    return next((seconds for _, seconds, passed in reversed(report.recent) if passed), 0.0)
