"""`rrdns query` against small servers on real sockets."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from rrdns.cli.terminal.errors import CliError
from rrdns.cli.tools.query import endpoint
from rrdns.core.model import Endpoint
from rrdns.net.dns_client import TRIES
from tests.cli.conftest import Run

NAME = "boot.pvs.example.test."
ADDRESSES = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
Answer = Callable[[dns.message.Message], list[bytes]]


@contextmanager
def udp_server(answer: Answer) -> Iterator[str]:
    """Answer each datagram with what `answer` makes of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

        def serve() -> None:
            while (received := sock.recvfrom(4096))[0] != b"end":
                for datagram in answer(dns.message.from_wire(received[0])):
                    sock.sendto(datagram, received[1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"end", ("127.0.0.1", port))
            thread.join(10)


@contextmanager
def tcp_server(port: int, answer: Answer) -> Iterator[None]:
    """Answer one question over TCP."""
    with socket.create_server(("127.0.0.1", port)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as stream:
                (size,) = struct.unpack("!H", stream.read(2))
                for message in answer(dns.message.from_wire(stream.read(size))):
                    connection.sendall(message)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def rotated() -> Answer:
    """Return an answer that puts another address first each time."""
    turn = -1

    def answer(query: dns.message.Message) -> list[bytes]:
        nonlocal turn
        turn += 1
        order = ADDRESSES[turn % 3 :] + ADDRESSES[: turn % 3]
        return [reply(query, *order)]

    return answer


def reply(
    query: dns.message.Message, *addresses: str, rcode: int = 0, flags: int = dns.flags.AA
) -> bytes:
    """Return a response with these addresses."""
    message = dns.message.make_response(query)
    message.flags |= flags
    message.set_rcode(dns.rcode.Rcode(rcode))
    if addresses:
        message.answer.append(dns.rrset.from_text_list(NAME, 5, "IN", "A", addresses))
    if rcode:
        soa = "ns1.pvs.example.test. h.example.test. 1 3600 600 86400 5"
        message.authority.append(dns.rrset.from_text("pvs.example.test.", 5, "IN", "SOA", soa))
    return message.to_wire(want_shuffle=False)


def framed(message: bytes) -> bytes:
    """Return a message as TCP carries it."""
    return struct.pack("!H", len(message)) + message


def test_an_answer_is_shown_in_its_order_with_what_counts(rrdns: Run) -> None:
    """Addresses, TTL, who comes first, the flags, the time and the size."""
    with udp_server(rotated()) as server:
        result = rrdns("query", "boot.pvs.example.test", "--server", server)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == " 1. 10.0.0.11   A, TTL 5 s   <- a target uses this one"
    assert lines[1] == " 2. 10.0.0.12   A, TTL 5 s"
    assert lines[2] == " 3. 10.0.0.13   A, TTL 5 s"
    assert lines[3].startswith("NOERROR, authoritative (aa), recursion desired (rd) | from ")
    assert "over UDP" in lines[3]
    assert lines[3].endswith(" bytes")


def test_it_asks_as_firmware_does(rrdns: Run) -> None:
    """RD set, no EDNS, one question, the name as it was given."""
    asked: list[dns.message.Message] = []

    def answer(query: dns.message.Message) -> list[bytes]:
        asked.append(query)
        return [reply(query, "10.0.0.11")]

    with udp_server(answer) as server:
        rrdns("query", "Boot.pvs.example.test.", "--server", server)
    [query] = asked
    assert query.flags == dns.flags.RD
    assert query.edns == -1
    assert query.question[0].to_text() == "Boot.pvs.example.test. IN A"


def test_counting_shows_how_evenly_the_first_places_are_shared(rrdns: Run) -> None:
    """Nine questions over three members: three each, and the same for scripts."""
    with udp_server(rotated()) as server:
        result = rrdns("query", NAME, "--server", server, "--count", "9")
        told = json.loads(rrdns("query", NAME, "--server", server, "--count", 9, "--json").stdout)
    rows = [line.split() for line in result.stdout.splitlines()[1:4]]
    assert rows == [[address, "3", "33.3%"] for address in ADDRESSES]
    assert result.stdout.splitlines()[4].startswith("9 answers from ")
    assert told["first"] == dict.fromkeys(ADDRESSES, 3)
    assert told["count"] == 9


def test_a_script_gets_the_answer_as_json(rrdns: Run) -> None:
    """All sections, with flags and RCODE."""
    with udp_server(rotated()) as server:
        told = json.loads(rrdns("query", NAME, "--server", server, "--json").stdout)
    assert told["rcode"] == "NOERROR"
    assert told["flags"] == ["aa", "rd"]
    assert [record["data"] for record in told["answer"]] == ADDRESSES
    assert told["answer"][0] == {"name": NAME, "ttl": 5, "type": "A", "data": "10.0.0.11"}
    assert told["server"] == server
    assert told["over"] == "UDP"


@pytest.mark.parametrize(
    ("rcode", "sentence"),
    [
        (0, f"{NAME} exists and has no A record"),
        (2, "cannot answer for"),
        (3, f"{NAME} does not exist on 127.0.0.1"),
        (5, "the name is not in its zones"),
        (4, "no answer: NOTIMP"),
    ],
)
def test_an_answer_without_addresses_is_no_success(rrdns: Run, rcode: int, sentence: str) -> None:
    """A target would not boot: exit status 1, and why in words."""
    with udp_server(lambda query: [reply(query, rcode=rcode)]) as server:
        result = rrdns("query", NAME, "--server", server)
    assert result.exit_code == 1
    assert sentence in result.stdout
    assert ("authority: pvs.example.test. 5 SOA" in result.stdout) is bool(rcode)


@pytest.mark.parametrize("options", [[], ["--edns"], ["--count", "2"]])
def test_the_reason_of_an_error_is_told_in_words(rrdns: Run, options: list[str]) -> None:
    """Asked for with EDNS, as only then a server may give it; the name of its code is IANA's."""
    with_edns = []

    def answer(query: dns.message.Message) -> list[bytes]:
        with_edns.append(query.edns >= 0)
        message = dns.message.make_response(query)
        message.set_rcode(dns.rcode.REFUSED)
        if query.edns >= 0:
            reasons = [
                dns.edns.EDEOption(dns.edns.EDECode.PROHIBITED, "ask \x1b[31mthe admin"),
                dns.edns.EDEOption(dns.edns.EDECode.make(4711)),
                dns.edns.GenericOption(dns.edns.OptionType.EDE, b"\0"),  # too short for a code
            ]
            message.use_edns(options=reasons)
        return [message.to_wire()]

    with udp_server(answer) as server:
        text = rrdns("query", NAME, "--server", server, *options).stdout
        told = json.loads(rrdns("query", NAME, "--server", server, "--json", *options).stdout)
    assert "extended error: Prohibited (18): ask " in text
    assert "\x1b[31m" not in text
    assert "extended error: not known here (4711)\n" in text
    assert [(one["code"], one["name"]) for one in told["extended_errors"]] == [
        (18, "Prohibited"),
        (4711, "not known here"),
    ]
    assert told["extended_errors"][0]["text"] == "ask \x1b[31mthe admin"
    assert with_edns[0] is (options == ["--edns"]), "firmware asks without"


def test_an_error_without_a_reason_is_told_as_before(rrdns: Run) -> None:
    """A server that keeps silent when it sees EDNS takes nothing from the first answer."""
    with udp_server(lambda query: [reply(query, rcode=5)] if query.edns < 0 else []) as server:
        result = rrdns("query", NAME, "--server", server, "--timeout", "0.1")
    assert (result.exit_code, "extended error" in result.stdout) == (1, False)
    assert "the name is not in its zones" in result.stdout


def test_other_types_can_be_asked_for(rrdns: Run) -> None:
    """In any case of letters; the exit status goes by the type."""
    asked = []

    def answer(query: dns.message.Message) -> list[bytes]:
        asked.append(query.question[0].rdtype)
        return [reply(query, "10.0.0.11")]

    with udp_server(answer) as server:
        assert rrdns("query", NAME, "--server", server, "--type", "aaaa").exit_code == 1
        assert rrdns("query", NAME, "--server", server, "--type", "any").exit_code == 0
    assert asked == [28, 255]


def test_a_cut_answer_is_asked_for_again_over_tcp(rrdns: Run) -> None:
    """And the output says so."""
    cut = dns.flags.TC | dns.flags.AA
    with udp_server(lambda query: [reply(query, flags=cut)]) as server:
        port = int(server.partition(":")[2])
        with tcp_server(port, lambda query: [framed(reply(query, "10.0.0.11"))]):
            result = rrdns("query", NAME, "--server", server)
    assert result.exit_code == 0
    assert "10.0.0.11" in result.stdout
    assert "over TCP, since UDP was truncated" in result.stdout


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (b"", "the server closed the connection"),
        (b"\x00", "the server closed the connection"),
        (b"\x00\x10abc", "the server closed the connection"),
        (framed(bytes(12)), "does not answer the query"),
    ],
)
def test_a_broken_answer_over_tcp_is_told(rrdns: Run, sent: bytes, sentence: str) -> None:
    """Whatever the server breaks off with."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tcp_server(port, lambda _: [sent] if sent else []):
        result = rrdns("query", NAME, "--server", f"127.0.0.1:{port}", "--tcp")
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_what_is_no_answer_to_the_question_is_passed_over(rrdns: Run) -> None:
    """Another ID, another name, a query, a runt: an attacker's, or a late one's."""

    def answer(query: dns.message.Message) -> list[bytes]:
        good = reply(query, "10.0.0.11")
        other_id = bytes([good[0] ^ 1]) + good[1:]
        other_name = good.replace(b"\x04boot", b"\x04boat", 1)
        return [b"\x00", other_id, other_name, query.to_wire(), good]

    with udp_server(answer) as server:
        result = rrdns("query", NAME, "--server", server)
    assert result.exit_code == 0
    assert "10.0.0.11" in result.stdout


def test_a_malformed_answer_is_told(rrdns: Run) -> None:
    """The header promises more than comes."""
    with udp_server(lambda query: [reply(query, "10.0.0.11")[:-3]]) as server:
        result = rrdns("query", NAME, "--server", server)
    assert result.exit_code == 1
    assert "the answer is malformed" in result.stderr


def test_silence_is_waited_for_and_told(rrdns: Run) -> None:
    """Three tries, each as long as was asked for."""
    outcome = []

    def answer(query: dns.message.Message) -> list[bytes]:
        outcome.append(query.id)
        return []

    with udp_server(answer) as server:
        result = rrdns("query", NAME, "--server", server, "--timeout", "0.05")
    assert result.exit_code == 1
    assert f"no answer from {server}: no answer within 0.05 s, 3 times" in result.stderr
    assert len(outcome) == TRIES


def test_a_lost_datagram_is_sent_again(rrdns: Run) -> None:
    """UDP loses some."""
    outcome = []

    def answer(query: dns.message.Message) -> list[bytes]:
        outcome.append(query.id)
        return [reply(query, "10.0.0.11")] if len(outcome) > 1 else []

    with udp_server(answer) as server:
        result = rrdns("query", NAME, "--server", server, "--timeout", "0.2")
    assert result.exit_code == 0


@pytest.mark.parametrize("options", [[], ["--tcp"]])
def test_a_closed_port_is_told_at_once(rrdns: Run, options: list[str]) -> None:
    """Nothing listens there."""
    result = rrdns("query", NAME, "--server", "127.0.0.1:1", *options)
    assert result.exit_code == 1
    assert "no answer from 127.0.0.1:1: connection refused" in result.stderr
    assert "check that a DNS server listens there, and --server" in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.53", Endpoint("192.0.2.53", 53)),
        ("127.0.0.1:5353", Endpoint("127.0.0.1", 5353)),
        ("[2001:db8::53]:5353", Endpoint("2001:db8::53", 5353)),
        ("[2001:db8::53]", Endpoint("2001:db8::53", 53)),
        ("2001:db8::53", Endpoint("2001:db8::53", 53)),
        ("localhost", Endpoint("localhost", 53)),
    ],
)
def test_a_server_may_be_written_in_any_way(text: str, expected: Endpoint) -> None:
    """With or without a port, IPv4 or IPv6."""
    assert endpoint(text, "--server") == expected


@pytest.mark.parametrize("text", ["", ":53", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:65536"])
def test_a_server_that_means_nothing_is_wrong_use(text: str) -> None:
    """With examples of what does."""
    with pytest.raises(CliError, match="it must be an address") as caught:
        endpoint(text, "--server")
    assert caught.value.status == 2


@pytest.mark.parametrize(
    "args", [["a..b"], ["x" * 64], ["é.test"], [""], [NAME, "--type", "XYZ"], [NAME, "--count", 0]]
)
def test_a_question_that_cannot_be_asked_is_wrong_use(rrdns: Run, args: list[object]) -> None:
    """Nobody is asked."""
    result = rrdns("query", *args, "--server", "127.0.0.1:1")
    assert result.exit_code == 2
    assert result.stderr
