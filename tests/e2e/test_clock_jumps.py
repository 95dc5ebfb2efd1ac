"""rrdns as it runs, while libfaketime sets its clock: waits end at the truth, dates follow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rrdns.core.orders.cache_expiry import STALE_WORKER_SECONDS
from rrdns.timeformat import from_rfc3339, rfc3339
from tests.e2e.farm import Rrdns, a_farm
from tests.peers import peer_file, wait_until

pytestmark = pytest.mark.peers

TTL = 1
TRUTH = TTL + 1.0  # seconds: a resolver counts in whole ones


@pytest.fixture
def jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let a test say how far the wall clock of what runs with libfaketime is off."""
    said = tmp_path / "clock"
    said.write_text("+0")
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(said))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")
    # With this "fix" of libfaketime, a thread that waits for Python's lock with a time-out spins or
    # sleeps for seconds after a jump (seen: 20 s in the kernel, and 3 s late; without: 0.6 s).
    monkeypatch.setenv("FAKETIME_FORCE_MONOTONIC_FIX", "0")

    def jump(seconds: int) -> None:
        fresh = tmp_path / "clock.new"
        fresh.write_text(f"{seconds:+d}")
        fresh.replace(said)

    return jump


def _libfaketime() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return peer_file(found[0] if found else Path("/usr/lib/faketime/libfaketimeMT.so.1"))


@pytest.mark.long
def test_jumps_make_no_drain_safe_too_early_or_too_late(
    tmp_path: Path, jump: Callable[[int], None]
) -> None:
    """`--wait` ends at the truth, an order's end follows the clock, and a kill forgets nothing."""
    with a_farm(tmp_path, ttl=TTL, first_host=195, clock=_libfaketime()) as (rrdns, _):
        for member, seconds in (("pvs-1", 3600), ("pvs-2", -7200)):
            jump(0)
            _drain_through_a_jump(rrdns, member, jump, seconds)
            rrdns.json("POST", f"/v1/pools/boot/members/{member}/resume", {})
        assert "the clock was set" in rrdns.log.read_text()

        jump(0)
        ends = (("pvs-1", {"until": rfc3339(time.time() + 1800)}), ("pvs-2", {"for": "30m"}))
        for member, end in ends:
            order = {"reason": "x", **end}
            rrdns.json("POST", f"/v1/pools/boot/members/{member}/drain", order)
        jump(3600)
        set_at = time.monotonic()
        wait_until(lambda: rrdns.member("pvs-1")["in"], what="in again")
        assert time.monotonic() - set_at < 2.0
        left = from_rfc3339(rrdns.member("pvs-2")["override"]["until"]) - (time.time() + 3600)
        assert 1700 < left <= 1800

        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/resume", {})
        drained = time.monotonic()
        rrdns.json("POST", "/v1/pools/boot/members/pvs-3/drain", {"reason": "y"})
        rrdns.kill_everything()
        jump(7200)
        rrdns.start()
        left = _safe_after(rrdns, "pvs-3") - (time.time() + 7200)
        # Right after a start not every worker has said what it answers by.
        assert TRUTH - (time.monotonic() - drained) < left < TRUTH + STALE_WORKER_SECONDS + 0.3


def _drain_through_a_jump(
    rrdns: Rrdns, member: str, jump: Callable[[int], None], seconds: int
) -> None:
    began = time.monotonic()
    command = [sys.executable, "-m", "rrdns", "drain", member, "--reason", "patch", "--wait"]
    api = ["--url", f"http://127.0.0.1:{rrdns.api_port}"]
    with subprocess.Popen([*command, *api], stdout=subprocess.DEVNULL) as waiting:
        try:
            wait_until(lambda: not rrdns.member(member)["in"], what="out")
            jump(seconds)
            left = _safe_after(rrdns, member) - (time.time() + seconds)
            assert TRUTH - (time.monotonic() - began) - 0.3 < left < TRUTH + 0.1
            assert waiting.wait(10) == 0
        finally:
            waiting.kill()
    assert TRUTH <= time.monotonic() - began < TRUTH + 6.0


def _safe_after(rrdns: Rrdns, member: str) -> float:
    return from_rfc3339(rrdns.member(member)["safe_after"])
