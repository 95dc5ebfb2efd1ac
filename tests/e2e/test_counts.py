"""The metrics agree with dnsperf's own count to the query, whoever is killed meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.farm import Rrdns, a_farm
from tests.peers import peer, wait_until

pytestmark = [pytest.mark.peers, pytest.mark.long]

QUERIES = """\
boot.pvs.example.test A
boot.pvs.example.test A
boot.pvs.example.test AAAA
nothing.pvs.example.test A
elsewhere.example A
"""
IN_HAND = 64  # what a worker takes from its socket at once


@dataclass(frozen=True)
class Heard:
    """What dnsperf says of its queries."""

    sent: int
    completed: int
    rcodes: dict[str, int]

    @property
    def lost(self) -> int:
        return self.sent - self.completed


@dataclass(frozen=True)
class Counted:
    """What the metrics say."""

    rcodes: Counter[str]
    firsts: Counter[str]  # by member
    restarts: int


def start_load(rrdns: Rrdns, rate: int, seconds: int) -> subprocess.Popen[str]:
    queries = rrdns.folder / "queries"
    queries.write_text(QUERIES)
    where = ["-s", "127.0.0.1", "-p", str(rrdns.dns_port), "-d", str(queries)]
    options = ["-Q", str(rate), "-l", str(seconds), "-c", "8", "-t", "1"]
    command = [peer("dnsperf"), *where, *options, "-O", "suppress=timeout"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def outcome(load: subprocess.Popen[str], patience: float) -> Heard:
    said, _ = load.communicate(timeout=patience)
    sent, completed = (
        int(re.search(rf"Queries {name}:\s+(\d+)", said)[1])  # type: ignore[index]  # dnsperf says it
        for name in ("sent", "completed")
    )
    codes = re.search(r"Response codes:\s+(.*)", said)
    assert codes is not None
    found = re.findall(r"(\w+) (\d+) \(", codes[1])
    return Heard(sent, completed, {name.lower(): int(count) for name, count in found})


def counted(rrdns: Rrdns) -> Counted:
    _, text = rrdns.call("GET", "/metrics")
    assert isinstance(text, str)
    rcodes: Counter[str] = Counter()
    firsts: Counter[str] = Counter()
    restarts = 0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "rrdns_queries_total":
                rcodes[sample.labels["rcode"]] += int(sample.value)
            elif sample.name == "rrdns_answers_total":
                firsts[sample.labels["member"]] += int(sample.value)
            elif sample.name == "rrdns_worker_restarts_total":
                restarts += int(sample.value)
    return Counted(rcodes, firsts, restarts)


def kill_a_worker(rrdns: Rrdns) -> None:
    """Kill one with no warning."""
    assert rrdns.process is not None
    os.kill(min(set(children(rrdns)) - {control_of(rrdns)}), signal.SIGKILL)


def children(rrdns: Rrdns) -> list[int]:
    assert rrdns.process is not None
    path = Path(f"/proc/{rrdns.process.pid}/task/{rrdns.process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def control_of(rrdns: Rrdns) -> int:
    """Return the child that is the control process: it alone has the store open."""

    def holds_the_store(pid: int) -> bool:
        links = Path(f"/proc/{pid}/fd").iterdir()
        return any(link.readlink().name == "rrdns.db" for link in links)

    (control,) = [pid for pid in children(rrdns) if holds_the_store(pid)]
    return control


@pytest.mark.parametrize(("workers", "rate"), [(1, 5000), (2, 5000)])
def test_kills_and_reloads_under_load_lose_no_count(
    tmp_path: Path, workers: int, rate: int
) -> None:
    """Each answer that dnsperf had is counted; a count more is a query that it calls lost.

    A worker counts an answer before it sends it, so one that is killed in between has counted
    what nobody received. Two workers are killed, control once, and the config is reloaded
    twice, with other members each time.
    """
    with a_farm(tmp_path, workers=workers, first_host=181) as (rrdns, _):
        assert rrdns.process is not None
        process, members, before = rrdns.process, list(rrdns.members), counted(rrdns)
        load = start_load(rrdns, rate, 7)
        for size in (2, 3):
            time.sleep(0.7)
            kill_a_worker(rrdns)
            time.sleep(0.7)
            rrdns.members = members[:size]
            rrdns.write_config(pool_settings={"ttl": size})
            process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        os.kill(control_of(rrdns), signal.SIGKILL)
        told = outcome(load, 30)
        wait_until(lambda: rrdns.call("GET", "/readyz")[0] == 200, 10, what="ready again")
        after = counted(rrdns)

    assert told.completed > 0.9 * 7 * rate
    assert told.lost <= 2 * IN_HAND
    rcodes = after.rcodes - before.rcodes
    surplus = sum(rcodes.values()) - told.completed
    assert 0 <= surplus <= told.lost
    for rcode, number in told.rcodes.items():
        assert number <= rcodes[rcode] <= number + told.lost
    assert after.restarts == 2
    # What the members stood first in: every answer to A of the boot name, and no other.
    asked_for_boot = told.sent * 2 / 5
    firsts = after.firsts - before.firsts
    assert abs(sum(firsts.values()) - asked_for_boot) <= told.lost + 5
