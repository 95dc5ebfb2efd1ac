"""rrdns as it runs, while libfaketime sets its clock: waits end at the truth, dates follow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rrdns.core.exposure import STRAGGLER
from rrdns.web.times import from_rfc3339, rfc3339
from tests.e2e.farm import Rrdns, a_farm
from tests.peers import peer_file, wait_until

pytestmark = pytest.mark.peers

TTL = 2
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

    def jump(seconds: int) -> None:
        fresh = tmp_path / "clock.new"
        fresh.write_text(f"{seconds:+d}")
        fresh.replace(said)

    return jump


def _libfaketime() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return peer_file(found[0] if found else Path("/usr/lib/faketime/libfaketimeMT.so.1"))


@pytest.mark.parametrize("seconds", [3600, -7200])
def test_a_jump_makes_no_drain_safe_too_early_or_too_late(
    tmp_path: Path, jump: Callable[[int], None], seconds: int
) -> None:
    """`--wait` ends at the truth, an order's end follows the clock, and a kill forgets nothing."""
    with a_farm(tmp_path, ttl=TTL, first_host=195, clock=_libfaketime()) as (rrdns, _):
        began = time.monotonic()
        command = [sys.executable, "-m", "rrdns", "drain", "pvs-1", "--reason", "patch", "--wait"]
        api = ["--url", f"http://127.0.0.1:{rrdns.api_port}"]
        with subprocess.Popen([*command, *api], stdout=subprocess.DEVNULL) as waiting:
            try:
                wait_until(lambda: not rrdns.member("pvs-1")["in"], what="out")
                jump(seconds)
                left = _safe_after(rrdns, "pvs-1") - (time.time() + seconds)
                assert TRUTH - (time.monotonic() - began) - 0.3 < left < TRUTH + 0.1
                assert waiting.wait(10) == 0
            finally:
                waiting.kill()
        assert TRUTH <= time.monotonic() - began < TRUTH + 6.0
        wait_until(lambda: "the clock was set" in rrdns.log.read_text(), what="told")
        jump(0)
        if seconds > 0:
            order = {"reason": "x", "until": rfc3339(time.time() + 1800)}
            rrdns.json("POST", "/v1/pools/boot/members/pvs-2/drain", order)
            jump(seconds)
            set_at = time.monotonic()
            wait_until(lambda: rrdns.member("pvs-2")["in"], what="in again")
            assert time.monotonic() - set_at < 1.5
        drained = time.monotonic()
        rrdns.json("POST", "/v1/pools/boot/members/pvs-3/drain", {"reason": "y"})
        rrdns.kill_everything()
        jump(2 * seconds)
        rrdns.start()
        left = _safe_after(rrdns, "pvs-3") - (time.time() + 2 * seconds)
        # Right after a start not every worker has said what it answers by.
        assert TRUTH - (time.monotonic() - drained) < left < TRUTH + STRAGGLER + 0.3


def _safe_after(rrdns: Rrdns, member: str) -> float:
    return from_rfc3339(rrdns.member(member)["safe_after"])
