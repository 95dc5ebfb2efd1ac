"""The audit trail of a service: orders and reloads, with before and after, as JSON lines too."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path

import pytest

from rrdns.service.control.process import MAX_CHANGES, _told
from tests.e2e.farm import Rrdns, a_farm
from tests.peers import wait_until

pytestmark = pytest.mark.peers


def exported(rrdns: Rrdns) -> list[dict[str, object]]:
    _, text = rrdns.call("GET", "/v1/audit/export")
    assert isinstance(text, str)
    return [json.loads(line) for line in text.splitlines()]


def was_told(rrdns: Rrdns, action: str) -> bool:
    return action in {entry["action"] for entry in exported(rrdns)}


def test_a_reload_is_in_the_trail_with_its_diff(tmp_path: Path) -> None:
    """Each difference with its old and its new value; a refused one with each mistake."""
    with a_farm(tmp_path, first_host=211) as (rrdns, _):
        assert rrdns.process is not None
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {"reason": "patch night"})
        members = list(rrdns.members)
        for change in ({"ttl": 3}, {"ttl": 0}):
            rrdns.members = members[:2]
            rrdns.write_config(pool_settings=change)
            rrdns.process.send_signal(signal.SIGHUP)
            told = "reload" if change["ttl"] else "reload-failed"
            wait_until(partial(was_told, rrdns, told), 10, what=told)
        entries = {str(entry["action"]): entry for entry in exported(rrdns)}
        reload, refused, drain = (
            entries["reload"],
            entries["reload-failed"],
            entries["drain"],
        )
        assert str(reload["after"]).split("; ") == [
            "zone pvs.example.test: negative_ttl: 5 -> 3",
            "pool boot: ttl: 5 -> 3",
            "pool boot: member pvs-3: removed",
        ]
        assert str(refused["reason"]).startswith("1 mistake: pools[0].ttl: is 0")
        assert refused["after"] == "as before"
        assert drain["reason"] == "patch night"
        assert (drain["before"], drain["after"]) == ("", "drain")
        _, metrics = rrdns.call("GET", "/metrics")
        assert "rrdns_config_last_reload_successful 0.0" in metrics


def test_a_reload_that_changes_everything_is_told_in_short() -> None:
    """Ten thousand pools would be a line of megabytes."""
    assert _told([]) == "no change"
    assert _told(["a: 1 -> 2", "b"]) == "a: 1 -> 2; b"
    told = _told([f"pool p{number}: added" for number in range(10_000)])
    assert told.endswith(f"; and {10_000 - MAX_CHANGES} more")
    assert len(told) < 10_000
