"""EDNS options: what an asker sends, and what it gets for it."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dnslib
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rrdns.core.snapshot import PoolRRset
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.answers.resolve import find_response, slip_response
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.edns_options import CookieStatus
from rrdns.wire.dns.server_info import ServerInfo
from tests.wire import sample_zones
from tests.wire.sample_zones import counts, option, query, respond, rrset

COOKIE, NSID, SUBNET, KEEPALIVE, PADDING = 10, 3, 8, 11, 12
CLIENT = bytes.fromhex("2464c4abcf10c957")
ADDRESS = bytes([198, 51, 100, 100])
NOW = 1_559_731_985
SERVER = bytes.fromhex("010000005cf79f111f8130c3eee29480")  # RFC 9018, appendix A.1
JAR = CookieKeys((bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf"),))
MANNERS = ServerInfo(
    nsid=b"one", chaos_id="two", chaos_version="three", cookie_keys=JAR, tcp_idle=12.0
)


def table(*rrsets: PoolRRset, server_info: ServerInfo = MANNERS) -> AnswerTable:
    """Return a table with manners."""
    return AnswerTable.build(sample_zones.snapshot(*rrsets), server_info=server_info)


def asked(
    *options: tuple[int, bytes], name: str = "boot.pvs.example.test", **more: object
) -> bytes:
    """Return a query with options."""
    made = [option(code, data) for code, data in options]
    more = {"use_edns": 0, "payload": 1232, "options": made, **more}
    return query(name, **more)  # type: ignore[arg-type]  # the keywords are make_query's own


def told(answers: AnswerTable, message: bytes, *, tcp: bool = False) -> dict[int, bytes]:
    """Return the options of the answer, by their codes."""
    answer = respond(message, answers, ADDRESS, NOW, tcp=tcp)
    assert answer is not None
    return {int(one.otype): one.to_wire() for one in dns.message.from_wire(answer).options}


def rcode(answers: AnswerTable, message: bytes, *, tcp: bool = False) -> str:
    """Return the RCODE of the answer."""
    answer = respond(message, answers, ADDRESS, NOW, tcp=tcp)
    assert answer is not None
    return dns.rcode.to_text(dns.message.from_wire(answer).rcode())


@pytest.mark.parametrize("name", ["boot.pvs.example.test", "nope.pvs.example.test", "example.com"])
@pytest.mark.parametrize("tcp", [False, True])
def test_every_answer_carries_a_cookie_for_a_cookie(name: str, tcp: bool) -> None:
    """Errors too (RFC 7873, section 5.2); the second time the answer is a remembered one."""
    answers = table()
    why = {15: b"\0\x14"} if name == "example.com" else {}  # not our zone (RFC 8914)
    for _ in range(3):
        assert told(answers, asked((COOKIE, CLIENT), name=name), tcp=tcp) == {
            COOKIE: CLIENT + SERVER,
            **why,
        }
        both = asked((COOKIE, CLIENT + SERVER), name=name)
        assert told(answers, both, tcp=tcp) == {COOKIE: CLIENT + SERVER, **why}
        other = asked((COOKIE, CLIENT + bytes(16)), name=name)
        assert told(answers, other, tcp=tcp) == {COOKIE: CLIENT + SERVER, **why}


def test_a_query_that_only_differs_in_its_cookie_is_remembered() -> None:
    """With its turns: the rotation goes on, and the answer is what a careful look would find."""
    answers, careful = table(), table()
    for turn in range(8):
        message = asked((COOKIE, turn.to_bytes(8, "big")))
        message = message if turn % 2 else message.replace(b"boot", b"bOOt")
        got = respond(message, answers, ADDRESS, NOW)
        careful.packet_cache.clear()
        assert got == respond(message, careful, ADDRESS, NOW)
        assert got is not None
        assert sample_zones.first(dns.message.from_wire(got)) == f"10.0.0.{1 + turn % 3}"
    assert len(answers.packet_cache) == 1


def test_only_who_shows_our_cookie_is_proven() -> None:
    """On the careful path as well as from the memo, and from its own address only."""
    answers = table()
    for _ in range(2):
        valid = asked((COOKIE, CLIENT + SERVER))
        for message, address, status in (
            (valid, ADDRESS, CookieStatus.VALID),
            (valid, bytes(4), CookieStatus.WRONG),
            (asked((COOKIE, CLIENT)), ADDRESS, CookieStatus.NEW),
        ):
            entry = find_response(message, answers, address, NOW)
            assert entry is not None
            assert entry.options.cookie is status


@pytest.mark.parametrize("size", [0, 1, 7, 9, 15, 41, 100])
def test_a_cookie_of_a_wrong_length_is_malformed(size: int) -> None:
    """RFC 7873, section 5.2.2; where there are no cookies, nobody looks."""
    message = asked((COOKIE, bytes(size)))
    assert rcode(table(), message) == "FORMERR"
    assert told(table(), message) == {}
    assert rcode(table(server_info=ServerInfo()), message) == "NOERROR"


@pytest.mark.parametrize("size", [8, 16, 17, 24, 40])
def test_a_cookie_of_a_right_length_is_answered(size: int) -> None:
    """Other servers make other lengths: to us they are as good as none."""
    assert len(told(table(), asked((COOKIE, bytes(size))))[COOKIE]) == 24


def test_of_two_cookies_the_first_counts() -> None:
    """RFC 7873, section 5."""
    message = asked((COOKIE, CLIENT), (COOKIE, bytes(8)))
    assert told(table(), message) == {COOKIE: CLIENT + SERVER}


def no_question(*options: tuple[int, bytes]) -> bytes:
    """Return a query with options and without a question."""
    message = dns.message.QueryMessage(id=1)
    message.use_edns(0, options=[option(code, data) for code, data in options])
    return message.to_wire()


def test_a_cookie_can_be_asked_for_alone() -> None:
    """RFC 7873, section 5.4: NOERROR, or BADCOOKIE for a wrong one."""
    answers = table()
    assert rcode(answers, no_question((COOKIE, CLIENT))) == "NOERROR"
    assert told(answers, no_question((COOKIE, CLIENT))) == {COOKIE: CLIENT + SERVER}
    assert rcode(answers, no_question((COOKIE, CLIENT + SERVER))) == "NOERROR"
    assert rcode(answers, no_question((COOKIE, CLIENT + bytes(16)))) == "BADCOOKIE"
    assert rcode(answers, no_question((COOKIE, b""))) == "FORMERR"
    assert rcode(answers, no_question((NSID, b""))) == "FORMERR"
    assert rcode(table(server_info=ServerInfo()), no_question((COOKIE, CLIENT))) == "FORMERR"
    assert counts(answers).queries["cookie/noerror"] == 3


def test_the_name_of_the_server_is_told_to_who_asks() -> None:
    """RFC 5001; without one configured the option is one that nobody knows."""
    assert told(table(), asked((NSID, b""))) == {NSID: b"one"}
    assert told(table(server_info=ServerInfo()), asked((NSID, b""))) == {}
    assert told(table(), asked()) == {}


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("0001 18 00 c63364", "0001 18 00 c63364"),
        ("0001 14 00 c63360", "0001 14 00 c63360"),
        ("0001 00 00", "0001 00 00"),
        ("0002 38 00 20010db8000000", "0002 38 00 20010db8000000"),
        ("0001 14 00 c63364", None),  # a bit beyond the prefix
        ("0001 18 18 c63364", None),  # a scope in a query
        ("0001 18 00 c6336400", None),
        ("0001 18 00 c633", None),
        ("0001 21 00 c633640001", None),  # 33 bits
        ("0003 00 00", None),
        ("0000 08 00 c6", None),
        ("0001 18", None),
        ("", None),
    ],
)
def test_a_client_subnet_comes_back_with_scope_0(sent: str, back: str | None) -> None:
    """RFC 7871, sections 6 and 7: nothing depends on it; what is malformed is refused."""
    message = asked((SUBNET, bytes.fromhex(sent)))
    assert rcode(table(), message) == ("FORMERR" if back is None else "NOERROR")
    assert told(table(), message) == ({SUBNET: bytes.fromhex(back)} if back is not None else {})


def test_a_client_subnet_may_be_nobodys() -> None:
    """With family 0 there is no address, and dnspython cannot read it back."""
    message = asked((SUBNET, bytes(4)))
    answer = respond(message, table(), ADDRESS, NOW)
    assert answer is not None
    assert answer.endswith(b"\0\x08\0\x08\0\4\0\0\0\0")
    assert not answer[3] & 15


def test_the_idle_time_is_told_over_tcp_only() -> None:
    """RFC 7828: in units of 100 ms; a query has none to tell; over UDP the option is ignored."""
    assert told(table(), asked((KEEPALIVE, b"")), tcp=True) == {KEEPALIVE: b"\0\x78"}
    assert rcode(table(), asked((KEEPALIVE, b"\0\1")), tcp=True) == "FORMERR"
    assert told(table(), asked((KEEPALIVE, b"\0\1"))) == {}
    assert rcode(table(), asked((KEEPALIVE, b"\0\1"))) == "NOERROR"
    longest = ServerInfo(tcp_idle=9000.0)
    assert told(table(server_info=longest), asked((KEEPALIVE, b"")), tcp=True) == {
        KEEPALIVE: b"\xff\xff"
    }


@pytest.mark.parametrize("rtype", ["A", "AAAA", "NS", "ANY"])
@pytest.mark.parametrize("others", [(), ((NSID, b""), (COOKIE, CLIENT))])
def test_a_padded_query_over_tcp_gets_a_padded_answer(
    rtype: str, others: tuple[tuple[int, bytes], ...]
) -> None:
    """To whole blocks of 468 bytes (RFC 8467, section 4.1); over UDP it does not."""
    message = asked((PADDING, bytes(50)), *others, rtype=rtype)
    answer = respond(message, table(), ADDRESS, NOW, tcp=True)
    assert answer is not None
    assert len(answer) == 468
    assert PADDING in told(table(), message, tcp=True)
    assert PADDING not in told(table(), message)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("id.server", "two"),
        ("hostname.bind", "two"),
        ("HostName.Bind", "two"),
        ("version.server", "three"),
        ("version.bind", "three"),
    ],
)
def test_chaos_tells_what_is_configured(name: str, text: str) -> None:
    """RFC 4892; nothing is told by default."""
    message = query(name, "TXT", rdclass="CH")
    answer = sample_zones.ask(table(), message)
    assert answer.answer[0].to_text() == f'{name} 0 CH TXT "{text}"'.replace(" 0", ". 0", 1)
    assert answer.flags & dns.flags.AA
    assert rcode(table(server_info=ServerInfo()), message) == "REFUSED"
    assert rcode(table(), query(name, "A", rdclass="CH")) == "REFUSED"
    assert rcode(table(), query("other.bind", "TXT", rdclass="CH")) == "REFUSED"
    assert rcode(table(), query(name, "TXT")) == "REFUSED"


@pytest.mark.parametrize("payload", [0, 511, 512, 700, 1232, 65535])
@pytest.mark.parametrize("members", [1, 4, 28, 60])
@pytest.mark.parametrize("cookie", [CLIENT, CLIENT + SERVER])
def test_options_make_no_answer_too_long(payload: int, members: int, cookie: bytes) -> None:
    """A boot answer has fewer addresses then, and never TC."""
    one = rrset("boot", members=members, answers=28)
    answers = table(one)
    subnet = bytes.fromhex("0002 80 00") + bytes(range(16))
    message = asked((COOKIE, cookie), (NSID, b""), (SUBNET, subnet), payload=payload)
    for turn in range(3):
        answer = respond(message, answers, ADDRESS, NOW)
        assert answer is not None
        assert len(answer) <= min(max(512, min(payload, 1232)), 4 * len(message))
        parsed = dns.message.from_wire(answer)
        assert not parsed.flags & dns.flags.TC
        assert len(parsed.options) == 3
        assert min(members, 9) <= len(parsed.answer[0]) <= min(members, 28)
        assert str(parsed.answer[0][0]) == f"10.0.0.{1 + turn % members}"


@given(st.binary(max_size=60), st.booleans(), st.integers(0, 20))
@example(data=bytes(4), tcp=False, code=SUBNET)
def test_no_options_make_the_responder_raise(data: bytes, tcp: bool, code: int) -> None:
    """Whatever they are, and whatever their data."""
    head = asked()[:-2]
    wild = head + len(data).to_bytes(2, "big") + data
    known = head + (len(data) + 4).to_bytes(2, "big") + code.to_bytes(2, "big")
    known += len(data).to_bytes(2, "big") + data
    for message in (wild, known):
        answer = respond(message, TABLE, ADDRESS, NOW, tcp=tcp)
        assert answer is not None
        dnslib.DNSRecord.parse(answer)  # dnspython knows no subnet of family 0


TABLE = table()


@pytest.mark.parametrize(
    ("message", "rcode"),
    [
        (query(), "TC"),
        (query(use_edns=0), "TC"),
        (asked((65001, b"")), "TC"),
        (asked((COOKIE, b"short")), "TC"),
        (asked((COOKIE, CLIENT)), "BADCOOKIE"),
        (query(use_edns=1), None),
        (b"\0\1" + bytes(10), None),
    ],
    ids=["plain", "EDNS", "option", "bad cookie", "cookie", "EDNS 1", "no question"],
)
def test_who_is_over_its_rate_is_asked_to_prove_itself(message: bytes, rcode: str | None) -> None:
    """Over TCP, or by our cookie; what is malformed gets nothing."""
    entry = find_response(message, table(), ADDRESS, NOW)
    assert entry is not None
    body = slip_response(entry, b"")
    if rcode is None:
        assert body is None
        return
    assert body is not None
    answer = dns.message.from_wire(message[:2] + body)
    assert bool(answer.flags & dns.flags.TC) is (rcode == "TC")
    assert dns.rcode.to_text(answer.rcode()) == ("NOERROR" if rcode == "TC" else rcode)
