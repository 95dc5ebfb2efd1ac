"""`rrdns delegation --check`: rrdns on real sockets, and what the command line tells of it."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dns.flags
import dns.message
import dns.rrset
import pytest

from rrdns.cli.tools.delegation_output import _HINTS, print_report
from rrdns.config import load
from rrdns.core.delegation.observations import Hint, NameserverObservation, Observations
from rrdns.core.delegation.report import build_report
from rrdns.core.model import Endpoint, Nameserver, Zone
from rrdns.core.snapshot import PoolRRset, Snapshot
from rrdns.net import dns_client
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from tests import sample_config
from tests.cli.conftest import Run
from tests.cli.terminal import on_a_terminal
from tests.cli.test_query import Answer, udp_server
from tests.core import observations
from tests.net.serving import tcp_service, udp_service
from tests.peers import ROOT, free_port

SOA = "ns.example.test. hostmaster.example.test. 1 3600 600 1209600 5"


@dataclass
class Site:
    """Where rrdns answers, and its config."""

    config: Path
    server: str

    def args(self, *more: object, zone: str = "pvs.example.test") -> list[object]:
        """Return a command that checks it; rrdns plays the resolver as well."""
        asked = ["--server", self.server, "--resolver", self.server]
        return ["delegation", "--check", "--config", self.config, "--zone", zone, *asked, *more]


def rrset(ttl: int) -> PoolRRset:
    """Return what rrdns answers for the boot hostname: all members of the config."""
    addresses = ("10.0.0.11", "10.0.0.12")
    return PoolRRset("boot", "boot.pvs.example.test", ttl=ttl, answers=4, addresses=addresses)


@contextmanager
def a_site(folder: Path, ttl: int = 5, *, tcp: bool = True) -> Iterator[Site]:
    """Answer the zones of a config on loopback."""
    path = folder / "rrdns.toml"
    farm = sample_config.farm(pool_settings={"ttl": ttl})
    path.write_text(farm + sample_config.zone(name="idle.example.test"))
    settings = load(path)
    answers = CurrentTable(AnswerTable.build(Snapshot(1, settings.zones, {"boot": rrset(ttl)})))
    port = free_port()
    with ExitStack() as stack:
        stack.enter_context(udp_service(answers, port=port))
        if tcp:
            stack.enter_context(tcp_service(answers, port=port))
        yield Site(path, f"127.0.0.1:{port}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Answer with the usual TTL."""
    with a_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def delegating(*, right: bool = True) -> Answer:
    """Return how a parent answers."""

    def answer(query: dns.message.Message) -> list[bytes]:
        (question,) = query.question
        message = dns.message.make_response(query)
        zone = "pvs.example.test."
        if question.name.to_text() == "example.test.":
            message.flags |= dns.flags.AA
            message.answer.append(dns.rrset.from_text("example.test.", 60, "IN", "SOA", SOA))
        elif question.name.to_text().endswith(zone) and right:
            ns = dns.rrset.from_text(zone, 60, "IN", "NS", f"ns1.{zone}")
            message.authority.append(ns)
            glue = dns.rrset.from_text(f"ns1.{zone}", 60, "IN", "A", "192.0.2.53")
            message.additional.append(glue)
        else:
            message.flags |= dns.flags.AA
            message.authority.append(dns.rrset.from_text("example.test.", 60, "IN", "SOA", SOA))
        return [message.to_wire()]

    return answer


def test_all_well_is_told_with_what_was_seen(rrdns: Run, site: Site) -> None:
    """A row for each server, and exit status 0."""
    with udp_server(delegating()) as parent:
        result = rrdns(*site.args("--parent", parent, "--wait", "0"))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "The delegation of pvs.example.test, for boot.pvs.example.test:"
    assert lines[1].split() == [
        "parent",
        parent,
        *["ok:", "example.test", "delegates", "pvs.example.test", "to", "ns1.pvs.example.test"],
    ]
    assert "ok: authoritative over UDP and TCP, with EDNS; 2 addresses" in lines[2]
    assert lines[3].startswith("resolver")
    assert lines[-1] == "No findings."


def test_every_hint_has_a_command_or_an_option() -> None:
    """The core knows neither."""
    assert _HINTS.keys() == set(Hint)


def test_a_finding_is_told_with_its_mend(rrdns: Run, site: Site) -> None:
    """And exit status 1."""
    with udp_server(delegating(right=False)) as parent:
        result = rrdns(*site.args("--parent", parent, "--wait", "0"))
    assert result.exit_code == 1
    assert f"no-delegation: example.test at {parent} does not delegate" in result.stdout
    assert "; `rrdns delegation` prints what to enter there\n" in result.stdout
    assert result.stdout.endswith("\n1 finding.\n")


def test_a_firewall_that_lets_no_tcp_pass_is_found(rrdns: Run, tmp_path: Path) -> None:
    """Nothing fails at once for want of it, so nobody else would tell."""
    with a_site(tmp_path, tcp=False) as site:
        result = rrdns(*site.args("--wait", "0"))
    assert result.exit_code == 1
    assert f"no-tcp: {site.server} does not answer over TCP: connection refused" in result.stdout
    assert result.stdout.endswith("\n1 finding.\n")


def test_findings_with_one_mend_share_it(rrdns: Run, site: Site) -> None:
    """As those of two servers of one parent zone."""
    with udp_server(delegating(right=False)) as one, udp_server(delegating(right=False)) as two:
        result = rrdns(*site.args("--parent", one, "--parent", two, "--wait", "0"))
    assert result.stdout.count("no-delegation: ") == 2
    assert result.stdout.count("  -> ") == 1
    assert result.stdout.endswith("\n2 findings.\n")


def test_a_script_gets_all_of_it_as_json(rrdns: Run, site: Site) -> None:
    """Who was asked, what was found there, and what could not be told."""
    with udp_server(delegating(right=False)) as parent:
        result = rrdns(*site.args("--parent", parent, "--wait", "0", "--json"))
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert not told["ok"]
    assert (told["zone"], told["parent"]) == ("pvs.example.test", "example.test")
    assert told["hostname"] == "boot.pvs.example.test"
    assert [one["role"] for one in told["asked"]] == ["parent", "nameserver", "resolver"]
    assert [one["ok"] for one in told["asked"]] == [False, True, True]
    (finding,) = told["findings"]
    assert (finding["role"], finding["server"]) == ("parent", parent)
    assert finding["code"] == "no-delegation"
    assert finding["sentence"]
    assert finding["remedy"]


def test_without_names_the_resolvers_of_this_host_are_asked(
    rrdns: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them, where it has none; that is a note."""
    monkeypatch.setattr(dns_client, "system_resolvers", lambda: ())
    args = site.args("--wait", "0")
    del args[args.index("--resolver") : args.index("--resolver") + 2]
    result = rrdns(*args)
    assert result.exit_code == 0, result.output
    assert "Note: no resolver was queried; --resolver ADDRESS names one." in result.stdout
    assert "Note: no parent zone was found; --parent ADDRESS names" in result.stdout


def test_a_zone_without_a_pool_can_be_checked(rrdns: Run, site: Site) -> None:
    """As far as it goes, and that is told."""
    result = rrdns(*site.args("--json", zone="idle.example.test"))
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["hostname"] is None
    assert "idle.example.test has no pool, so no answers were checked" in told["notes"]


def test_the_pool_can_be_chosen(rrdns: Run, site: Site) -> None:
    """One of the zone's; another one is a wrong usage."""
    assert rrdns(*site.args("--pool", "boot", "--wait", "0")).exit_code == 0
    for zone, there in (("pvs.example.test", "boot"), ("idle.example.test", "none")):
        result = rrdns(*site.args("--pool", "nope", zone=zone))
        assert result.exit_code == 2
        assert f"there are: {there}" in result.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--check", "--format", "bind"], "--format cannot be used with --check"),
        (["--check", "--parent-zone", "test"], "--parent-zone cannot be used with --check"),
        (["--parent", "192.0.2.1"], "--parent needs --check"),
        (["--resolver", "192.0.2.1"], "--resolver needs --check"),
        (["--server", "192.0.2.1"], "--server needs --check"),
        (["--pool", "boot"], "--pool needs --check"),
        (["--check", "--parent", ":53"], "--parent is ':53'; it must be an address"),
        (["--check", "--resolver", "a:b"], "--resolver is 'a:b'; it must be an address"),
        (["--check", "--wait", "-1"], "--wait"),
    ],
)
def test_options_that_do_not_belong_are_a_wrong_usage(
    rrdns: Run, site: Site, args: list[str], sentence: str
) -> None:
    """Nobody is asked."""
    config = ["--config", site.config, "--zone", "pvs.example.test"]
    result = rrdns("delegation", *config, *args)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_waiting_is_shown_on_a_terminal_and_wiped_away(site: Site) -> None:
    """On standard error; what is told follows on a clean line."""
    said, status = on_a_terminal(*site.args("--wait", "2"), errors=True)
    assert status == 0, said
    assert b"\rQuerying, and waiting for answers to expire (--wait 2): 1 s" in said
    assert b" \rThe delegation of" in said


def test_waiting_can_be_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends it at once, however long an answer lives."""
    with a_site(tmp_path, ttl=600) as site:
        began = time.monotonic()
        said, status = on_a_terminal(
            *site.args("--wait", "3600"), errors=True, until=b"Querying", signal=signal.SIGINT
        )
    assert status not in (0, 2), said
    assert time.monotonic() - began < 20
    assert b"Traceback" not in said


def test_the_example_of_the_page_is_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/delegation.md shows one resolver that is well and one that makes TTLs longer."""
    zone, ns1 = "pvs.corp.example", "ns1.pvs.corp.example"
    ns, glue = f"{zone}. 3600 NS {ns1}.", f"{ns1}. 3600 A 10.0.0.53"
    soa = observations.reply(f"{zone}. 60 SOA {ns1}. hostmaster.corp.example. 1 3600 600 1209600 5")
    delegation = observations.reply(authority=(ns,), additional=(glue,), flags=())
    at_rrdns = Endpoint("10.0.0.53", 53)
    resolver = replace(observations.RESOLVER, server=Endpoint("10.0.0.2", 53), soa=soa)
    clamping = observations.looks(observations.turned(0, ttl=60), observations.turned(1, ttl=60))
    survey = Observations(
        Zone(zone, (Nameserver(ns1, ("10.0.0.53",)),), "hostmaster.corp.example"),
        replace(observations.POOL, hostname="boot.pvs.corp.example"),
        "corp.example",
        (replace(observations.PARENT, server=Endpoint("10.0.0.1", 53), delegation=delegation),),
        servers=(
            NameserverObservation(
                at_rrdns, ns1, soa, observations.reply(ns), soa, soa, observations.TURNING
            ),
        ),
        resolvers=(resolver, replace(resolver, server=Endpoint("10.0.0.3", 53), samples=clamping)),
    )
    print_report(survey, build_report(survey), as_json=False)
    page = (ROOT / "docs/delegation.md").read_text()
    (block,) = re.findall(r"(?ms)^```\n(The delegation of .*?)^```$", page)
    assert capsys.readouterr().out == block
