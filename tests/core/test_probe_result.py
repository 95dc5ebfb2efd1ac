"""A probe's result: only one verdict lets a target boot."""

from __future__ import annotations

import pytest

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict


@pytest.mark.parametrize("verdict", Verdict)
def test_only_ok_and_slow_pass(verdict: Verdict) -> None:
    """Every other verdict counts against the member."""
    result = ProbeResult(verdict, "as it is", ProbeDepth.LIGHT, 0.1)
    assert result.passed is (verdict in (Verdict.OK, Verdict.SLOW))
