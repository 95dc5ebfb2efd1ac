"""Reloads, drains and falls under a steady load: what dnsperf counts as lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import dns.exception
import pytest

from tests.e2e.farm import Rrdns, a_farm, seconds_until
from tests.e2e.load import lost_while

pytestmark = pytest.mark.peers


def answers(rrdns: Rrdns) -> bool:
    try:
        return len(rrdns.addresses(timeout=0.5)) == 3
    except dns.exception.Timeout:
        return False


def test_reloads_under_a_thousand_queries_a_second_lose_none(tmp_path: Path) -> None:
    """Another TTL, another member, a config with mistakes: all while targets boot."""
    with a_farm(tmp_path, first_host=121) as (rrdns, _):
        assert rrdns.process is not None
        process, members = rrdns.process, list(rrdns.members)

        def reload() -> None:
            for turn in range(9):
                rrdns.members = members[: 2 + turn % 2]
                rrdns.write_config(pool_settings={"ttl": (3, 4, 0)[turn % 3]})
                process.send_signal(signal.SIGHUP)
                time.sleep(0.3)

        sent, lost = lost_while(rrdns, reload, rate=1000, seconds=4)
        assert sent > 3000
        assert lost == 0
        events = [line["event"] for line in rrdns.log_lines()]
        assert events.count("reload") == 6
        assert events.count("reload-failed") == 3


def test_orders_under_load_lose_no_query(tmp_path: Path) -> None:
    """Twenty changes a second, and each reply comes when the answers follow."""
    with a_farm(tmp_path, workers=2, first_host=131) as (rrdns, _):

        def order() -> None:
            for turn in range(40):
                verb = "drain" if turn % 2 == 0 else "resume"
                rrdns.json("POST", f"/v1/pools/boot/members/pvs-1/{verb}", {})
                time.sleep(0.05)

        sent, lost = lost_while(rrdns, order, rate=2000, seconds=4)
        assert sent > 6000
        assert lost == 0


def test_the_death_of_the_control_process_loses_no_query(tmp_path: Path) -> None:
    """Workers answer on; it is back within two seconds."""
    with a_farm(tmp_path, workers=2, first_host=141) as (rrdns, _):

        def kill() -> None:
            for _ in range(2):
                os.kill(rrdns.pids()["control"], signal.SIGKILL)
                time.sleep(2.0)
                assert rrdns.call("GET", "/readyz")[0] == 200

        sent, lost = lost_while(rrdns, kill, rate=2000, seconds=6)
        assert sent > 10_000
        assert lost == 0


def test_a_worker_that_is_stopped_is_replaced_within_five_seconds(tmp_path: Path) -> None:
    """SIGSTOP: it does not beat, so another takes its place and its sockets."""
    with a_farm(tmp_path, first_host=151) as (rrdns, _):
        os.kill(rrdns.pids()["worker-0"], signal.SIGSTOP)
        # Each query that the stopped worker took is lost, so ask again, as clients do.
        assert seconds_until(lambda: answers(rrdns), 8) < 5.0


def test_nothing_holds_the_port_after_the_supervisor_was_killed(tmp_path: Path) -> None:
    """Killing the supervisor takes its children along; a restart finds the ports free."""
    with a_farm(tmp_path, workers=2, first_host=161) as (rrdns, _):
        assert rrdns.process is not None
        os.kill(rrdns.pids()["worker-1"], signal.SIGSTOP)
        rrdns.process.kill()
        rrdns.process.wait(5)
        time.sleep(0.3)
        rrdns.start()
        assert len(rrdns.addresses()) == 3
