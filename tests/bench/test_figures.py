"""Test the benchmark: the queries it sends, the output it reads, the tables it writes."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import dns.message
import pytest

from bench import __main__ as program
from bench import load_generators, performance_page, process_usage, query_streams, rounds, tables
from bench.load_generators import Outcome
from bench.rounds import Sample
from bench.server_configs import SERVERS
from bench.servers import Running
from rrdns.config.loader import load

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


def sample(server: str, number: int, cpu_us: float, load: str = "plain") -> Sample:
    """Return a sample."""
    return Sample(
        server=server,
        load=load,
        round=number,
        sent=10,
        answered=9,
        rate=9.0,
        cpu_us=cpu_us,
        memory=1,
        other_load=0.0,
    )


@pytest.mark.parametrize("kind", query_streams.KINDS)
def test_every_load_sends_queries_that_a_parser_accepts(kind: str) -> None:
    """A load that a server may refuse would measure refusals."""
    for datagram in query_streams.datagrams(kind, 20):
        message = dns.message.from_wire(datagram)
        asked = str(message.question[0].name).lower()
        assert asked.endswith("pvs.example.test.")
        assert (message.edns == 0) is (kind in {"edns", "new-cookie", "options"})


def test_a_load_is_the_same_for_the_same_seed() -> None:
    """Two runs can be compared only if they sent the same."""
    first = list(query_streams.datagrams("case", 50, seed=3))
    assert first == list(query_streams.datagrams("case", 50, seed=3))
    assert first != list(query_streams.datagrams("case", 50, seed=4))


def test_a_stream_file_is_datagrams_behind_their_lengths(tmp_path: Path) -> None:
    """This is what `dnsperf -B` reads."""
    data = query_streams.write_kind(tmp_path / "stream", "nxdomain", 3).read_bytes()
    found = []
    while data:
        (length,) = struct.unpack("!H", data[:2])
        found.append(data[2 : 2 + length])
        data = data[2 + length :]
    assert found == list(query_streams.datagrams("nxdomain", 3))


def test_cookie_clients_send_the_cookie_that_the_server_gave_them() -> None:
    """The server part stands behind each client's own part."""

    def exchange(query: bytes) -> bytes:
        (option,) = dns.message.from_wire(query).options
        client: bytes = option.to_wire()
        return b"header and answer" + struct.pack("!HH", 10, 24) + client + bytes(16)

    queries = query_streams.earned_cookies(exchange, 3)
    cookies = [dns.message.from_wire(query).options[0].to_wire() for query in queries]
    assert [cookie[8:] for cookie in cookies] == [bytes(16)] * 3
    assert len({cookie[:8] for cookie in cookies}) == 3


@pytest.mark.parametrize("response", [None, b"a response without a cookie"])
def test_cookie_clients_of_a_server_without_cookies_send_their_own_part(
    response: bytes | None,
) -> None:
    """A lost response must not end the run."""
    (query,) = query_streams.earned_cookies(lambda _query: response, 1)
    assert len(dns.message.from_wire(query).options[0].to_wire()) == 8


@pytest.mark.parametrize(
    ("name", "workers", "limited"),
    [
        ("rrdns-default", 0, True),
        ("rrdns-1-worker", 1, True),
        ("rrdns-2-workers", 2, True),
        ("rrdns-no-limits", 1, False),
    ],
)
def test_the_configurations_of_rrdns_are_what_their_names_say(
    tmp_path: Path, name: str, workers: int, limited: bool
) -> None:
    """Cookies are on in all of them, and no client is exempt from the rate limit."""
    command = SERVERS[name].configure(tmp_path, 20_000)
    settings = load(Path(command[-1])).dns
    assert (settings.workers, settings.cookies) == (workers, True)
    assert (settings.rate_limit is not None) is limited
    if settings.rate_limit is not None:
        assert settings.rate_limit.exempt == ()
        assert settings.rate_limit.answers == 1_000_000


def test_dnsperfs_statistics_are_read() -> None:
    """Counts, seconds and codes come from its text."""
    outcome = load_generators.read_dnsperf(DNSPERF)
    assert (outcome.sent, outcome.answered, outcome.lost) == (1500, 1490, 10)
    assert outcome.rate == 745.0
    assert outcome.rcodes == {"NOERROR": 1400, "NXDOMAIN": 90}


def test_what_dnsperf_did_not_say_is_an_error() -> None:
    """A figure that is missing must not become a zero."""
    with pytest.raises(load_generators.DnsperfFailed):
        load_generators.read_dnsperf("Segmentation fault")


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which the machine was slow is slow for both sides."""
    ours = [sample("rrdns", 0, 4.0), sample("rrdns", 1, 40.0), sample("rrdns", 2, 4.0)]
    theirs = [sample("gdnsd", 0, 5.0), sample("gdnsd", 1, 50.0), sample("gdnsd", 2, 4.0)]
    found = tables.ratio(ours, theirs, tables.cpu_us)
    assert found == tables.Spread(0.8, 0.8, 1.0)


@pytest.mark.parametrize(("ours", "met"), [(4.75, "yes"), (4.8, "no")])
def test_a_goal_is_met_up_to_its_ratio(ours: float, met: str) -> None:
    """Ratios are those of a round."""
    goal = performance_page.Goal("plain", "rrdns-1-worker", 0.95)
    both = [sample("rrdns-1-worker", 0, ours), sample("gdnsd", 0, 5.0)]
    row = performance_page.judge(goal, both)
    assert row is not None
    assert (row["configuration"], row["compared with"], row["met"]) == (
        "rrdns-1-worker",
        "gdnsd",
        met,
    )


def test_a_goal_that_was_not_measured_has_no_row() -> None:
    """A page without a figure must not say that a goal is met."""
    assert "goals" not in performance_page.comparison([sample("gdnsd", 0, 5.0)])


def test_the_goals_name_configurations_and_loads_that_exist() -> None:
    """A goal with a wrong name would never be measured."""
    for goal in performance_page.GOALS:
        assert goal.load in rounds.LOADS
        assert {goal.server, goal.peer} <= set(SERVERS)


def test_a_latency_on_a_busy_machine_proves_nothing() -> None:
    """Neither that a goal is met nor that it is missed."""
    goal = performance_page.Goal("latency", "rrdns-1-worker", 1.25)
    for other_load, met in ((0.0, "yes"), (0.5, "not judged: other load")):
        both = [
            replace(sample(name, 0, 5.0, "latency"), p99_us=50.0, other_load=other_load)
            for name in ("rrdns-1-worker", "gdnsd")
        ]
        row = performance_page.judge(goal, both)
        assert row is not None
        assert row["met"] == met


def test_the_first_table_compares_both_as_shipped() -> None:
    """A configuration on one core is not in it."""
    servers = {"rrdns-default": 4.0, "gdnsd-default": 5.0, "gdnsd": 1.0}
    (row,) = tables.shipped([sample(name, 0, cpu_us) for name, cpu_us in servers.items()])
    assert row["rrdns / gdnsd"].startswith("0.80 ")


def test_the_table_of_one_core_has_ratios_to_gdnsd() -> None:
    """The row of gdnsd has none, and a load that was not measured is empty."""
    samples = [sample("knot", 0, 6.0), sample("gdnsd", 0, 5.0), sample("gdnsd", 0, 5.0, "tcp")]
    knot, gdnsd = tables.one_core(samples)
    assert knot["plain"] == "6.00 (1.20)"
    assert "tcp" not in knot
    assert (gdnsd["plain"], gdnsd["lost"]) == ("5.00", "2 of 20")


def test_only_the_blocks_with_results_are_replaced() -> None:
    """The text around them is written by hand."""
    page = "Text.\n<!-- goals -->\nold\n<!-- /goals -->\n<!-- soak -->\nold\n<!-- /soak -->\n"
    found = performance_page.replace_block(page, "goals", r"new \1")
    assert found == page.replace("old", r"new \1", 1)


def test_runs_with_the_same_rounds_are_not_mixed(tmp_path: Path) -> None:
    """Ratios are taken within a round of one run."""
    for run, cpu_us in (("a", 4.0), ("b", 8.0)):
        samples = [sample("rrdns-1-worker", 0, cpu_us), sample("gdnsd", 0, cpu_us)]
        (tmp_path / run).mkdir()
        (tmp_path / run / "samples.json").write_text(
            json.dumps(
                {
                    "machine": {"date": "today"},
                    "rounds": 1,
                    "seconds": 1.0,
                    "sockets": 16,
                    "samples": [asdict(one) for one in samples],
                }
            )
        )
    (tmp_path / "flood.jsonl").touch()  # of a run that was interrupted
    (tmp_path / "soak.jsonl").write_text('{"lost": 1234}\n')
    found = performance_page.blocks(tmp_path)
    assert "1.000 (1.000-1.000)" in found["goals"]
    assert "plain: 2 rounds of 1 s, dnsperf with 16 sockets" in found["machine"]
    assert "1,234" in found["soak"]
    assert "flood" not in found


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(sent=2, answered=2, seconds=1.0, rcodes={"NOERROR": 1, "REFUSED": 1}),
        Outcome(sent=2, answered=0, seconds=1.0),
    ],
)
def test_a_server_that_sends_errors_or_nothing_is_not_measured(outcome: Outcome) -> None:
    """An error is cheaper than an answer, so its cost would look good."""
    server = Running("knot", os.getpid(), 0)
    with pytest.raises(rounds.WrongResponse, match="knot, plain"):
        rounds.measure(server, "plain", 0, lambda: outcome)


def test_the_command_line_names_servers_and_loads(capsys: pytest.CaptureFixture[str]) -> None:
    """The help explains each, and a wrong name is refused."""
    options = program.parse(["--servers", "gdnsd", "knot", "--loads", "tcp"])
    assert (options.servers, options.loads) == (["gdnsd", "knot"], ["tcp"])
    with pytest.raises(SystemExit):
        program.parse(["--servers", "djbdns"])
    with pytest.raises(SystemExit):
        program.parse(["--help"])
    text = capsys.readouterr().out
    assert all(config.title in text for config in SERVERS.values())
    assert all(title in text for title in rounds.TITLES.values())


def test_work_on_a_cpu_is_noticed() -> None:
    """What others take from a server must not go unseen."""
    cpus = range(os.cpu_count() or 1)
    before, end = process_usage.host_busy(cpus), time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    assert process_usage.host_busy(cpus) - before >= 0.1


def test_the_cpu_time_of_a_grandchild_counts() -> None:
    """A server's workers are not always its own children."""
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        before = process_usage.cpu_of_tree(process.pid)
        assert process.stdout.readline() == b"done\n"
        after = process_usage.cpu_of_tree(process.pid)
        assert len(after) == 2
        assert process_usage.used_between(before, after) >= 0.15
        assert process_usage.memory_of_tree(process.pid) > 1_000_000
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


def test_latency_counts_every_response_once(echo: int) -> None:
    """At a low rate nothing is lost, and no time is negative."""
    found = load_generators.measure_latency(echo, query_streams.encode("a.test"), 500, 0.3)
    assert found.lost == 0
    assert found.sent == len(found.times_us) > 5  # of 150: a busy machine sends few
    assert list(found.times_us) == sorted(found.times_us)
    assert 0 < found.times_us[0] <= (found.quantile(0.5) or 0) < 1_000_000


def test_the_batching_sender_counts_the_responses(echo: int) -> None:
    """Sent and answered agree where nothing is lost."""
    queries = list(query_streams.datagrams("nxdomain", 200))
    outcome = load_generators.saturate(echo, queries, 0.2, in_flight=64)
    assert outcome.answered == outcome.sent > 64
