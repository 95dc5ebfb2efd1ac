"""Errors tell why (RFC 8914) who sent an OPT record; FORMERR and BADVERS carry one then, too."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from rrdns.core.health.eligibility import select
from rrdns.core.health.standing import Standing
from rrdns.core.model import Member, OnEmpty, OrderKind, Override, Pool, ProbeSpec
from rrdns.core.snapshot import PoolRRset, Snapshot, rrset_of
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.dns.query import QueryError, parse_query
from tests.wire.sample_zones import ZONE, documented, option, query, respond, rrset, snapshot

ELSEWHERE = bytes([198, 51, 100, 7])
NOT_ALLOWED, NOT_OURS, NOT_READY, OTHER = 18, 20, 14, 0
COOKIE = option(10, b"12345678")
OPT = query(use_edns=0)[-11:]


def errors(message: dns.message.Message) -> list[tuple[int, str]]:
    """Return the codes and texts of the extended errors in a message."""
    found = (one for one in message.options if isinstance(one, dns.edns.EDEOption))
    return [(int(one.code), one.text or "") for one in found]


def ask(table: AnswerTable, message: bytes, *, tcp: bool = False) -> dns.message.Message:
    answer = respond(message, table, ELSEWHERE, tcp=tcp)
    assert answer is not None
    assert tcp or len(answer) <= 4 * len(message)
    return dns.message.from_wire(answer)


CASES = {
    "nowhere.test": (dns.rcode.REFUSED, (NOT_OURS, "")),
    "closed.test": (dns.rcode.REFUSED, (NOT_ALLOWED, "")),
    f"empty.{ZONE}": (dns.rcode.SERVFAIL, (OTHER, "no server is healthy")),
    f"drained.{ZONE}": (dns.rcode.SERVFAIL, (OTHER, "all servers are drained")),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tcp", [False, True])
def test_an_error_tells_why_who_sent_opt(name: str, tcp: bool) -> None:
    """The first time, from the memo, beside a cookie, and to nobody else."""
    table = documented()
    rrsets = {**table.snapshot.rrsets, "drained": rrset("drained", members=0, is_drained=True)}
    whole = Snapshot(1, table.snapshot.zones, rrsets)
    table = AnswerTable.build(whole, server_info=table.server_info)
    rcode, why = CASES[name]
    for options in ([], [COOKIE]):
        for _ in range(3):
            answer = ask(table, query(name, use_edns=0, options=options), tcp=tcp)
            assert answer.rcode() == rcode
            assert errors(answer) == [why]
            assert len(answer.options) == 1 + len(options)
            assert ask(table, query(name, use_edns=False), tcp=tcp).edns < 0


def test_an_answer_tells_nothing() -> None:
    """A boot answer is what it was, with OPT and without."""
    table = AnswerTable.build(snapshot())
    for edns in (0, False):
        for name in (f"boot.{ZONE}", f"nothing.{ZONE}"):
            assert errors(ask(table, query(name, use_edns=edns))) == []


def test_a_table_of_nothing_is_not_ready() -> None:
    """Not "refused": a resolver would hold that against the server for minutes."""
    answer = ask(AnswerTable.build(Snapshot()), query(use_edns=0))
    assert answer.rcode() == dns.rcode.SERVFAIL
    assert errors(answer) == [(NOT_READY, "")]


def test_an_error_in_a_guarded_zone_is_told_to_its_networks() -> None:
    """Its other answers are as before."""
    table = documented()
    rrsets = {**table.snapshot.rrsets, "closed": rrset("closed", "closed.test", members=0)}
    table = AnswerTable.build(
        Snapshot(1, table.snapshot.zones, rrsets), server_info=table.server_info
    )
    for _ in range(2):
        answer = respond(query("closed.test", use_edns=0), table, bytes([192, 0, 2, 1]))
        assert answer is not None
        assert errors(dns.message.from_wire(answer)) == [(OTHER, "no server is healthy")]


def test_the_snapshot_knows_drained_from_down() -> None:
    """The worker cannot: it sees no member."""
    members = (Member("pvs-1", "10.0.0.1"), Member("pvs-2", "10.0.0.2"))
    pool = Pool("boot", "boot.test", members, ProbeSpec(files=()), on_empty=OnEmpty.SERVFAIL)
    drains = {one.name: Override("boot", one.name, OrderKind.DRAIN, "ops", 0.0) for one in members}

    def made(up: bool, orders: int) -> PoolRRset:
        some = dict(list(drains.items())[:orders])
        standings = {one.name: Standing(up=up) for one in members}
        return rrset_of(pool, select(pool, standings, some))

    assert made(up=True, orders=2).is_drained
    assert not made(up=False, orders=1).is_drained
    assert not made(up=True, orders=1).is_drained


def mangled() -> dict[str, bytes]:
    """Return messages that are malformed somewhere, and end in a whole OPT record."""
    plain = query(use_edns=False)
    question, one_opt = plain[12:], b"\0\0\0\0\0\1"
    tsig = b"\0\0\xfa\0\xff\0\0\0\0\0\0"
    return {
        "two questions": plain[:4] + b"\0\2" + one_opt + question + question + OPT,
        "no question": plain[:4] + b"\0\0" + one_opt + OPT,
        "two OPT": plain[:10] + b"\0\2" + question + OPT + OPT,
        "behind TSIG": plain[:10] + b"\0\2" + question + tsig + OPT,
        "an option too long": plain[:10] + b"\0\1" + question + OPT[:-2] + b"\0\4\0\3\0\x09",
        "bytes behind it": plain[:10] + b"\0\1" + question + OPT + b"rest",
        "a wrong cookie": query(use_edns=0, options=[option(10, b"123")]),
        "a version": query(use_edns=1),
        "type OPT": query(rtype="OPT", use_edns=0),
    }


@pytest.mark.parametrize("how", mangled())
def test_an_error_carries_opt_where_the_query_did(how: str) -> None:
    """RFC 6891, section 7: whoever asks with EDNS is owed it."""
    message = mangled()[how]
    answer = respond(message, documented(), ELSEWHERE)
    assert answer is not None
    read_back = dns.message.from_wire(answer)
    assert read_back.edns == 0
    assert read_back.rcode() in {dns.rcode.FORMERR, dns.rcode.BADVERS}
    assert (read_back.rcode() == dns.rcode.BADVERS) == (how == "a version")


def test_questions_that_cannot_be_read_end_the_search() -> None:
    """Whatever stands behind them."""
    plain = query(use_edns=False)
    for broken in (b"\x3fshort", plain[12:] + b"\0", b"\xc0\x0c\0\1\0\1"):
        fault = parse_query(plain[:4] + b"\0\2\0\0\0\0\0\1" + broken)
        assert isinstance(fault, QueryError)
        assert fault.edns is None
    other = parse_query(plain[:2] + b"\x28\0" + b"\0\2\0\0\0\0\0\1" + plain[12:] + plain[12:] + OPT)
    assert isinstance(other, QueryError)
    assert other.edns is None, "an update's sections are no questions"
