"""What would change whether a member is in rotation, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.explanation import ChangeKind, PossibleChange, possible_changes
from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.standing import Standing
from rrdns.core.model import (
    BootFile,
    Member,
    OrderKind,
    Override,
    Pool,
    ProbeSpec,
    ScheduledOverride,
)
from rrdns.core.status import MemberStatus

PROBE = ProbeSpec((BootFile("ARDBP32.BIN"),), interval=2.0, timeout=1.0, fast_interval=0.2)
MEMBER = Member("pvs-2", "10.0.0.2")
POOL = Pool("boot", "boot.example", (MEMBER,), PROBE)
DRAIN = Override("boot", "pvs-2", OrderKind.DRAIN, "anna", 50.0)
NOW = 100.0
UP = Standing(up=True)


def a_report(
    why: EligibilityReason = EligibilityReason.HEALTHY, standing: Standing = UP, **more: object
) -> MemberStatus:
    report = MemberStatus(MEMBER, standing, 90.0, None, why, 0.5, 7, probed_at=99.5)
    return replace(report, **more)  # type: ignore[arg-type]  # of MemberStatus


def test_a_healthy_member_goes_after_a_run_of_failed_probes() -> None:
    """The next in 1.5 s, and two more 0.2 s after the time-out of the one before."""
    (way,) = possible_changes(POOL, a_report(), NOW)
    assert (way.kind, way.probes, way.passing) == (ChangeKind.PROBES, 3, False)
    assert not way.is_counting
    assert way.seconds == pytest.approx(1.5 + 1.0 + 2 * 1.2)


def test_a_clock_that_was_set_back_puts_no_probe_off() -> None:
    """The last probe was in the future then, and the next one is no later for that."""
    (way,) = possible_changes(POOL, a_report(probed_at=NOW + 7200.0), NOW)
    assert way.seconds == pytest.approx(2.0 + 1.0 + 2 * 1.2)


def test_a_member_in_doubt_needs_fewer() -> None:
    """And they come soon."""
    (way,) = possible_changes(
        POOL, a_report(standing=Standing(up=True, contradicting_probes=2)), NOW
    )
    assert (way.probes, way.passing, way.is_counting) == (1, False, True)
    assert way.seconds == pytest.approx(1.0)


def test_a_member_that_is_down_comes_back_after_good_probes() -> None:
    """How long those take is known from the last good one."""
    recent = ((90.0, 0.3, True), (95.0, 1.0, False))
    down = a_report(
        EligibilityReason.DOWN,
        Standing(up=False, contradicting_probes=1),
        recent=recent,
        probed_at=100.0,
    )
    (way,) = possible_changes(POOL, down, NOW)
    assert (way.probes, way.passing, way.is_counting) == (1, True, True)
    assert way.seconds == pytest.approx(0.2 + 0.3)
    (way,) = possible_changes(POOL, a_report(EligibilityReason.DOWN, Standing(up=False)), NOW)
    assert (way.probes, way.passing, way.is_counting) == (2, True, False)


def test_a_last_resort_goes_when_another_comes_back() -> None:
    """And only then: its own good probes would keep it in."""
    (way,) = possible_changes(
        POOL, a_report(EligibilityReason.LAST_RESORT, Standing(up=False)), NOW
    )
    assert way == PossibleChange(ChangeKind.OTHER_UP)


def test_a_member_that_was_never_probed_waits_for_its_first_one() -> None:
    """It goes if that fails, or comes if that passes."""
    assumed = a_report(EligibilityReason.ASSUMED, Standing(up=True, probed=False), probed_at=None)
    first = PossibleChange(ChangeKind.FIRST_PROBE, probes=1, seconds=2.0)
    assert possible_changes(POOL, assumed, NOW) == (first,)
    awaiting = replace(assumed, why=EligibilityReason.AWAITING_PROBE)
    assert possible_changes(POOL, awaiting, NOW) == (replace(first, passing=True),)


def test_a_backup_waits_for_all_others_to_go() -> None:
    """Its own probes change nothing."""
    (way,) = possible_changes(POOL, a_report(EligibilityReason.STANDBY), NOW)
    assert way == PossibleChange(ChangeKind.OTHERS_OUT)


def test_an_order_ends_at_its_time_or_is_resumed() -> None:
    """The end of an order does not bring in a member whose probes fail."""
    until = replace(DRAIN, until=500.0)
    drained = a_report(EligibilityReason.DRAINED, override=until)
    assert possible_changes(POOL, drained, NOW) == (
        PossibleChange(ChangeKind.ORDER_ENDS, OrderKind.DRAIN, at=500.0),
        PossibleChange(ChangeKind.ORDER_RESUMED, OrderKind.DRAIN),
    )
    down = a_report(EligibilityReason.DRAINED, Standing(up=False), override=DRAIN)
    (resumed,) = possible_changes(POOL, down, NOW)
    assert resumed == PossibleChange(ChangeKind.ORDER_RESUMED, OrderKind.DRAIN, stays_out=True)


def test_an_order_that_holds_up_what_stands_by_itself_is_no_reason() -> None:
    """The end of it changes nothing; of a member that is down it does."""
    forced = replace(DRAIN, order=OrderKind.FORCE_UP)
    assert possible_changes(POOL, a_report(EligibilityReason.FORCED_UP, override=forced), NOW) == ()
    down = a_report(EligibilityReason.FORCED_UP, Standing(up=False), override=forced)
    (way,) = possible_changes(POOL, down, NOW)
    assert way == PossibleChange(ChangeKind.ORDER_RESUMED, OrderKind.FORCE_UP, stays_out=True)


@pytest.mark.parametrize(
    ("why", "order", "tells"),
    [
        (EligibilityReason.HEALTHY, OrderKind.DRAIN, True),
        (EligibilityReason.HEALTHY, OrderKind.FORCE_DOWN, True),
        (EligibilityReason.HEALTHY, OrderKind.FORCE_UP, False),
        (EligibilityReason.DOWN, OrderKind.DRAIN, False),
        (EligibilityReason.DOWN, OrderKind.FORCE_UP, True),
    ],
)
def test_an_order_for_later_is_told_where_it_changes_something(
    why: EligibilityReason, order: OrderKind, tells: bool
) -> None:
    """Nothing comes in by a drain, and nothing leaves by being forced in."""
    plan = ScheduledOverride(replace(DRAIN, order=order, since=900.0), 50.0)
    report = a_report(why, Standing(up=why is EligibilityReason.HEALTHY), plan=plan)
    assert any(way.at == 900.0 for way in possible_changes(POOL, report, NOW)) is tells


def test_an_order_for_later_comes_after_the_probes() -> None:
    """Both may change the member."""
    plan = ScheduledOverride(replace(DRAIN, since=900.0), 50.0)
    way = possible_changes(POOL, a_report(plan=plan), NOW)[-1]
    assert way == PossibleChange(ChangeKind.ORDER_BEGINS, OrderKind.DRAIN, at=900.0)
