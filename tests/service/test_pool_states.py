"""The roster keeps what was observed and what was ordered, over reloads and restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.probe_result import LoadedFile, ProbeDepth, ProbeResult, Verdict
from rrdns.core.health.standing import Standing
from rrdns.core.model import BootFile, Member, OrderKind, Override, Pool, ProbeSpec
from rrdns.core.orders.cache_expiry import STALE_WORKER_SECONDS, TTL_ROUNDING
from rrdns.core.orders.schedule import expired, next_change
from rrdns.errors import UnknownMember, UnknownPool
from rrdns.service.health.member_state import RECENT_PROBES
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.health.saved_state import restore_standings, standings_of
from rrdns.service.health.status_view import pool_status
from tests.service.control_harness import assume_all_up

MEMBERS = tuple(Member(f"pvs-{n}", f"10.0.0.{n}") for n in (1, 2, 3))
POOL = Pool("boot", "boot.example", MEMBERS, ProbeSpec((BootFile("ARDBP32.BIN"),)))
PASSED = ProbeResult(Verdict.OK, "fine", ProbeDepth.LIGHT, 0.002)
FAILED = ProbeResult(Verdict.TIMEOUT, "silence", ProbeDepth.LIGHT, 1.0)


def a_roster(*pools: Pool) -> PoolStates:
    states = PoolStates()
    states.configure(pools or (POOL,), now=100.0)
    assume_all_up(states)
    return states


def a_drain(member: str, until: float | None = None) -> Override:
    return Override("boot", member, OrderKind.DRAIN, "anna", 100.0, "patch", until)


def reasons(states: PoolStates) -> list[EligibilityReason]:
    return [member.why for member in pool_status(states, "boot", 200.0).members]


def test_the_first_probe_settles_a_member_and_later_ones_need_a_run() -> None:
    """One success is up; then it takes `fall` failures."""
    states = a_roster()
    assert states.observe("boot", "pvs-1", PASSED, 101.0)
    assert reasons(states) == [
        EligibilityReason.HEALTHY,
        EligibilityReason.ASSUMED,
        EligibilityReason.ASSUMED,
    ]
    changes = [states.observe("boot", "pvs-1", FAILED, 102.0 + n) for n in range(3)]
    assert changes == [False, False, True]
    assert states.rrset("boot").addresses == ("10.0.0.2", "10.0.0.3")
    assert states.state("boot", "pvs-1").since == 104.0


def test_what_does_not_exist_is_named() -> None:
    """Unknown pools and members are errors that name them."""
    states = a_roster()
    with pytest.raises(UnknownPool, match="'boots'"):
        states.rrset("boots")
    with pytest.raises(UnknownMember, match="pool 'boot' has no member 'pvs-9'"):
        states.set_override(a_drain("pvs-9"))


def test_orders_end_when_their_time_has_come() -> None:
    """The next end is known beforehand, so that nobody has to look each second."""
    states = a_roster()
    assert next_change(states.orders(), {}, states.has) is None
    states.set_override(a_drain("pvs-1", until=150.0))
    states.set_override(a_drain("pvs-2"))
    assert next_change(states.orders(), {}, states.has) == 150.0
    assert expired(states.orders(), 149.9) == ()
    assert expired(states.orders(), 150.0) == (a_drain("pvs-1", until=150.0),)


def test_a_reload_keeps_what_is_known_of_members_that_stay() -> None:
    """Another TTL, another member: the rest is as before."""
    states = a_roster()
    for _ in range(3):
        states.observe("boot", "pvs-1", FAILED, 101.0)
    states.set_override(a_drain("pvs-2"))
    changed = replace(POOL, ttl=9, members=(*MEMBERS[:2], Member("pvs-4", "10.0.0.4")))
    other = replace(POOL, name="other", hostname="other.example")
    assert states.configure((changed, other), 110.0) == ()
    assert reasons(states) == [
        EligibilityReason.DOWN,
        EligibilityReason.DRAINED,
        EligibilityReason.AWAITING_PROBE,
    ]
    assert states.rrset("boot").ttl == 9
    assert states.configure((other,), 120.0) == ("boot",)


def test_a_standing_earned_elsewhere_proves_nothing() -> None:
    """Another address waits for its probe; one that serves another file stays until it tells."""
    states = a_roster()
    for member in ("pvs-1", "pvs-2", "pvs-3"):
        states.observe("boot", member, PASSED, 101.0)
    moved = (Member("pvs-1", "10.9.9.9"), *MEMBERS[1:])
    states.configure((replace(POOL, members=moved),), 110.0)
    assert reasons(states) == [
        EligibilityReason.AWAITING_PROBE,
        EligibilityReason.HEALTHY,
        EligibilityReason.HEALTHY,
    ]
    other_file = ProbeSpec((BootFile("pvsnbpx64.efi"),))
    states.configure((replace(POOL, members=moved, probe=other_file),), 120.0)
    assert reasons(states) == [
        EligibilityReason.AWAITING_PROBE,
        EligibilityReason.ASSUMED,
        EligibilityReason.ASSUMED,
    ]


@pytest.mark.parametrize("settled", [True, False])
def test_standings_are_remembered_over_a_restart(settled: bool) -> None:
    """After a short gap they count as proven, after a long one the first probe tells."""
    states = a_roster()
    restore_standings(
        states, {"boot": {"pvs-1": False, "gone": True}, "gone": {"x": True}}, settled=settled
    )
    assert states.state("boot", "pvs-1").standing == Standing(up=False, probed=settled)
    assert reasons(states)[0] is EligibilityReason.DOWN
    assert standings_of(states, ["boot"]) == {
        "boot": {"pvs-1": False, "pvs-2": True, "pvs-3": True}
    }


def safe_after(states: PoolStates, member: int = 0) -> float | None:
    return pool_status(states, "boot", 131.0).members[member].safe_after


def a_drained_roster() -> PoolStates:
    states = a_roster()
    states.on_published("boot", 1)
    states.on_applied("boot", 1, 100.0)
    states.set_override(a_drain("pvs-1"))
    states.on_published("boot", 2)
    return states


def test_safe_after_is_one_ttl_after_the_last_answer() -> None:
    """It counts from the moment all workers had the change, and only for who is out."""
    states = a_drained_roster()
    assert (
        safe_after(states) == 131.0 + STALE_WORKER_SECONDS + 5 + TTL_ROUNDING
    )  # not yet everywhere
    states.on_applied("boot", 2, 130.0)
    assert safe_after(states) == 136.0
    assert safe_after(states, 1) is None
    shares = [member.share for member in pool_status(states, "boot", 131.0).members]
    assert shares == [0.0, 0.5, 0.5]


def test_safe_after_knows_a_ttl_that_a_reload_has_lowered() -> None:
    """The old TTL was handed out until then, and is in resolvers' caches."""
    states = a_roster(replace(POOL, ttl=300))
    states.on_published("boot", 1)
    states.configure((POOL,), 110.0)
    states.on_published("boot", 2)
    states.on_applied("boot", 2, 110.5)
    states.set_override(a_drain("pvs-1"))
    states.on_published("boot", 3)
    states.on_applied("boot", 3, 120.0)
    assert safe_after(states) == 110.5 + 300 + TTL_ROUNDING


def test_safe_after_survives_a_new_name_of_the_member_or_the_pool() -> None:
    """Resolvers know addresses and hostnames only."""
    states = a_drained_roster()
    states.on_applied("boot", 2, 130.0)
    renamed = replace(POOL, name="boot-2", members=(Member("old", "10.0.0.1"), *MEMBERS[1:]))
    states.configure((renamed,), 131.0)
    states.set_override(replace(a_drain("old"), pool="boot-2"))
    assert pool_status(states, "boot-2", 131.0).members[0].safe_after == 136.0


def test_an_address_that_left_the_config_is_forgotten_when_its_answers_are_over() -> None:
    """Not before: it may come back, and be drained."""
    states = a_drained_roster()
    states.on_applied("boot", 2, 130.0)
    rest = replace(POOL, members=MEMBERS[1:])
    states.configure((rest,), 131.0)
    assert "10.0.0.1" in states.record("boot").cached
    states.configure((rest,), 131.5)
    states.configure((rest,), 136.1)
    assert "10.0.0.1" not in states.record("boot").cached


def test_a_report_counts_first_places_and_the_worst_case() -> None:
    """4.4 s to detect, 10 ms to publish, 5 s of TTL."""
    report = pool_status(a_roster(), "boot", 100.0, {"10.0.0.2": 7, "10.0.0.3": 5})
    assert report.worst_case == pytest.approx(9.41)
    assert report.queries == 12
    assert [member.answers for member in report.members] == [0, 7, 5]


def test_drift_is_found_between_full_probes_and_told_once() -> None:
    """A warning for whoever differs; the member stays in."""
    states = a_roster()
    for n, member in enumerate(("pvs-1", "pvs-2", "pvs-3")):
        seen = (LoadedFile("ARDBP32.BIN", 1000 + (n == 2), "abc" if n < 2 else "def"),)
        states.observe(
            "boot", member, ProbeResult(Verdict.OK, "", ProbeDepth.FULL, 0.01, seen), 101.0
        )
    drift = states.compare("boot")
    assert [found.member for found in drift] == ["pvs-3"]
    assert states.compare("boot") == ()
    report = pool_status(states, "boot", 102.0)
    assert report.members[2].drift == drift
    assert report.members[2].why is EligibilityReason.HEALTHY


def test_only_the_last_probes_are_remembered() -> None:
    """However long a member is probed."""
    states = a_roster()
    for number in range(3 * RECENT_PROBES):
        states.observe("boot", "pvs-1", PASSED, 100.0 + number)
    recent = states.state("boot", "pvs-1").recent
    assert len(recent) == RECENT_PROBES
    assert recent[-1][0] == 100.0 + 3 * RECENT_PROBES - 1
