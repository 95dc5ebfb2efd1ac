"""Whom a survey asks, and what: in a world where servers are functions and time is a number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

from rrdns.core.delegation.observations import Observations, first_addresses
from rrdns.core.delegation.report import build_report
from rrdns.core.dns_message import NoResponse, QueryOutcome, Response
from rrdns.core.model import Endpoint, Nameserver
from rrdns.net.delegation_survey import Environment, SurveyPlan, query_function, run_survey
from rrdns.net.dns_client import system_resolvers
from tests.core.observations import (
    ADDRESSES,
    AT_PARENT,
    AT_RESOLVER,
    AT_RRDNS,
    NAME,
    NS,
    PARENT_SOA,
    POOL,
    QUIET,
    SOA,
    ZONE,
    addresses,
    referral,
    reply,
    turned,
)
from tests.peers import free_port

Answer = Callable[[str, str], QueryOutcome]
NXDOMAIN = reply(rcode="NXDOMAIN", authority=(PARENT_SOA,))


def of_rrdns() -> Answer:
    """Return how rrdns answers."""
    turn = count()
    fixed = {"SOA": reply(SOA), "NS": reply(NS)}
    return lambda _, rtype: fixed.get(rtype) or turned(next(turn))


def of_parent(_: str, rtype: str) -> QueryOutcome:
    """Answer as a parent that delegates; of its own names only the SOA's is known."""
    return {"SOA": reply(PARENT_SOA), "DS": reply(authority=(PARENT_SOA,))}.get(rtype) or referral()


def of_resolver(rrdns: Answer) -> Answer:
    """Return how a resolver answers that passes everything on."""
    known = {
        ("example.test", "SOA"): reply(PARENT_SOA, flags=("ra",)),
        ("example.test", "NS"): reply(
            "example.test. 60 NS dc1.example.test.", "example.test. 60 NS dc2.example.test."
        ),
        ("dc1.example.test", "A"): reply("dc1.example.test. 60 A 192.0.2.1"),
        ("dc2.example.test", "AAAA"): reply("dc2.example.test. 60 AAAA 2001:db8::1"),
        ("rrdns1.example.test", "A"): reply("rrdns1.example.test. 60 A 192.0.2.53"),
    }
    inside = (ZONE.name, NAME)
    return lambda name, rtype: (
        rrdns(name, rtype) if name in inside else known.get((name, rtype), NXDOMAIN)
    )


@dataclass
class Fake:
    """A world of a few servers."""

    servers: dict[str, Answer]
    now: float = 0.0
    ends: float = float("inf")  # when somebody loses patience
    asked: list[tuple[str, str, str, frozenset[str]]] = field(default_factory=list)
    ticks: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(
        self, server: Endpoint, name: str, rtype: str, *, recurse: bool = True, **how: bool
    ) -> QueryOutcome:
        """Return what a server says; who is not there says nothing."""
        flags = {key for key, value in how.items() if value} | ({"recurse"} if recurse else set())
        self.asked.append((server.host, name, rtype, frozenset(flags)))
        answer = self.servers.get(server.host)
        return answer(name, rtype) if answer else QUIET

    def pause(self, seconds: float) -> bool:
        """Let time pass at once."""
        self.now += seconds
        return self.now > self.ends

    def tick(self) -> None:
        """Count the signs of life."""
        self.ticks += 1

    def world(self) -> Environment:
        """Return what a survey needs of it."""
        return Environment(self.ask, lambda: self.now, self.pause, self.stopped.set, self.tick)

    def questions(self, host: str, rtype: str) -> list[frozenset[str]]:
        """Return how a server was asked for a type."""
        return [how for at, _, kind, how in self.asked if at == host and kind == rtype]


@pytest.fixture
def fake() -> Fake:
    """Return a world in which all is well."""
    rrdns = of_rrdns()
    return Fake({"192.0.2.1": of_parent, "192.0.2.53": rrdns, "192.0.2.3": of_resolver(rrdns)})


PLAN = SurveyPlan(ZONE, POOL, 60.0, resolvers=(AT_RESOLVER,), parents=(AT_PARENT,))


def test_a_healthy_world_has_no_finding(fake: Fake) -> None:
    """What is seen of it is what the decisions expect."""
    seen = run_survey(PLAN, fake.world())
    assert build_report(seen).findings == ()
    assert build_report(seen).notes == ()
    assert seen.parent_zone == "example.test"
    assert [one.server for one in seen.servers] == [AT_RRDNS]


def test_authoritative_servers_are_asked_without_recursion(fake: Fake) -> None:
    """What they remember from others is none of it; resolvers are asked as targets ask."""
    run_survey(PLAN, fake.world())
    for rtype in ("NS", "DS", "SOA"):
        assert set(fake.questions("192.0.2.1", rtype)) == {frozenset()}
    assert fake.questions("192.0.2.53", "SOA") == [
        frozenset(),
        frozenset({"tcp"}),
        frozenset({"edns"}),
    ]
    assert {"recurse"} == set().union(*fake.questions("192.0.2.3", "A"))


def test_the_parent_is_found_through_the_resolver(fake: Fake) -> None:
    """Its zone by the SOA, its servers by NS, each by its addresses."""
    seen = run_survey(replace(PLAN, parents=()), fake.world())
    assert seen.parent_zone == "example.test"
    assert [one.server.host for one in seen.parents] == ["192.0.2.1", "2001:db8::1"]
    assert not seen.parents_named


def test_a_parent_further_up_is_found(fake: Fake) -> None:
    """The SOA in a negative answer tells the zone."""
    zone = replace(ZONE, name="pvs.site.example.test")
    seen = run_survey(SurveyPlan(zone, None, 0, (AT_RESOLVER,)), fake.world())
    assert seen.parent_zone == "example.test"


@pytest.mark.parametrize("owner", [".", "test.", "other.test."])
def test_a_name_that_nobody_knows_has_no_parent(fake: Fake, owner: str) -> None:
    """The root and top-level domains deny it; they are not bothered."""
    denied = reply(
        rcode="NXDOMAIN", authority=(PARENT_SOA.replace("example.test. ", f"{owner} ", 1),)
    )
    fake.servers["192.0.2.3"] = lambda *_: denied
    seen = run_survey(replace(PLAN, parents=()), fake.world())
    assert (seen.parent_zone, seen.parents) == ("", ())


def test_a_parent_that_is_a_top_level_domain_is_one(fake: Fake) -> None:
    """Where the zone is right below it."""
    fake.servers["192.0.2.3"] = lambda name, rtype: reply("test. 60 SOA ns.test. h.test. 1 2 3 4 5")
    zone = replace(ZONE, name="pvs.test")
    assert run_survey(SurveyPlan(zone, None, 0, (AT_RESOLVER,)), fake.world()).parent_zone == "test"


def test_a_named_parent_that_is_silent_is_taken_at_its_word(fake: Fake) -> None:
    """Its zone is then the name above."""
    del fake.servers["192.0.2.1"]
    seen = run_survey(PLAN, fake.world())
    assert seen.parent_zone == "example.test"
    assert seen.parents[0].delegation is QUIET
    assert len(fake.questions("192.0.2.1", "NS")) == 1


def test_a_nameserver_outside_is_looked_up(fake: Fake) -> None:
    """Its address is not in the config; where no resolver knows it, that is told."""
    names = (Nameserver("rrdns1.example.test"), Nameserver("rrdns9.example.test"))
    seen = run_survey(replace(PLAN, zone=replace(ZONE, nameservers=names)), fake.world())
    assert [(one.server, one.name) for one in seen.servers] == [(AT_RRDNS, "rrdns1.example.test")]
    assert seen.unresolved == ("rrdns9.example.test",)
    seen = run_survey(
        replace(PLAN, zone=replace(ZONE, nameservers=names), resolvers=()), fake.world()
    )
    assert (seen.servers, seen.unresolved) == ((), ())


def test_rrdns_may_be_somewhere_else(fake: Fake) -> None:
    """As behind a translation of addresses."""
    fake.servers["127.0.0.1"] = of_rrdns()
    other = Endpoint("127.0.0.1", 5353)
    seen = run_survey(replace(PLAN, servers=(other,)), fake.world())
    assert [(one.server, one.name) for one in seen.servers] == [(other, "")]
    assert not fake.questions("192.0.2.53", "SOA")


def test_a_lame_server_is_asked_no_more_than_shows_it(fake: Fake) -> None:
    """Time-outs would add up."""
    fake.servers["192.0.2.53"] = lambda *_: reply(rcode="REFUSED")
    run_survey(PLAN, fake.world())
    assert len(fake.questions("192.0.2.53", "SOA")) == 2
    assert not fake.questions("192.0.2.53", "A")


def test_a_resolver_that_says_nothing_is_asked_once(fake: Fake) -> None:
    """And nobody waits for it."""
    del fake.servers["192.0.2.3"]
    seen = run_survey(PLAN, fake.world())
    assert seen.resolvers[0].samples[0].outcome is QUIET
    assert len([one for one in fake.asked if one[0] == "192.0.2.3"]) == 1
    assert fake.now == 0


def test_a_resolver_that_fails_is_asked_why(fake: Fake) -> None:
    """Without validation, and for the parent's own nameserver."""
    fake.servers["192.0.2.3"] = lambda *_: reply(rcode="SERVFAIL")
    (seen,) = run_survey(PLAN, fake.world()).resolvers
    assert isinstance(seen.unchecked, Response)
    assert isinstance(seen.parent, Response)
    assert frozenset({"checking_disabled", "recurse"}) in fake.questions("192.0.2.3", "A")
    assert ("192.0.2.3", "dc1.example.test", "A", frozenset({"recurse"})) in fake.asked
    del fake.servers["192.0.2.1"]
    (seen,) = run_survey(PLAN, fake.world()).resolvers
    assert seen.parent is None


def cached(rrdns: Answer, fake: Fake) -> Answer:
    """Return how a resolver answers that keeps what it gets for 5 s, in its order."""
    kept: list[QueryOutcome] = [QUIET]
    until = [-1.0]

    def answer(name: str, rtype: str) -> QueryOutcome:
        if rtype != "A":
            return rrdns(name, rtype)
        if fake.now >= until[0]:
            until[0], kept[0] = fake.now + 5, rrdns(name, rtype)
        order = kept[0].data("A") if isinstance(kept[0], Response) else ()
        return addresses(*order, ttl=int(until[0] - fake.now))

    return answer


def test_askers_in_step_do_not_hide_that_the_order_turns(fake: Fake) -> None:
    """Whoever asks three times for each new answer would always see the same one first."""
    turn: Iterator[int] = count()

    def in_step(name: str, rtype: str) -> QueryOutcome:
        if rtype != "A":
            return reply(SOA) if rtype == "SOA" else reply(NS)
        return turned(next(turn))

    def thrice(name: str, rtype: str) -> QueryOutcome:
        for _ in range(len(ADDRESSES) - 1):
            in_step(name, "A")
        return in_step(name, rtype)

    fake.servers["192.0.2.53"] = in_step
    for _ in range(20):  # chance decides; that it stands still so often is out of the question
        fake.servers["192.0.2.3"] = cached(thrice, fake)
        (seen,) = run_survey(PLAN, fake.world()).resolvers
        if len(first_addresses(seen.samples)) > 1:
            break
    else:
        pytest.fail("the order never turned")


def test_waiting_is_ended_by_who_waits(fake: Fake) -> None:
    """The looks until then are what was seen."""
    fake.servers["192.0.2.3"] = cached(fake.servers["192.0.2.53"], fake)
    fake.ends = 1.0
    seen = run_survey(PLAN, fake.world())
    assert len(seen.resolvers[0].samples) == 6


def test_an_interrupt_stops_the_pauses(fake: Fake) -> None:
    """Else the threads would be waited for to the end of their patience."""
    waiting = threading.Event()

    def pause(seconds: float) -> bool:
        waiting.set()
        return fake.stopped.wait(60)

    def tick() -> None:
        if waiting.wait(60):
            raise KeyboardInterrupt

    fake.servers["192.0.2.3"] = cached(fake.servers["192.0.2.53"], fake)
    world = replace(fake.world(), pause=pause, tick=tick)
    with pytest.raises(KeyboardInterrupt):
        run_survey(PLAN, world)


def test_a_zone_without_a_pool_is_asked_for_no_addresses(fake: Fake) -> None:
    """There is no boot hostname."""
    seen: Observations = run_survey(replace(PLAN, pool=None), fake.world())
    assert build_report(seen).findings == ()
    assert not fake.questions("192.0.2.53", "A")


def test_the_resolvers_of_this_host_are_known(tmp_path: Path) -> None:
    """From /etc/resolv.conf, each once, in its order."""
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# nameserver 10.0.0.9\nsearch x\nnameserver 10.0.0.1\nnameserver\n\n"
        "nameserver 2001:db8::1\nnameserver 10.0.0.1\n"
    )
    assert system_resolvers(path) == (Endpoint("10.0.0.1", 53), Endpoint("2001:db8::1", 53))
    assert system_resolvers(tmp_path / "none") == ()


def test_a_real_question_that_fails_is_silence_with_a_reason() -> None:
    """A closed port is the other host's, an address that nobody routes is ours."""
    ask = query_function(0.05)
    closed = ask(Endpoint("127.0.0.1", free_port()), NAME, "A")
    assert closed == NoResponse("connection refused")
    assert ask(Endpoint("127.0.0.1", free_port()), NAME, "A", tcp=True) == closed
    unroutable = ask(Endpoint("255.255.255.255", 53), NAME, "A")
    assert isinstance(unroutable, NoResponse)
    assert unroutable.is_local_error
