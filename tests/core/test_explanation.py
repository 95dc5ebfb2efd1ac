"""What would change a member's place, in words and times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.explanation import PossibleChange, possible_changes
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
    assert (way.sentence, way.probes) == ("3 failed probes in a row", 3)
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
    assert (way.sentence, way.probes) == ("1 more failed probe", 1)
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
    assert (way.sentence, way.probes) == ("1 more good probe", 1)
    assert way.seconds == pytest.approx(0.2 + 0.3)
    (way,) = possible_changes(POOL, a_report(EligibilityReason.DOWN, Standing(up=False)), NOW)
    assert way.sentence == "2 good probes in a row"


def test_a_last_resort_goes_when_another_comes_back() -> None:
    """And only then: its own good probes would keep it in."""
    (way,) = possible_changes(
        POOL, a_report(EligibilityReason.LAST_RESORT, Standing(up=False)), NOW
    )
    assert way.sentence.startswith("another member comes back")


def test_a_member_that_was_never_probed_waits_for_its_first_one() -> None:
    """One tells."""
    assumed = a_report(EligibilityReason.ASSUMED, Standing(up=True, probed=False), probed_at=None)
    assert possible_changes(POOL, assumed, NOW) == (
        PossibleChange("its first probe tells", probes=1, seconds=2.0),
    )


def test_a_backup_waits_for_all_others_to_go() -> None:
    """Its own probes change nothing."""
    (way,) = possible_changes(POOL, a_report(EligibilityReason.STANDBY), NOW)
    assert "it is a backup" in way.sentence


def test_an_order_ends_at_its_time_or_by_a_word() -> None:
    """Whose word that is can be copied."""
    until = replace(DRAIN, until=500.0)
    ends, word = possible_changes(POOL, a_report(EligibilityReason.DRAINED, override=until), NOW)
    assert (ends.sentence, ends.at) == ("the drain ends by itself", 500.0)
    assert word.command == "rrdns resume pvs-2 --pool boot"
    down = a_report(EligibilityReason.DRAINED, Standing(up=False), override=DRAIN)
    (word,) = possible_changes(POOL, down, NOW)
    assert "it is down, so it stays out until its probes pass" in word.sentence


def test_an_order_that_holds_up_what_stands_by_itself_is_no_reason() -> None:
    """The end of it changes nothing; of a member that is down it does."""
    forced = replace(DRAIN, order=OrderKind.FORCE_UP)
    assert possible_changes(POOL, a_report(EligibilityReason.FORCED_UP, override=forced), NOW) == ()
    down = a_report(EligibilityReason.FORCED_UP, Standing(up=False), override=forced)
    (way,) = possible_changes(POOL, down, NOW)
    assert way.sentence.startswith("somebody ends the force up; it is down")


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


def test_an_order_for_later_is_told_with_how_to_cancel_it() -> None:
    """Beside what the probes may do."""
    plan = ScheduledOverride(replace(DRAIN, since=900.0), 50.0)
    way = possible_changes(POOL, a_report(plan=plan), NOW)[-1]
    assert (way.at, way.command) == (900.0, "rrdns resume pvs-2 --pool boot")
