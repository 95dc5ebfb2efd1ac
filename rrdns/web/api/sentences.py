"""Sentences and commands for the codes of the API: the one table that the CLI and the page print.

They name no times. The CLI and the page add those, in the form that suits them.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple

from rrdns.core.explanation import ChangeKind, PossibleChange
from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.standing import Standing
from rrdns.core.model import OrderKind, Override
from rrdns.core.status import MemberStatus

_ORDERED = {
    OrderKind.DRAIN: "drained",
    OrderKind.FORCE_UP: "forced in",
    OrderKind.FORCE_DOWN: "forced out",
}
_REASONS = {
    EligibilityReason.DRAINED: _ORDERED[OrderKind.DRAIN],
    EligibilityReason.FORCED_UP: _ORDERED[OrderKind.FORCE_UP],
    EligibilityReason.FORCED_DOWN: _ORDERED[OrderKind.FORCE_DOWN],
    EligibilityReason.HEALTHY: "healthy",
    EligibilityReason.ASSUMED: "not probed yet, assumed healthy",
    EligibilityReason.AWAITING_PROBE: "new, waits for its first probe",
    EligibilityReason.LAST_RESORT: "down, in rotation because all members are down",
    EligibilityReason.DOWN: "down",
    EligibilityReason.STANDBY: "backup, not needed now",
    EligibilityReason.NO_MEMBER: "not in the config",
}
_ORDER_NAMES = {
    OrderKind.DRAIN: "drain",
    OrderKind.FORCE_UP: "force up",
    OrderKind.FORCE_DOWN: "force down",
}


class Sentences(NamedTuple):
    """The sentences of a member; empty without an order."""

    member: str  # why it is in rotation or out
    standing: str  # the result of its probes
    override: str  # the order in force, and who gave it
    plan: str  # the order for later, and who gave it


def sentences_of(report: MemberStatus) -> Sentences:
    """Return the sentences of a member."""
    standing = _standing(report.standing)
    override = _order(report.override) if report.override else ""
    plan = f"will be {_order(report.plan.override)}" if report.plan else ""
    reason = _REASONS[report.why] + _contradiction(report.standing)
    return Sentences(f"{override}; {standing}" if override else reason, standing, override, plan)


def _standing(standing: Standing) -> str:
    if not standing.probed:
        return "not probed yet"
    return f"its probes {'pass' if standing.up else 'fail'}{_contradiction(standing)}"


def _order(override: Override) -> str:
    return f"{_ORDERED[override.order]} by {override.by}"


def change_sentence(change: PossibleChange) -> str:
    """Return the condition that changes whether a member is in rotation."""
    order = _ORDER_NAMES[change.order] if change.order else ""
    stays_out = "; its probes fail, so it stays out until they pass" if change.stays_out else ""
    match change.kind:
        case ChangeKind.FIRST_PROBE:
            return f"its first probe {'passes' if change.passing else 'fails'}"
        case ChangeKind.PROBES:
            more = "more " if change.is_counting else ""
            if change.probes == 1:
                return f"1 {more}probe {'passes' if change.passing else 'fails'}"
            return f"{change.probes} {more}probes in a row {'pass' if change.passing else 'fail'}"
        case ChangeKind.OTHERS_OUT:
            return "no other member can be in rotation, because it is a backup"
        case ChangeKind.OTHER_UP:
            return "another member comes up, because it is in rotation only while all are down"
        case ChangeKind.ORDER_ENDS:
            return f"the {order} ends{stays_out}"
        case ChangeKind.ORDER_RESUMED:
            return f"an admin ends the {order}{stays_out}"
        case ChangeKind.ORDER_BEGINS:
            return f"a {order} begins"


def change_command(pool: str, member: str, change: PossibleChange) -> str:
    """Return the command that brings a change about, or cancels it; empty if there is none."""
    if change.kind not in {ChangeKind.ORDER_RESUMED, ChangeKind.ORDER_BEGINS}:
        return ""
    return f"rrdns resume {shlex.quote(member)} --pool {shlex.quote(pool)}"


def _contradiction(standing: Standing) -> str:
    count = standing.contradicting_probes
    if not count:
        return ""
    probes = "the last probe" if count == 1 else f"the last {count} probes"
    return f", but {probes} {'failed' if standing.up else 'passed'}"
