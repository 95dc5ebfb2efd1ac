"""Boot storms while servers die: nobody fails at rrdns who fails at a plain round robin."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.storms import (
    CACHED,
    MEMBERS,
    PLACES,
    STATIC,
    STRAIGHT,
    StormSite,
    a_storm_site,
)
from tests.peers import wait_until

pytestmark = pytest.mark.peers

VICTIM = MEMBERS[2]
STOPPED, SILENT = 1.5, 4.5  # seconds until rrdns knows, with the default probe
IN_FLIGHT = 1.0  # seconds for which a target may have been loading when its server died
LATE = 0.8  # seconds for a busy machine
# Resolvers count a TTL in whole seconds, and may give the last one away twice.
ROUNDED = 1.0


def test_a_small_storm_boots_everybody_evenly_around_a_dead_server(tmp_path: Path) -> None:
    """40 targets of every kind, once rrdns knows: exactly even; through Unbound nobody fails."""
    with a_storm_site(tmp_path, ttl=1) as site:
        site.stop(VICTIM)
        wait_until(lambda: VICTIM not in site.ask(PLACES.rrdns), 5, "out")
        straight = site.storm([STRAIGHT], clients=40, ramp=1, more=["--firmware", "mixed"])
        wait_until(lambda: VICTIM not in site.ask(PLACES.resolver), 5, "out of the cache")
        cached = site.storm([CACHED], clients=20, ramp=1)
    for one in (straight[STRAIGHT], cached[CACHED]):
        assert one["failed"] == 0, one["reasons"]
        assert {boot["server"] for boot in one["boots"]} <= set(MEMBERS) - {VICTIM}
    assert straight[STRAIGHT]["uneven"] <= 0.05


@pytest.mark.long
def test_five_seconds_after_a_death_nobody_fails_whom_plain_round_robin_fails(
    tmp_path: Path,
) -> None:
    """200 targets over three servers, one stopped 5 s before: both others serve alike."""
    with a_storm_site(tmp_path) as site:
        site.stop(VICTIM)
        time.sleep(5)
        stormed = site.storm([STRAIGHT, STATIC], clients=200, ramp=30)
    straight, plain = stormed[STRAIGHT], stormed[STATIC]
    assert (straight["booted"], straight["failed"]) == (200, 0)
    assert straight["uneven"] <= 0.05
    assert 0.26 <= plain["failed"] / 200 <= 0.4
    assert {one["verdict"] for one in plain["boots"] if not one["booted"]} == {"timeout"}


@pytest.mark.long
@pytest.mark.parametrize("ttl", [1, 5, 30])
def test_through_a_cache_only_those_fail_who_ask_before_its_answer_expires(
    tmp_path: Path, ttl: int
) -> None:
    """How evenly Unbound deals is its own affair; both healthy servers are dealt out."""
    with a_storm_site(tmp_path, ttl=ttl) as site:
        site.stop(VICTIM)
        died = time.time()
        time.sleep(5)
        stormed = site.storm([CACHED], clients=200, ramp=30)
    known = died - stormed.began + STOPPED + ttl + ROUNDED
    failed = [one["began"] for one in stormed[CACHED]["boots"] if not one["booted"]]
    assert all(began <= known + LATE for began in failed)
    served = {one["server"] for one in stormed[CACHED]["boots"] if one["booted"]}
    assert served == set(MEMBERS) - {VICTIM}


@pytest.mark.long
@pytest.mark.parametrize(
    ("hit", "detection"),
    [(StormSite.stop, STOPPED), (StormSite.no_response, SILENT)],
    ids=["stopped", "silent"],
)
def test_a_death_in_mid_storm_fails_only_those_who_asked_before_it_was_known(
    tmp_path: Path, hit: Callable[[StormSite, str], None], detection: float
) -> None:
    """At most those who asked within detection + TTL; straight no TTL is waited for."""
    with a_storm_site(tmp_path, ttl=5) as site:
        stormed = site.storm(
            [STRAIGHT, CACHED, STATIC],
            clients=200,
            ramp=30,
            hit=lambda: hit(site, VICTIM),
            after=10,
        )
    assert stormed.hit_at is not None
    for name, ttl in ((STRAIGHT, 0.0), (CACHED, 5 + ROUNDED)):
        known = detection + ttl + LATE
        failed = [one for one in stormed[name]["boots"] if not one["booted"]]
        assert len(failed) <= stormed.asked_within(name, -IN_FLIGHT, known)
        assert all(-IN_FLIGHT <= one["began"] - stormed.hit_at <= known for one in failed)
        assert {one["server"] for one in failed} <= {VICTIM}
    assert stormed[STATIC]["failed"] > stormed[CACHED]["failed"]
    assert stormed[STATIC]["failed"] > stormed[STRAIGHT]["failed"]
