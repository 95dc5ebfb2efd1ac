"""docs/answers.md tells the truth: each of its rows is asked, over UDP and over TCP."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from rrdns.wire.answers.answer_table import CurrentTable
from tests.net.documented import Row, dig_args, function_exists, message, rows
from tests.net.serving import tcp_read, tcp_service, udp_client, udp_service
from tests.peers import free_port, peer
from tests.wire import sample_zones

Ask = Callable[[bytes], bytes | None]
QUESTIONS = rows("query")
MESSAGES = rows("message")
OPTIONS = rows("asked")
_FIRST = (1034, 1035, 2181, 2308, 3597, 4343, 4592, 5001, 5936, 6891)
RFCS = (*_FIRST, 7766, 7828, 7830, 7873, 8020, 8482, 8906, 8945, 9018, 9619)
NAMES = {3: "NSID", 8: "ECS", 10: "COOKIE", 11: "KEEPALIVE", 12: "PADDING", 15: "EDE"}
# Answers come in order: silence is an answer to this one, with none before it.
LAST = b"\xff\xff" + sample_zones.query("lone.pvs.example.test")[2:]


@pytest.fixture(scope="module", params=["udp", "tcp"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Ask a service over each transport."""
    answers = CurrentTable(sample_zones.documented())
    if request.param == "tcp":
        with tcp_service(answers) as (_, port):
            yield lambda message: ask_tcp(port, message)
        return
    with udp_service(answers) as (_, port, defects):
        yield lambda message: ask_udp(port, message)
        assert not defects


def ask_udp(port: int, message: bytes) -> bytes | None:
    """Return what a message gets before the query behind it is answered."""
    with udp_client() as client:
        client.sendto(message, ("127.0.0.1", port))
        client.sendto(LAST, ("127.0.0.1", port))
        answer = client.recv(4096)
        if answer[:2] == LAST[:2]:
            return None
        assert client.recv(4096)[:2] == LAST[:2]
        return answer


def ask_tcp(port: int, message: bytes) -> bytes | None:
    """Return what a message gets before the query behind it is answered."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        for one in (message, LAST):
            sock.sendall(len(one).to_bytes(2, "big") + one)
        answer = tcp_read(sock)
        if answer[:2] == LAST[:2]:
            return None
        assert tcp_read(sock)[:2] == LAST[:2]
        return answer


def test_the_page_has_rows() -> None:
    """An empty table would let every other test here pass."""
    assert len(QUESTIONS) > 40
    assert len(MESSAGES) > 20
    assert len(OPTIONS) > 15
    assert len(rows("behaviour")) > 5


@pytest.mark.parametrize("rfc", RFCS)
def test_each_rfc_that_binds_an_authoritative_server_is_named(rfc: int) -> None:
    """In the row of what is done for it, with its section."""
    reasons = [row["why"] for row in (*QUESTIONS, *MESSAGES, *OPTIONS, *rows("behaviour"))]
    assert any(re.search(rf"\bRFC {rfc}\b", reason) for reason in reasons)


@pytest.mark.parametrize("row", rows("behaviour"), ids=lambda row: row["behaviour"])
def test_what_is_said_of_tcp_has_its_test(row: Row) -> None:
    """It is there, under the name that the row has."""
    assert function_exists(row["test"].strip("`"))


@pytest.mark.parametrize("row", QUESTIONS, ids=lambda row: row.kind)
def test_a_question_gets_the_answer_in_its_row(ask: Ask, row: Row) -> None:
    """RCODE, AA and the records of each section are as the page says."""
    answer = response_to(ask, row)
    if answer is None:
        return
    assert bool(answer.flags & dns.flags.AA) == (row["AA"] == "1")
    assert sections(answer) == row.types


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row.kind)
def test_an_odd_message_gets_the_answer_in_its_row(ask: Ask, row: Row) -> None:
    """Whatever is wrong with a message, the page says what it gets."""
    answer = response_to(ask, row)
    if answer is None:
        return
    assert len(answer.question) == (row["question"] == "yes")
    assert sections(answer)[2] == row.types[2]


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.kind)
def test_options_get_what_their_row_says(
    ask: Ask, row: Row, request: pytest.FixtureRequest
) -> None:
    """RCODE and options are as the page says, over either transport."""
    tcp = request.node.callspec.params["ask"] == "tcp"
    sent = message(row)
    raw = ask(sent)
    assert raw is not None
    answer = dns.message.from_wire(raw)
    rcode = (
        row["RCODE"].removeprefix("by transport: ").split(", ")[tcp if ", " in row["RCODE"] else 0]
    )
    assert dns.rcode.to_text(answer.rcode()) == rcode
    promised = row["options over TCP" if tcp else "options over UDP"].replace("-", "").split()
    assert [NAMES[int(one.otype)] for one in answer.options] == promised
    check_header(sent, raw)


def response_to(ask: Ask, row: Row) -> dns.message.Message | None:
    """Return the response to a row's message, which has the RCODE and header that it must have.

    Where the row says silence there is none.
    """
    sent = message(row)
    raw = ask(sent)
    if row["RCODE"] == "silence":
        assert raw is None
        return None
    assert raw is not None
    check_header(sent, raw)
    response = dns.message.from_wire(raw, keyring=False)
    assert dns.rcode.to_text(response.rcode()) == row["RCODE"]
    return response


def check_header(sent: bytes, raw: bytes) -> None:
    """Check what holds for every answer: ID, QR, opcode, RD; TC, RA, Z, AD and CD clear."""
    asked, told = (int.from_bytes(one[2:4], "big") for one in (sent, raw))
    assert raw[:2] == sent[:2]
    assert told & 0x8000
    assert told & 0x7900 == asked & 0x7900
    assert not told & 0x02F0
    if raw[5]:
        assert raw[12:].startswith(sent[12 : 12 + 5])


def sections(answer: dns.message.Message) -> tuple[list[str], list[str], list[str]]:
    """Return the types of the records in each section."""
    found = [
        [dns.rdatatype.to_text(rrset.rdtype) for rrset in section for _ in rrset]
        for section in (answer.answer, answer.authority, answer.additional)
    ]
    if answer.edns >= 0:
        found[2].append("OPT")
    if answer.had_tsig:
        found[2].append("TSIG")
    return found[0], found[1], found[2]


@pytest.mark.peers
@pytest.mark.parametrize("name", ["dig", "kdig"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_dig_and_kdig_have_nothing_to_complain_of(name: str, transport: str) -> None:
    """No row of the questions makes either of them warn."""
    program = peer(name)
    answers = CurrentTable(sample_zones.documented())
    asked = [row for row in QUESTIONS if row["RCODE"] != "silence" and can_ask(name, row)]
    assert len(asked) > 38
    port = free_port()
    with udp_service(answers, port=port), tcp_service(answers, port=port):
        for row in asked:
            args = [program, "@127.0.0.1", "-p", str(port), transport]
            done = subprocess.run(
                [*args, *quietly(name), *dig_args(row)],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            said = done.stdout + done.stderr
            assert done.returncode == 0, (row.kind, said)
            assert f"status: {row['RCODE']}" in said, (row.kind, said)
            assert "warning" not in said.lower(), (row.kind, said)


def quietly(name: str) -> tuple[str, ...]:
    """Return what keeps a client to one plain question.

    dig warns of RD with RA clear, which is how every authoritative server answers, and tries
    again by itself after BADVERS.
    """
    once = ("+norecurse", "+retry=0", "+timeout=5")
    return (*once, "+noednsnegotiation") if name == "dig" else once


def can_ask(name: str, row: Row) -> bool:
    """Tell whether a client has words for a question."""
    if name == "dig":
        return True
    return not any(word in row["query"] for word in ("+opcode", "+header-only", "-c ANY"))
