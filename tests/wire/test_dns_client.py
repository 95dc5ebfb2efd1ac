"""The asking side of DNS: what goes out, and how strange answers are read."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.dns_message import ExtendedError, ResourceRecord
from rrdns.wire.dns.client import (
    EXTENDED_ERRORS,
    TYPES,
    decode_response,
    encode_query,
    is_response_to,
)

NAME = "boot.pvs.example.test"
QUERY = encode_query(NAME, "A", 0x1234)


def response(query: bytes = QUERY) -> dns.message.Message:
    """Return a bare response to a query."""
    return dns.message.make_response(dns.message.from_wire(query))


@pytest.mark.parametrize("rtype", TYPES)
def test_every_type_that_is_offered_can_be_asked_for(rtype: str) -> None:
    """As another library reads it."""
    question = dns.message.from_wire(encode_query(NAME, rtype, 1)).question[0]
    assert question.to_text() == f"{NAME}. IN {rtype}"


def test_a_query_has_nothing_but_rd_and_a_question() -> None:
    """As boot firmware sends it."""
    header, question = QUERY[:12], QUERY[12:]
    assert header == bytes.fromhex("1234 0100 0001 0000 0000 0000")
    assert question == b"\x04boot\x03pvs\x07example\x04test\0\0\1\0\1"


def test_a_query_may_be_as_a_resolver_or_a_looker_sends_it() -> None:
    """Without RD, with CD, with an OPT record that takes 1232 bytes."""
    plain = dns.message.from_wire(encode_query(NAME, "A", 1, recurse=False))
    assert (plain.flags, plain.edns) == (0, -1)
    assert dns.message.from_wire(encode_query(NAME, "A", 1, checking_disabled=True)).flags == (
        dns.flags.RD | dns.flags.CD
    )
    extended = dns.message.from_wire(encode_query(NAME, "A", 1, edns=True))
    assert (extended.edns, extended.payload) == (0, 1232)


def test_the_root_can_be_asked_for() -> None:
    """Its name has no labels."""
    assert dns.message.from_wire(encode_query(".", "NS", 1)).question[0].to_text() == ". IN NS"


@pytest.mark.parametrize(
    "name", ["", "..", "a..b", ".a", "x" * 64, "ü.test", ".".join(["a" * 60] * 5)]
)
def test_what_is_no_name_cannot_be_asked_for(name: str) -> None:
    """RFC 1035, section 2.3.4."""
    with pytest.raises(ValueError, match="is no domain name"):
        encode_query(name, "A", 1)


def test_an_unknown_type_cannot_be_asked_for() -> None:
    """The message lists the known ones."""
    with pytest.raises(ValueError, match="A, AAAA, ANY"):
        encode_query(NAME, "XYZ", 1)


def test_a_response_is_known_by_its_id_and_question() -> None:
    """Whatever its case; a server that could not read the question sends none back."""
    good = response().to_wire()
    assert is_response_to(QUERY, good)
    assert is_response_to(QUERY, good.replace(b"boot", b"BOOT"))
    assert is_response_to(QUERY, QUERY[:2] + b"\x81\x81" + bytes(8))
    assert not is_response_to(QUERY, QUERY)
    assert not is_response_to(QUERY, b"\0\0" + good[2:])
    assert not is_response_to(QUERY, good.replace(b"boot", b"boat"))
    assert not is_response_to(QUERY, good[:11])


def test_a_response_is_known_whatever_follows_its_question() -> None:
    """The OPT record of a query is no part of what has to come back."""
    query = encode_query(NAME, "A", 0x1234, edns=True)
    assert is_response_to(query, response(query).to_wire())
    assert not is_response_to(
        query, response(encode_query("boat.pvs.example.test", "A", 0x1234)).to_wire()
    )


def test_all_sections_are_read_and_opt_is_no_record() -> None:
    """In the order of the packet."""
    message = response()
    message.flags |= dns.flags.AA | dns.flags.TC | dns.flags.RA
    message.use_edns(0)
    message.answer.append(dns.rrset.from_text(f"{NAME}.", 5, "IN", "A", "10.0.0.12"))
    message.authority.append(dns.rrset.from_text("test.", 9, "IN", "NS", "ns1.test."))
    message.additional.append(dns.rrset.from_text("ns1.test.", 9, "IN", "AAAA", "2001:db8::1"))
    reply = decode_response(message.to_wire())
    assert reply.rcode == "NOERROR"
    assert reply.flags == ("aa", "tc", "rd", "ra")
    assert reply.truncated
    assert reply.answer == (ResourceRecord(f"{NAME}.", 5, "A", "10.0.0.12"),)
    assert reply.data("A") == ("10.0.0.12",)
    assert str(reply.authority[0]) == "test. 9 NS ns1.test."
    assert [record.type for record in reply.additional] == ["AAAA"]


@pytest.mark.parametrize(
    ("code", "name"), [(20, "Not Authoritative"), (len(EXTENDED_ERRORS), "not known here")]
)
def test_an_extended_error_is_read_with_its_name_and_text(code: int, name: str) -> None:
    """RFC 8914, section 2; a NUL at the end of the text does not belong to it."""
    message = response()
    message.use_edns(
        0,
        options=[
            dns.edns.GenericOption(dns.edns.OptionType.EDE, code.to_bytes(2, "big") + b"ask\0")
        ],
    )
    assert decode_response(message.to_wire()).extended_errors == (ExtendedError(code, name, "ask"),)


def test_an_extended_error_without_a_code_is_left_out() -> None:
    """A single byte cannot hold one."""
    message = response()
    message.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType.EDE, b"\1")])
    assert decode_response(message.to_wire()).extended_errors == ()


@given(st.binary(max_size=80), st.integers(0, 60))
def test_no_datagram_breaks_the_reader(noise: bytes, keep: int) -> None:
    """It is read, or refused with a sentence."""
    datagram = response().to_wire()[:keep] + noise
    try:
        decode_response(datagram)
    except ValueError as error:
        said = str(error)
        assert said.startswith("the answer is malformed")


def test_the_names_of_extended_errors_are_those_that_dnspython_has() -> None:
    """Of each code that IANA has registered."""
    for code in dns.edns.EDECode:
        name = EXTENDED_ERRORS[code].upper().replace(" ", "_")
        assert name == code.name.replace("OTHER", "OTHER_ERROR")
