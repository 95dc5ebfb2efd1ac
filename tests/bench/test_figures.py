"""The benchmark's own arithmetic: what it sends, what it reads, what it makes of it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import dns.message
import pytest

from bench import chart, cpu, load, noise, page, query, report
from bench.latency import measure
from bench.probes import lateness_of
from bench.rounds import Sample

DNSPERF = """
Statistics:

  Queries sent:         1500
  Queries completed:    1490 (99.33%)
  Queries lost:         10 (0.67%)

  Response codes:       NOERROR 1400 (93.96%), NXDOMAIN 90 (6.04%)
  Average packet size:  request 39, response 87
  Run time (s):         2.000000
  Queries per second:   745.000000
"""


def sample(server: str, number: int, user: float, system: float = 0.0) -> Sample:
    """Return a sample of the load of hits."""
    return Sample(
        server=server,
        load="hits",
        round=number,
        sent=10,
        answered=9,
        rate=9.0,
        rcodes={},
        user_us=user,
        system_us=system,
        busiest_us=user,
        pss=1,
        largest=1,
        foreign=0.0,
    )


@pytest.mark.parametrize("kind", query.KINDS)
def test_every_load_sends_queries_that_a_parser_takes(kind: str) -> None:
    """A load that a server may refuse would measure refusals."""
    for datagram in query.datagrams(kind, 20):
        message = dns.message.from_wire(datagram)
        asked = str(message.question[0].name).lower()
        assert asked.endswith("pvs.example.test.")
        assert (message.edns == 0) is (kind in {"edns", "cookies", "options"})


def test_a_load_is_the_same_for_the_same_seed() -> None:
    """Two runs can be compared only if they sent the same."""
    first = list(query.datagrams("case", 50, seed=3))
    assert first == list(query.datagrams("case", 50, seed=3))
    assert first != list(query.datagrams("case", 50, seed=4))


def test_a_stream_file_is_datagrams_behind_their_lengths(tmp_path: Path) -> None:
    """This is what `dnsperf -B` reads."""
    data = query.write_stream(tmp_path / "stream", "nxdomain", 3).read_bytes()
    found = []
    while data:
        (length,) = struct.unpack("!H", data[:2])
        found.append(data[2 : 2 + length])
        data = data[2 + length :]
    assert found == list(query.datagrams("nxdomain", 3))


def test_dnsperfs_statistics_are_read() -> None:
    """Counts, seconds and codes come from its text."""
    outcome = load.read_dnsperf(DNSPERF)
    assert (outcome.sent, outcome.answered, outcome.lost) == (1500, 1490, 10)
    assert outcome.rate == 745.0
    assert outcome.rcodes == {"NOERROR": 1400, "NXDOMAIN": 90}


def test_what_dnsperf_did_not_say_is_an_error() -> None:
    """A figure that is missing must not become a zero."""
    with pytest.raises(load.DnsperfFailed):
        load.read_dnsperf("Segmentation fault")


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which the machine was slow is slow for both sides."""
    ours = [sample("rrdns", 0, 4.0), sample("rrdns", 1, 40.0), sample("rrdns", 2, 4.0)]
    theirs = [sample("gdnsd", 0, 5.0), sample("gdnsd", 1, 50.0), sample("gdnsd", 2, 4.0)]
    found = report.ratio(ours, theirs, report.cpu_us)
    assert found == report.Spread(0.8, 0.8, 1.0)


def test_a_goal_is_measured_against_the_best_of_its_peers() -> None:
    """The strictest comparison counts."""
    samples = [sample("rrdns", 0, 5.0), sample("knot", 0, 10.0), sample("nsd", 0, 4.0)]
    row = page.measured(page.Goal("hits", ("knot", "nsd"), 1.1), samples)
    assert row is not None
    assert (row["peer"], row["kept"]) == ("nsd", "no")


def test_nothing_is_said_of_a_goal_that_was_not_measured() -> None:
    """No figure of ours, no row."""
    assert page.goals([sample("gdnsd", 0, 5.0)]) == ""


def test_the_page_says_in_how_many_rounds_each_load_was_measured() -> None:
    """They may be more for what is noisy, and of fewer servers."""
    hits = {"machine": {"kernel": "Linux"}, "rounds": 5, "seconds": 1.0, "samples": []}
    latency = hits | {"rounds": 15, "seconds": 1.2}
    hits["samples"] = [{"load": "hits", "server": server} for server in ("nsd", "gdnsd", "nsd")]
    latency["samples"] = [{"load": "latency", "server": "gdnsd"}]
    assert page.machine([hits, latency]).splitlines()[2:] == [
        "- kernel: Linux",
        "- hits: 5 rounds of 1 s for each server (gdnsd, nsd)",
        "- latency: 15 rounds of 1.2 s for each server (gdnsd)",
    ]


def test_the_page_says_when_the_machine_was_not_calm() -> None:
    """A reader must not take a busy machine's figures for ours."""
    calm = sample("rrdns", 0, 5.0)
    assert page.noise([calm]) == ""
    assert "not calm" in page.noise([replace(calm, foreign=0.5)])


def test_a_latency_on_a_busy_machine_proves_nothing() -> None:
    """Neither that a goal is kept nor that it is missed."""
    goal = page.Goal("hits", ("gdnsd",), 1.25, "p99")
    for foreign, verdict in ((0.0, "yes"), (0.5, "not judged: not calm")):
        both = [replace(sample(name, 0, 5.0), p99_us=50.0) for name in ("rrdns", "gdnsd")]
        row = page.measured(goal, [replace(one, foreign=foreign) for one in both])
        assert row is not None
        assert row["kept"] == verdict


def test_a_late_start_is_seen_and_a_failed_probe_ends_the_rhythm() -> None:
    """Probes in doubt follow sooner, which is not lateness."""
    ends = [(0.0, True), (1.0, True), (2.2, True), (3.0, False), (3.5, True), (4.0, True)]
    ends += [(5.0, True), (6.0, True)]
    recent = [
        {"at": f"2026-01-01T00:00:{end + 1:09.6f}+00:00", "seconds": 0.0, "passed": passed}
        for end, passed in ends
    ]
    late = lateness_of(recent, 1.0)
    assert [round(one) for one in late] == [0, 0, 200, 0, 0, 0]


def test_the_chart_names_every_server() -> None:
    """One bar for each."""
    drawn = chart.draw([sample("rrdns", 0, 5.0), sample("gdnsd", 0, 6.0)])
    assert ">rrdns</text>" in drawn
    assert ">gdnsd</text>" in drawn


def test_work_on_a_cpu_is_noticed() -> None:
    """What others take from a server must not go unseen."""
    before, end = noise.busy(), time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    assert noise.busy() - before >= 0.1


def test_a_child_that_works_is_in_its_trees_account() -> None:
    """What a grandchild burns is found, and it is the busiest."""
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        before = cpu.look(process.pid)
        assert process.stdout.readline() == b"done\n"
        used = cpu.spent(before, cpu.look(process.pid))
        assert len(cpu.tree(process.pid)) == 2
        assert used.busiest >= 0.15
        assert used.total >= used.busiest
        assert cpu.memory(process.pid).pss > 1_000_000
    finally:
        process.communicate(b"\n", timeout=10)


@pytest.fixture
def echo() -> int:
    """Return the port of a server that sends every datagram back as an answer."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(1.5)

    def run() -> None:
        with server:
            while True:
                try:
                    data, client = server.recvfrom(2048)
                except TimeoutError:
                    return
                server.sendto(data, client)

    threading.Thread(target=run, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="recvmmsg is Linux's")
def test_latency_counts_every_answer_once(echo: int) -> None:
    """At a gentle rate nothing is lost, and no time is negative."""
    seen: list[bytes] = []
    datagram = query.encode(query.HOST)
    found = measure(echo, [datagram], 500, 0.3, lambda reply, _at: seen.append(reply))
    assert found.lost == 0
    assert found.sent == len(seen) > 50
    assert 0 < found.quantile(0.5) < 1_000_000
    assert all(reply[2:] == datagram[2:] for reply in seen)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="recvmmsg is Linux's")
def test_the_batching_sender_counts_what_comes_back(echo: int) -> None:
    """Sent and answered agree where nothing is lost."""
    outcome = load.saturate(echo, list(query.datagrams("nxdomain", 200)), 0.2, in_flight=64)
    assert outcome.answered == outcome.sent > 64
