"""UDP and well-behaved TCP clients beside a crowd of TCP connections, on a running rrdns."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from tests.bench import tcp_crowd

ROUNDS = 2
SECONDS = 2.0
# A shared machine's own noise, beyond which a difference is one.
TIMES, MORE_US = 3, 500
MAX_MB = 60  # 5,000 connections that may stay; far less where they may not


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("limits", tcp_crowd.LIMITS)
def test_thousands_of_tcp_connections_leave_udp_alone(limits: str) -> None:
    """5,000 idle ones, then slow ones that send a byte a second; rounds alternate with none."""
    found: dict[str, list[dict[str, Any]]] = {"none": [], "idle": [], "slow": []}
    with tcp_crowd.serving(tcp_crowd.LIMITS[limits]) as (pid, port):
        before = tcp_crowd.measure(pid, port, "none", SECONDS)
        for _ in range(ROUNDS):
            for kind, rounds in found.items():
                rounds.append(tcp_crowd.measure(pid, port, kind, SECONDS))
    quiet = found.pop("none")
    for kind, rounds in found.items():
        assert not any(one["lost"] for one in rounds), (kind, rounds)
        assert all(one["tcp_answered"] == f"{tcp_crowd.GOOD_CLIENTS}/25" for one in rounds), rounds
        for quantile in ("p50_us", "p99_us"):
            # What a crowd does to UDP, each of its rounds would show.
            calm = statistics.median(one[quantile] for one in quiet)
            crowded = min(one[quantile] for one in rounds)
            assert crowded <= TIMES * calm + MORE_US, (kind, quantile, quiet, rounds)
        assert all(one["memory_mb"] <= before["memory_mb"] + MAX_MB for one in rounds), rounds
