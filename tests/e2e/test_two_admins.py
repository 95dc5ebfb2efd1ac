"""Two admins at the same instant, before rrdns as it runs: never both."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.farm import Rrdns, a_farm

pytestmark = pytest.mark.peers

ROUNDS = 100


def test_two_admins_never_drain_the_last_two_members(tmp_path: Path) -> None:
    """Of a hundred pairs of orders each time one is carried out and one refused."""
    with (
        a_farm(tmp_path, workers=2, first_host=191, size=2) as (rrdns, servers),
        ThreadPoolExecutor(2) as admins,
    ):
        winners = set()
        for number in range(ROUNDS):
            start = threading.Barrier(2)
            replies = list(
                admins.map(lambda name: _drain(rrdns, name, start), ("pvs-1", "pvs-2"))  # noqa: B023 - both are over within the round
            )
            assert sorted(status for status, _ in replies) == [200, 409], number
            loser, winner = (
                next(
                    name for name, (status, _) in zip(servers, replies, strict=True) if status == s
                )
                for s in (409, 200)
            )
            winners.add(winner)
            problem = next(reply for status, reply in replies if status == 409)
            assert problem["detail"].startswith(
                f"'{loser}' is the last member in rotation of pool 'boot'"
            )
            assert rrdns.addresses() == [servers[loser].address]
            rrdns.json("POST", f"/v1/pools/boot/members/{winner}/resume", {})
        drains = _drains(rrdns)
        assert len(drains) == ROUNDS
        assert winners == {"pvs-1", "pvs-2"}  # they really raced


def _drain(rrdns: Rrdns, name: str, start: threading.Barrier) -> tuple[int, dict[str, Any]]:
    start.wait(5)
    status, reply = rrdns.call("POST", f"/v1/pools/boot/members/{name}/drain", {"reason": "mine"})
    assert isinstance(reply, dict)
    return status, reply


def _drains(rrdns: Rrdns) -> list[dict[str, Any]]:
    entries = rrdns.json("GET", "/v1/audit?limit=1000")["entries"]
    return [entry for entry in entries if entry["action"] == "drain"]
