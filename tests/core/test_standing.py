"""The health machine: what a run of probes makes of a member, and when the next is due."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.health.probe_timing import detection_time, initial_delay, next_probe_at
from rrdns.core.health.standing import ASSUMED_UP, Standing, Thresholds, observe, thresholds_of
from rrdns.core.model import BootFile, ProbeSpec

SPEC = ProbeSpec(files=(BootFile("ARDBP32.BIN"),))
patiences = st.builds(Thresholds, st.integers(1, 5), st.integers(1, 5))


@given(st.booleans(), patiences, st.booleans())
def test_the_first_probe_settles_a_member(up: bool, asked: Thresholds, passed: bool) -> None:
    """One success is up, one failure is down, whatever was assumed."""
    assert observe(Standing(up=up, probed=False), passed, asked) == Standing(up=passed)


@given(st.lists(st.booleans(), max_size=80), patiences)
def test_a_standing_changes_only_on_a_full_run_against_it(
    results: list[bool], asked: Thresholds
) -> None:
    """Exactly the last `falls` (or `rises`) results in a row disagree, and never fewer."""
    standing, run = Standing(up=True), 0
    for passed in results:
        run = 0 if passed == standing.up else run + 1
        needed = asked.fall if standing.up else asked.rise
        after = observe(standing, passed, asked)
        assert (after.up != standing.up) is (run == needed)
        run = 0 if run == needed else run
        assert after.contradicting_probes == run
        assert after.is_contradicted is (run > 0)
        standing = after


def test_a_member_leaves_on_the_third_lost_probe_and_is_back_on_the_second_success() -> None:
    """The defaults: two losses are forgiven, one success is not enough."""
    standing, asked = Standing(up=True), thresholds_of(SPEC)
    seen = []
    for passed in (False, False, True, False, False, False, True, False, True, True):
        standing = observe(standing, passed, asked)
        seen.append(standing.up)
    assert seen == [True, True, True, True, True, False, False, False, False, True]


def test_in_calm_the_rhythm_runs_from_start_to_start() -> None:
    """A slow probe does not push the next one back."""
    due = next_probe_at(Standing(up=True), SPEC, started=100.0, ended=100.9)
    assert due == pytest.approx(101.0)


def test_a_probe_that_takes_longer_than_the_interval_is_followed_at_once() -> None:
    """Two probes of a member never overlap."""
    assert next_probe_at(Standing(up=True), SPEC, started=100.0, ended=107.5) == 107.5


@pytest.mark.parametrize(("fast", "gap"), [(0.2, 0.2), (5.0, 1.0)])
def test_in_doubt_the_next_probe_follows_soon(fast: float, gap: float) -> None:
    """Counted from the end; and never later than in calm."""
    spec = ProbeSpec(files=SPEC.files, fast_interval=fast)
    doubtful = Standing(up=True, contradicting_probes=1)
    assert next_probe_at(doubtful, spec, started=100.0, ended=101.0) == pytest.approx(101.0 + gap)


@given(st.floats(0, 1e6), st.floats(0.2, 60))
def test_calm_probes_meet_on_beats_without_losing_their_rhythm(
    started: float, interval: float
) -> None:
    """The beat moves a start by 10 ms at most, either way."""
    spec = ProbeSpec(files=SPEC.files, interval=interval)
    due = next_probe_at(Standing(up=True), spec, started, started)
    assert due == pytest.approx(started + interval, abs=0.0101)
    assert due / 0.02 == pytest.approx(round(due / 0.02), abs=1e-6)


def test_a_hundred_intervals_take_a_hundred_intervals() -> None:
    """No drift adds up from the beats."""
    due = 0.618
    for _ in range(100):
        due = next_probe_at(Standing(up=True), SPEC, due, due)
    assert due == pytest.approx(100.618, abs=0.011)


def test_a_short_interval_keeps_its_exact_rhythm() -> None:
    """A beat would distort it, or even make it none."""
    spec = ProbeSpec(files=SPEC.files, interval=0.013)
    assert next_probe_at(Standing(up=True), spec, 5.0, 5.0) == 5.013


@given(st.integers(1, 500), st.floats(0.1, 60))
def test_first_probes_are_spread_over_the_interval(members: int, interval: float) -> None:
    """However many members there are, no tenth of the interval gets far more than its share."""
    waits = [initial_delay(turn, interval) for turn in range(members)]
    assert all(0 <= wait < interval for wait in waits)
    tenths = Counter(int(wait / interval * 10) for wait in waits)
    assert max(tenths.values()) <= members / 10 + 3


def test_a_new_member_moves_nobody() -> None:
    """The wait depends on the turn alone: no dice."""
    assert [initial_delay(turn, 1.0) for turn in range(3)] == pytest.approx(
        [0.0, 0.618034, 0.236068]
    )


def test_a_silent_server_is_found_within_four_and_a_half_seconds_by_default() -> None:
    """The promise of the defaults."""
    assert detection_time(SPEC) == pytest.approx(4.4)


@given(
    st.floats(0.2, 5),
    st.floats(0.1, 3),
    st.floats(0.05, 5),
    st.integers(1, 5),
    st.floats(0, 1, exclude_max=True),
)
def test_no_silence_outlasts_the_detection_time(
    interval: float, timeout: float, fast: float, fall: int, dies_at: float
) -> None:
    """Play it: the member dies at any point of an interval, and falls in time."""
    spec = ProbeSpec(SPEC.files, interval=interval, timeout=timeout, fast_interval=fast, fall=fall)
    standing, due, death = Standing(up=True), 0.0, dies_at * interval
    while standing.up:
        alive = due < death
        ended = due if alive else due + timeout
        standing = observe(standing, alive, thresholds_of(spec))
        started, due = due, next_probe_at(standing, spec, due, ended)
        assert due > started
    assert ended - death <= detection_time(spec) + 0.0101


def test_what_nobody_has_probed_is_assumed_to_be_up() -> None:
    """Before the first round the configured set is served, never SERVFAIL."""
    assert ASSUMED_UP.up
    assert not ASSUMED_UP.probed
