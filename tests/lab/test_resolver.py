"""Look-ups as each kind of firmware makes them: when, to whom, and what becomes of answers."""

from __future__ import annotations

from random import Random

import dns.message
import dns.rrset

from rrdns.core.model import Endpoint
from rrdns.lab.bootstorm.dns_rules import Failed, Taken
from rrdns.lab.bootstorm.firmware import EDK2, GRUB, IPXE, U_BOOT, Firmware
from rrdns.lab.bootstorm.resolver import FirmwareResolver

NAME = "boot.pvs.example.test"
ONE = (Endpoint("192.0.2.1", 53),)
TWO = (*ONE, Endpoint("192.0.2.2", 53))
SIX = (Endpoint("2001:db8::1", 53),)

Sent = list[tuple[float, int, str]]  # when, to which server, which type


def begun(firmware: Firmware, servers: tuple[Endpoint, ...] = ONE) -> FirmwareResolver:
    """Return a look-up that begins at 0."""
    return FirmwareResolver(firmware, NAME, servers, Random(1), 0.0)


def in_silence(lookup: FirmwareResolver) -> tuple[Sent, float]:
    """Let time pass without an answer; return what is sent, and when it is over."""
    sent: Sent = []
    while lookup.outcome is None:
        now = lookup.due()
        sent += [(round(now, 2), server, rtype(query)) for server, query in lookup.act(now)]
    return sent, now


def rtype(query: bytes) -> str:
    """Return the type that a query asks for."""
    return dns.rdatatype.to_text(dns.message.from_wire(query).question[0].rdtype)


def reply(query: bytes, address: str = "", rcode: int = 0) -> bytes:
    """Return an answer to a query."""
    message = dns.message.make_response(dns.message.from_wire(query))
    message.set_rcode(dns.rcode.Rcode(rcode))
    if address:
        message.answer.append(dns.rrset.from_text(f"{NAME}.", 5, "IN", "A", address))
    return message.to_wire()


def only(sends: list[tuple[int, bytes]]) -> bytes:
    """Return the one query that is sent."""
    ((_, query),) = sends
    return query


def test_ipxes_query_is_the_one_that_was_measured() -> None:
    """39 bytes for this name: RD, one question, lower case, A, no EDNS."""
    query = only(begun(IPXE).act(0.0))
    assert query[2:12] == bytes.fromhex("0100 0001 0000 0000 0000")
    assert len(query) == 39
    assert query.endswith(b"\4boot\3pvs\7example\4test\0\0\1\0\1")


def test_ipxe_sends_six_packets_over_16_seconds_each_to_the_next_server() -> None:
    """Silence makes it try its other DNS server."""
    sent, over = in_silence(begun(IPXE, TWO))
    times = (0.0, 0.25, 0.8, 1.9, 3.9, 8.0)
    assert sent == [(at, turn % 2, "A") for turn, at in enumerate(times)]
    assert over == 16.0


def test_ipxe_asks_for_cname_once_after_an_empty_answer_and_then_waits() -> None:
    """An empty answer is a slow failed boot."""
    lookup = begun(IPXE)
    lookup.receive(reply(only(lookup.act(0.0)), rcode=2), 0.1)
    assert lookup.outcome is None
    query = only(lookup.act(0.1))
    assert rtype(query) == "CNAME"
    lookup.receive(reply(query), 0.2)
    sent, over = in_silence(lookup)
    assert sent == []
    assert over == 16.1
    assert lookup.outcome == Failed(f"{NAME} has no address for iPXE: the answer is SERVFAIL")


def test_ipxe_asks_for_aaaa_first_where_its_dns_server_has_ipv6() -> None:
    """Then for A, and takes that."""
    lookup = begun(IPXE, SIX)
    first = only(lookup.act(0.0))
    assert rtype(first) == "AAAA"
    lookup.receive(reply(first), 0.1)
    second = only(lookup.act(0.1))
    assert rtype(second) == "A"
    lookup.receive(reply(second, "10.0.0.11"), 0.2)
    assert lookup.outcome == Taken("10.0.0.11")


def test_ipxe_takes_no_answer_to_an_earlier_packet() -> None:
    """Each of its packets has an ID of its own."""
    lookup = begun(IPXE)
    early, late = only(lookup.act(0.0)), only(lookup.act(0.25))
    lookup.receive(reply(early, "10.0.0.11"), 0.3)
    assert lookup.outcome is None
    lookup.receive(reply(late, "10.0.0.12"), 0.3)
    assert lookup.outcome == Taken("10.0.0.12")


def test_edk2_tries_once_for_two_seconds_at_its_first_server() -> None:
    """And never asks the second one."""
    assert in_silence(begun(EDK2, TWO)) == ([(0.0, 0, "A")], 2.0)


def test_grub_asks_in_pairs_and_rounds_over_ever_more_servers() -> None:
    """A and AAAA back to back with one ID, each 0.2 s; the second server from round three on."""
    lookup = begun(GRUB, TWO)
    first = lookup.act(0.0)
    assert [rtype(query) for _, query in first] == ["A", "AAAA"]
    assert len({query[:2] for _, query in first}) == 1
    sent, over = in_silence(lookup)
    rounds = [(at, server) for at, server, kind in sent if kind == "A"]
    expected = [(0.2, 0)]
    for turn in range(2, 8):
        expected += [(round(turn * 0.2, 2), 0), (round(turn * 0.2, 2), 1)]
    assert rounds == expected
    assert round(over, 2) == 1.6


def test_grub_asks_again_after_an_error_and_takes_the_next_answer() -> None:
    """Whatever is no address leaves it asking."""
    lookup = begun(GRUB)
    lookup.receive(reply(lookup.act(0.0)[0][1], rcode=2), 0.1)
    assert lookup.outcome is None
    lookup.receive(reply(lookup.act(0.2)[0][1], "10.0.0.11"), 0.3)
    assert lookup.outcome == Taken("10.0.0.11")


def test_u_boot_sends_one_packet_and_waits_ten_seconds() -> None:
    """Silence says who was asked."""
    lookup = begun(U_BOOT, TWO)
    assert in_silence(lookup) == ([(0.0, 0, "A")], 10.0)
    asked = "192.0.2.1:53 and 192.0.2.2:53"
    assert lookup.outcome == Failed(f"no answer for {NAME} from {asked} within 10 s")


def test_u_boot_gives_up_at_an_empty_answer() -> None:
    """At once."""
    lookup = begun(U_BOOT)
    lookup.receive(reply(only(lookup.act(0.0))), 0.1)
    assert lookup.outcome == Failed(
        f"{NAME} has no address for U-Boot: the answer has no address (NODATA)"
    )
