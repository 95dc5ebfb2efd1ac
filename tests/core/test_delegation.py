"""What is found of a delegation, from what was seen of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.delegation.observations import (
    Finding,
    FindingCode,
    Hint,
    NameserverObservation,
    Note,
    Observations,
    ParentObservation,
    ResolverObservation,
    Sample,
)
from rrdns.core.delegation.report import Report, build_report
from rrdns.core.dns_message import ExtendedError, NoResponse, QueryOutcome, Response
from rrdns.core.model import Endpoint, Member, Nameserver
from tests.core import observations
from tests.core.observations import (
    ADDRESSES,
    GLUE,
    NS,
    PARENT,
    PARENT_SOA,
    POOL,
    QUIET,
    RESOLVER,
    SERVER,
    SOA,
    SURVEY,
    ZONE,
    addresses,
    at_parent,
    at_resolver,
    at_server,
    looks,
    referral,
    reply,
    turned,
)
from tests.peers import ROOT

NOBODY = NoResponse("network is unreachable", is_local_error=True)
NXDOMAIN = reply(rcode="NXDOMAIN", authority=(PARENT_SOA,))
SERVFAIL = reply(rcode="SERVFAIL", flags=("ra",))
NODATA = reply(flags=("ra",))
ANSWERS = "3 addresses, TTL 5 s at most, the first one changes"


def the(survey: Observations) -> Finding:
    """Return the only finding."""
    (finding,) = build_report(survey).findings
    return finding


def well(told: Report) -> list[str]:
    """Return what is said of each server that is well."""
    return [one.ok_text for one in told.servers]


def test_a_healthy_delegation_has_no_finding() -> None:
    """Each server is told with what is well there."""
    told = build_report(SURVEY)
    assert told.findings == ()
    assert told.notes == ()
    assert well(told) == [
        "example.test delegates pvs.example.test to ns1.pvs.example.test",
        f"authoritative over UDP and TCP, with EDNS; {ANSWERS}",
        ANSWERS,
    ]
    assert [one.server for one in told.servers] == [
        "192.0.2.1",
        "192.0.2.53 (ns1.pvs.example.test)",
        "192.0.2.3",
    ]


def test_every_finding_has_its_mend() -> None:
    """In a sentence that says what to do; none is left out here."""
    found = {
        finding.code: finding for _, survey in FAULTS for finding in build_report(survey).findings
    }
    assert set(found) == set(FindingCode)
    assert all(len(finding.remedy) > 20 for finding in found.values())
    assert all(finding.sentence for finding in found.values())


FAULTS: list[tuple[FindingCode, Observations]] = [
    # at the parent
    (FindingCode.PARENT_SILENT, at_parent(delegation=QUIET)),
    (FindingCode.NO_DELEGATION, at_parent(delegation=NXDOMAIN, address=NXDOMAIN)),
    (FindingCode.NO_DELEGATION, at_parent(delegation=reply(authority=(PARENT_SOA,)), address=None)),
    (FindingCode.PARENT_LAME, at_parent(delegation=SERVFAIL, apex=SERVFAIL)),
    (FindingCode.PARENT_LAME, at_parent(delegation=NXDOMAIN, apex=QUIET)),
    (FindingCode.ANSWERED_ELSEWHERE, at_parent(delegation=reply(NS))),
    (
        FindingCode.ANSWERED_ELSEWHERE,
        at_parent(delegation=NXDOMAIN, address=addresses("10.0.0.77")),
    ),
    (FindingCode.NS_MISMATCH, at_parent(delegation=referral(NS, NS.replace("ns1", "ns9")))),
    (FindingCode.GLUE_MISSING, at_parent(delegation=reply(authority=(NS,), flags=()))),
    (FindingCode.GLUE_WRONG, at_parent(delegation=referral(glue=[GLUE.replace(".53", ".99")]))),
    (FindingCode.DS_PRESENT, at_parent(ds=reply("pvs.example.test. 3600 DS 1 8 2 ABAB"))),
    # at rrdns
    (FindingCode.UNRESOLVED, replace(SURVEY, unresolved=("rrdns1.example.test",))),
    (FindingCode.SILENT, at_server(soa=QUIET, tcp=QUIET)),
    (FindingCode.SILENT, at_server(soa=QUIET)),
    (FindingCode.LAME, at_server(soa=reply(rcode="REFUSED", flags=()))),
    (FindingCode.LAME, at_server(soa=reply(SOA, flags=()))),
    (FindingCode.LAME, at_server(soa=reply(PARENT_SOA))),
    (FindingCode.NOT_RRDNS, at_server(soa=reply(SOA, flags=("aa", "ra")))),
    (FindingCode.NO_TCP, at_server(tcp=NoResponse("connection refused"))),
    (FindingCode.NO_EDNS, at_server(edns=QUIET)),
    (FindingCode.NO_EDNS, at_server(edns=reply(rcode="FORMERR"))),
    (FindingCode.SOA_MISMATCH, at_server(soa=reply(SOA.replace(" 1 3600", " 2 3600")))),
    (FindingCode.NS_MISMATCH, at_server(ns=reply(NS.replace("ns1", "ns2")))),
    (FindingCode.NS_MISMATCH, at_server(ns=QUIET)),
    (FindingCode.NO_ADDRESS, at_server(samples=looks(SERVFAIL))),
    (FindingCode.MEMBERS_MISMATCH, at_server(samples=looks(addresses("10.0.0.77"), turned(1)))),
    (FindingCode.TTL_MISMATCH, at_server(samples=looks(turned(0, ttl=9), turned(1, ttl=9)))),
    (FindingCode.ROTATION_FROZEN, at_server(samples=looks(turned(0), turned(0), turned(0)))),
    # at a resolver
    (FindingCode.RESOLVER_SILENT, at_resolver(soa=QUIET, samples=looks(QUIET))),
    (
        FindingCode.RESOLVER_REFUSES,
        at_resolver(soa=reply(rcode="REFUSED"), samples=looks(reply(rcode="REFUSED"))),
    ),
    (FindingCode.RESOLVER_FAILS, at_resolver(soa=SERVFAIL, samples=looks(SERVFAIL))),
    (FindingCode.RESOLVER_FAILS, at_resolver(soa=QUIET, samples=looks(NODATA), parent=QUIET)),
    (FindingCode.NAME_UNKNOWN, at_resolver(soa=NXDOMAIN, samples=looks(NXDOMAIN))),
    (
        FindingCode.NOT_VALIDATED,
        at_resolver(soa=SERVFAIL, samples=looks(SERVFAIL), unchecked=turned(0)),
    ),
    (FindingCode.PRIVATE_STRIPPED, at_resolver(samples=looks(NODATA), unchecked=NODATA)),
    (FindingCode.PRIVATE_STRIPPED, at_resolver(samples=looks(SERVFAIL), unchecked=SERVFAIL)),
    (
        FindingCode.PRIVATE_STRIPPED,
        at_resolver(soa=SERVFAIL, samples=looks(SERVFAIL), unchecked=SERVFAIL, parent=NODATA),
    ),
    (FindingCode.ANSWERED_ELSEWHERE, at_resolver(samples=looks(addresses("10.0.0.77")))),
    (FindingCode.SOA_MISMATCH, at_resolver(soa=reply(SOA.replace("hostmaster", "root")))),
    (FindingCode.TTL_CLAMPED, at_resolver(samples=looks(turned(0, ttl=60), turned(1, ttl=60)))),
    (
        FindingCode.TTL_FROZEN,
        at_resolver(samples=looks(*[turned(0)] * 3, at=(0.0, 1.6, 8.0))),
    ),
    (
        FindingCode.ROTATION_FROZEN,
        at_resolver(samples=looks(*[turned(0)] * 7, at=range(0, 49, 7))),
    ),
]


@pytest.mark.parametrize(
    ("fault", "survey"), FAULTS, ids=[f"{n}-{fault}" for n, (fault, _) in enumerate(FAULTS)]
)
def test_a_fault_is_found_and_no_other(fault: FindingCode, survey: Observations) -> None:
    """One thing is wrong, and one finding says so."""
    assert the(survey).code is fault


# At the parent


def test_a_missing_delegation_says_who_else_was_referred_to() -> None:
    """A zone in between is the one that has to delegate."""
    survey = at_parent(delegation=referral("Site.test. 3600 NS ns1.example.test."))
    survey = replace(survey, zone=replace(ZONE, name="pvs.site.test"))
    assert "refers to the servers of site.test" in build_report(survey).findings[0].sentence
    assert build_report(survey).findings[0].hint is Hint.OTHER_PARENT


def test_what_a_parent_remembers_is_a_delegation_too() -> None:
    """A server that resolves as well may answer with NS, unauthoritative, and without glue."""
    assert build_report(at_parent(delegation=reply(NS, flags=("ra",)))).findings == ()


def test_names_and_addresses_are_compared_whatever_their_case() -> None:
    """DNS does not care for it."""
    upper = referral(NS.upper().replace(" NS ", " NS "), glue=[GLUE.upper()])
    assert build_report(at_parent(delegation=upper)).findings == ()


def test_glue_is_asked_for_only_of_nameservers_inside() -> None:
    """Others have their address records elsewhere."""
    integrations = replace(ZONE, nameservers=(Nameserver("rrdns1.example.test", ("192.0.2.53",)),))
    ns = NS.replace("ns1.pvs", "rrdns1")
    soa = reply(SOA.replace("ns1.pvs", "rrdns1"))
    survey = replace(
        SURVEY,
        zone=integrations,
        parents=(replace(PARENT, delegation=reply(authority=(ns,), flags=())),),
        servers=(replace(SERVER, soa=soa, ns=reply(ns)),),
        resolvers=(replace(RESOLVER, soa=soa),),
    )
    assert build_report(survey).findings == ()


def test_a_nameserver_that_the_parent_lacks_needs_no_glue_there() -> None:
    """That it lacks it is told once."""
    two = replace(
        ZONE, nameservers=(*ZONE.nameservers, Nameserver("ns2.pvs.example.test", ("192.0.2.54",)))
    )
    findings = build_report(replace(at_parent(), zone=two, servers=(), resolvers=())).findings
    assert [finding.code for finding in findings] == [FindingCode.NS_MISMATCH]
    assert "the delegation lacks ns2.pvs.example.test;" in findings[0].sentence


def test_an_ipv6_address_is_glue_as_well() -> None:
    """It has to be there where the config has it."""
    both = Nameserver("ns1.pvs.example.test", ("192.0.2.53", "2001:db8::53"))
    survey = replace(SURVEY, zone=replace(ZONE, nameservers=(both,)))
    assert the(survey).code is FindingCode.GLUE_WRONG
    glue = [GLUE, "ns1.pvs.example.test. 3600 AAAA 2001:db8::53"]
    survey = replace(survey, parents=(replace(PARENT, delegation=referral(glue=glue)),))
    assert build_report(survey).findings == ()


def test_resolvers_that_do_without_a_delegation_make_it_no_finding() -> None:
    """As with a stub zone in their config; but only where nobody named the parent."""
    survey = at_parent(delegation=NXDOMAIN, address=NXDOMAIN)
    told = build_report(replace(survey, parents_named=False))
    assert told.findings == ()
    assert told.servers[0].ok_text == "no delegation, and the resolvers do not need one"
    broken = replace(
        survey,
        parents_named=False,
        resolvers=at_resolver(soa=SERVFAIL, samples=looks(SERVFAIL)).resolvers,
    )
    assert FindingCode.NO_DELEGATION in [finding.code for finding in build_report(broken).findings]


# At rrdns


def test_a_refusal_tells_of_allow_query_where_it_is_set() -> None:
    """It may be this host that is not let through."""
    refused = at_server(soa=reply(rcode="REFUSED", flags=()))
    assert "allow_query" not in the(refused).remedy
    limited = replace(refused, zone=replace(ZONE, allow_query=("10.0.0.0/8",)))
    assert "allow_query of the zone must contain this host" in the(limited).remedy


def test_a_zone_without_a_pool_is_checked_as_far_as_it_goes() -> None:
    """Its SOA and NS, at rrdns and through the resolver."""
    bare = replace(
        SURVEY,
        pool=None,
        servers=(replace(SERVER, samples=()),),
        resolvers=(replace(RESOLVER, samples=()),),
    )
    told = build_report(bare)
    assert told.findings == ()
    assert told.notes == (Note("pvs.example.test has no pool, so no answers were checked"),)
    assert well(told)[1:] == ["authoritative over UDP and TCP, with EDNS", "it finds the zone"]
    for soa, fault in (
        (QUIET, FindingCode.RESOLVER_SILENT),
        (SERVFAIL, FindingCode.RESOLVER_FAILS),
        (reply(SOA.replace(" 1 3600", " 2 3600")), FindingCode.SOA_MISMATCH),
    ):
        broken = replace(bare, resolvers=(replace(RESOLVER, soa=soa, samples=()),))
        assert the(broken).code is fault


def test_one_address_need_not_turn() -> None:
    """With one member, or one address an answer, the order says nothing."""
    lone = replace(POOL, members=POOL.members[:1])
    answer = addresses(ADDRESSES[0])
    survey = replace(
        SURVEY,
        pool=lone,
        servers=(replace(SERVER, samples=looks(*[answer] * 4)),),
        resolvers=(replace(RESOLVER, samples=looks(*[answer] * 7, at=range(0, 49, 7))),),
    )
    told = build_report(survey)
    assert told.findings == ()
    assert told.notes == ()
    assert told.servers[-1].ok_text == "1 address, TTL 5 s at most"


# At resolvers


def test_private_addresses_may_be_missing_beside_public_ones() -> None:
    """A filter takes out some of a set."""
    mixed = replace(POOL, members=(*POOL.members[:1], Member("pvs-2", "1.1.1.1")))
    both = looks(addresses("10.0.0.11", "1.1.1.1"), addresses("1.1.1.1", "10.0.0.11"))
    survey = replace(
        at_resolver(samples=looks(addresses("1.1.1.1"), at=(0.0,))),
        pool=mixed,
        servers=(replace(SERVER, samples=both),),
    )
    fault = build_report(survey).findings[0]
    assert fault.code is FindingCode.PRIVATE_STRIPPED
    assert "only 1.1.1.1" in fault.sentence


def test_members_are_expected_where_rrdns_could_not_be_asked() -> None:
    """A resolver may reach it from where it stands."""
    survey = replace(at_server(soa=QUIET, tcp=QUIET, samples=()))
    assert [finding.code for finding in build_report(survey).findings] == [FindingCode.SILENT]


def test_a_resolver_need_not_tell_the_soa() -> None:
    """Some answer nothing but addresses, and targets ask for nothing else."""
    for soa in (NoResponse("what came is malformed"), SERVFAIL):
        assert build_report(at_resolver(soa=soa)).findings == ()


def test_an_order_that_stands_still_until_the_answer_is_renewed_is_told() -> None:
    """Whoever boots within one TTL goes to the same server; that is no fault."""
    still = looks(*[turned(0)] * 6, turned(1), at=(*[0.0] * 6, 6.2))
    told = build_report(at_resolver(samples=still))
    assert told.findings == ()
    assert told.servers[-1].ok_text.endswith("the first one changes with each new answer")


def test_what_could_not_be_told_in_time_is_a_note() -> None:
    """Too few looks to say that the order stands still."""
    survey = at_resolver(samples=looks(turned(0), turned(0), at=(0.0, 6.2)))
    told = build_report(survey)
    assert told.findings == ()
    (note,) = told.notes
    assert note == Note(
        "the check saw no rotation through 192.0.2.3 within 6 s, and cannot exclude it",
        Hint.LONGER_TIMEOUT,
    )


def test_who_cannot_be_asked_from_here_is_a_note_if_others_can() -> None:
    """A host without IPv6 cannot ask an IPv6 address; nothing is wrong there."""
    six = replace(SERVER, server=Endpoint("2001:db8::53", 53), soa=NOBODY, tcp=NOBODY, samples=())
    told = build_report(replace(SURVEY, servers=(SERVER, six)))
    assert told.findings == ()
    assert told.notes == (Note("2001:db8::53 cannot be queried from here: network is unreachable"),)
    assert the(replace(SURVEY, servers=(six,))).code is FindingCode.SILENT


def test_a_silent_server_of_a_parent_that_nobody_named_is_a_note() -> None:
    """Not every server of a large site can be asked from every host; one has to answer."""
    quiet = replace(PARENT, server=Endpoint("192.0.2.2", 53), delegation=QUIET)
    both = replace(SURVEY, parents=(PARENT, quiet))
    assert the(both).code is FindingCode.PARENT_SILENT
    told = build_report(replace(both, parents_named=False))
    assert told.findings == ()
    assert told.notes == (Note(f"192.0.2.2 cannot be queried from here: {QUIET.reason}"),)
    alone = replace(SURVEY, parents=(quiet,), parents_named=False)
    assert the(alone).code is FindingCode.PARENT_SILENT


def test_who_was_not_asked_is_told() -> None:
    """And how to name them."""
    told = build_report(replace(SURVEY, parents=(), resolvers=()))
    assert told.notes == (
        Note("no server of example.test was found", Hint.OTHER_PARENT),
        Note("no resolver was queried", Hint.OTHER_RESOLVER),
    )
    told = build_report(replace(SURVEY, parents=(), parent_zone=""))
    assert told.notes == (Note("no parent zone was found", Hint.OTHER_PARENT),)


def test_an_odd_port_is_told() -> None:
    """The usual one is not."""
    survey = replace(SURVEY, resolvers=(replace(RESOLVER, server=Endpoint("127.0.0.1", 5353)),))
    assert build_report(survey).servers[-1].server == "127.0.0.1:5353"


HEARD: list[QueryOutcome] = [
    QUIET,
    NOBODY,
    NXDOMAIN,
    SERVFAIL,
    NODATA,
    reply(SOA),
    reply(SOA, flags=("ra",)),
    reply(NS),
    reply("pvs.example.test. 0 SOA . . 0 0 0 0 0"),
    referral(),
    referral(NS, NS.replace("ns1", "ns9"), glue=[GLUE.replace(".53", ".99")]),
    addresses("1.1.1.1", ttl=0),
    addresses("10.0.0.77"),
    turned(0),
    turned(1, ttl=60),
    reply(f"{POOL.hostname}. 5 CNAME other.test.", "other.test. 5 A 10.0.0.11"),
]


@given(st.lists(st.sampled_from(HEARD), min_size=20, max_size=20), st.integers(1, 9))
def test_whatever_servers_say_comes_to_a_report(said: list[QueryOutcome], pace: int) -> None:
    """Each finding has a sentence and a mend; nothing breaks."""
    tries = tuple(Sample(float(n * pace), one) for n, one in enumerate(said[12:]))
    parent = ParentObservation(PARENT.server, *said[:5])
    server = NameserverObservation(SERVER.server, SERVER.name, said[5], said[6], said[7], said[8])
    resolver = ResolverObservation(RESOLVER.server, said[9], tries, said[10], said[11])
    told = build_report(
        replace(SURVEY, parents=(parent,), servers=(server,), resolvers=(resolver,))
    )
    assert all(one.sentence and one.remedy for one in told.findings)
    assert all(one.ok_text or one.findings for one in told.servers)


def test_the_page_names_every_fault() -> None:
    """Scripts look for these names."""
    page = (ROOT / "docs/delegation.md").read_text()
    assert [fault for fault in FindingCode if f"`{fault}`" not in page] == []


def test_a_healthy_survey_is_made_of_what_servers_say() -> None:
    """The fixtures themselves differ from one another."""
    assert (
        len({observations.PARENT.delegation, observations.SERVER.soa, observations.RESOLVER.soa})
        == 3
    )


@pytest.mark.parametrize(
    "seen",
    [
        at_server(soa=reply(rcode="REFUSED", flags=())),
        at_resolver(soa=SERVFAIL, samples=looks(SERVFAIL)),
        at_resolver(soa=NXDOMAIN, samples=looks(NXDOMAIN)),
        at_resolver(soa=reply(rcode="REFUSED"), samples=looks(reply(rcode="REFUSED"))),
    ],
)
def test_the_reason_that_a_server_gives_is_told(seen: Observations) -> None:
    """An extended error stands in the sentence of what fails."""

    def told(outcome: QueryOutcome) -> QueryOutcome:
        assert isinstance(outcome, Response)
        return replace(outcome, extended_errors=(ExtendedError(18, "Prohibited", "not from here"),))

    servers = tuple(replace(one, soa=told(one.soa)) for one in seen.servers)
    resolvers = tuple(
        replace(one, samples=tuple(replace(it, outcome=told(it.outcome)) for it in one.samples))
        for one in seen.resolvers
    )
    findings = build_report(replace(seen, servers=servers, resolvers=resolvers)).findings
    reason = "extended error Prohibited (18): not from here"
    assert any(reason in finding.sentence for finding in findings), findings
