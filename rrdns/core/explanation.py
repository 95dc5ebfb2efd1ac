"""Say what would change a member's place: more probes, the end of an order, a word of an admin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.model import OrderKind, Override, Pool, ProbeSpec
from rrdns.core.status import MemberStatus


@dataclass(frozen=True, slots=True)
class PossibleChange:
    """One thing that would change whether a member is handed out."""

    sentence: str
    at: float | None = None  # Unix seconds: it happens then
    probes: int | None = None  # so many more in a row
    seconds: float | None = None  # about how long they take from now on
    command: str = ""  # what an admin would say


def possible_changes(pool: Pool, report: MemberStatus, now: float) -> tuple[PossibleChange, ...]:
    """Return what would take a member out, or bring it in."""
    if report.override is not None:
        ways = _by_order(pool, report, report.override)
    elif report.why is EligibilityReason.STANDBY:
        ways = iter([PossibleChange("no other member can be handed out: it is a backup")])
    elif report.why is EligibilityReason.LAST_RESORT:  # its own good probes would only keep it in
        ways = iter(
            [
                PossibleChange(
                    "another member comes back: this one is handed out because all are down"
                )
            ]
        )
    else:
        ways = _by_probes(pool.probe, report, now)
    return (*ways, *_by_plan(pool, report))


_WORDS = {
    OrderKind.DRAIN: "drain",
    OrderKind.FORCE_UP: "force up",
    OrderKind.FORCE_DOWN: "force down",
}


def _by_order(pool: Pool, report: MemberStatus, order: Override) -> Iterator[PossibleChange]:
    if order.order is OrderKind.FORCE_UP and report.standing.up:
        return  # it stays in without the order
    word = _WORDS[order.order]
    then = "" if report.standing.up else "; it is down, so it stays out until its probes pass"
    if order.until is not None:
        yield PossibleChange(f"the {word} ends by itself{then}", at=order.until)
    command = f"rrdns resume {report.member.name} --pool {pool.name}"
    yield PossibleChange(f"somebody ends the {word}{then}", command=command)


def _by_probes(probe: ProbeSpec, report: MemberStatus, now: float) -> Iterator[PossibleChange]:
    if not report.standing.probed:
        yield PossibleChange(
            "its first probe tells", probes=1, seconds=_to_next(probe, report, now)
        )
        return
    passing = not report.standing.up
    needed = (probe.rise if passing else probe.fall) - report.standing.contradicting_probes
    takes = _usual(report) if passing else probe.timeout
    gap = min(probe.fast_interval, probe.interval)
    seconds = _to_next(probe, report, now) + takes + (needed - 1) * (gap + takes)
    word = "good" if passing else "failed"
    more = "more " if report.standing.contradicting_probes else ""
    row = "probe" if needed == 1 else "probes in a row"
    yield PossibleChange(f"{needed} {more}{word} {row}", probes=needed, seconds=seconds)


def _by_plan(pool: Pool, report: MemberStatus) -> Iterator[PossibleChange]:
    if report.plan is None:
        return
    order = report.plan.override
    if report.why.in_rotation is not (order.order is OrderKind.FORCE_UP):
        command = f"rrdns resume {report.member.name} --pool {pool.name}"
        yield PossibleChange(f"a {_WORDS[order.order]} begins", at=order.since, command=command)


def _to_next(probe: ProbeSpec, report: MemberStatus, now: float) -> float:
    """Return how long it is to the next probe, about."""
    gap = probe.fast_interval if report.standing.is_contradicted else probe.interval
    # A clock that was set back makes the last probe one of the future.
    return min(gap, max(0.0, (report.probed_at or now) + gap - now))


def _usual(report: MemberStatus) -> float:
    """Return how long the member's last good probe took."""
    return next((seconds for _, seconds, passed in reversed(report.recent) if passed), 0.0)
