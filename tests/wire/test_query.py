"""What is read out of a datagram, and what a stranger cannot do to the reader."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dnslib
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rrdns.wire.dns.query import Edns, Query, QueryError, Rcode, parse_query
from tests.wire import sample_zones

HEAD = bytes.fromhex("abcd0100000100000000") + b"\0"  # all but the last byte of ARCOUNT
ASKED = b"\3aaa\0\0\1\0\1"
OPT = bytes.fromhex("00002904d0000000000000")

labels = st.lists(
    st.text("abcXYZ019-_", min_size=1, max_size=63).map(str.encode), min_size=0, max_size=4
)


def with_records(*records: bytes, answers: int = 0) -> bytes:
    """Return a query with these records behind its question; the first are answers."""
    head = HEAD[:6] + answers.to_bytes(2, "big") + b"\0\0"
    return head + (len(records) - answers).to_bytes(2, "big") + ASKED + b"".join(records)


@given(st.binary(max_size=600))
@example(HEAD + b"\0" + b"\xc0")
@example(with_records(b"\xc0"))
@example(with_records(b"\3ab"))
@example(with_records(b"\x41"))
def test_no_bytes_make_the_reader_raise(datagram: bytes) -> None:
    """Whatever comes is a query, a fault, or nothing."""
    found = parse_query(datagram)
    assert found is None or isinstance(found, Query | QueryError)


@given(st.data(), labels, st.booleans())
def test_no_mutation_of_a_good_query_makes_the_reader_raise(
    data: st.DataObject, name: list[bytes], edns: bool
) -> None:
    """Bytes of a query are changed, cut off or put in."""
    good = bytearray(sample_zones.query(dns.name.Name([*name[:3], b""]).to_text(), use_edns=edns))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good) - 1))
        good[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    parse_query(bytes(good))


@given(labels, st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 0x7F))
def test_a_query_of_dnslib_is_read_as_it_was_meant(
    name: list[bytes], ident: int, qtype: int, bits: int
) -> None:
    """ID, flags, name, type and class are those that dnslib wrote."""
    label = dnslib.DNSLabel(name)
    record = dnslib.DNSRecord(dnslib.DNSHeader(id=ident, bitmap=bits & 0x70 | 0x100))
    record.add_question(dnslib.DNSQuestion(label, qtype))
    if len(label) > 250:
        return
    found = parse_query(record.pack())
    assert isinstance(found, Query)
    assert (found.id, found.qtype, found.qclass, found.edns) == (ident, qtype, 1, None)
    assert found.flags == bits & 0x70 | 0x100
    wire = dns.name.Name([*name, b""]).to_wire()
    assert wire is not None
    assert found.name == wire.lower()
    assert found.question[:-4] == wire


@given(
    st.integers(0, 65535),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=20)), max_size=3),
)
def test_edns_of_dnspython_is_read_as_it_was_meant(
    payload: int, dnssec: bool, options: list[tuple[int, bytes]]
) -> None:
    """Payload, DO and options are those that dnspython wrote."""
    written = [sample_zones.option(code, data) for code, data in options]
    made = dns.message.make_query("a.test", "A", use_edns=0, payload=payload, options=written)
    made.want_dnssec(dnssec)
    found = parse_query(made.to_wire())
    assert isinstance(found, Query)
    wire = b"".join(
        code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for code, data in options
    )
    assert found.edns == Edns(payload, 0, dnssec, wire)


@pytest.mark.parametrize("datagram", [b"", b"\0" * 11, HEAD[:2] + b"\x80\0" + b"\0\1" + b"\0" * 12])
def test_runts_and_responses_deserve_silence(datagram: bytes) -> None:
    """Neither is a query at all."""
    assert parse_query(datagram) is None


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ((63, 63, 63, 61), True),  # 255 bytes with the root
        ((63, 63, 63, 62), False),
        ((63,), True),
        ((64,), False),
        ((), True),
    ],
)
def test_names_and_labels_have_limits(sizes: tuple[int, ...], fits: bool) -> None:
    """A label has 63 bytes at most, a name 255 (RFC 1035, section 2.3.4)."""
    name = b"".join(bytes([size]) + b"a" * size for size in sizes) + b"\0"
    found = parse_query(HEAD + b"\0" + name + b"\0\1\0\1")
    assert isinstance(found, Query if fits else QueryError)


FAULTS = {
    "a pointer in the question": (HEAD + b"\0\xc0\x0c\0\1\0\1", False),
    "a question cut off": (HEAD + b"\0\3aaa\0\0\1\0", False),
    "bytes behind": (with_records() + b"x", True),
    "a record cut off in its head": (with_records(b"\0\0\1\0\1"), True),
    "a record cut off in its data": (with_records(b"\0\0\1\0\1\0\0\0\0\0\4\1"), True),
    "OPT cut off": (with_records(OPT[:-1]), True),
    "OPT twice": (with_records(OPT, OPT), True),
    "OPT with a name": (with_records(b"\1a" + OPT), True),
    "OPT among the answers": (with_records(OPT, answers=1), True),
    "OPT longer than it says": (with_records(OPT + b"\0\3\0\0"), True),
    "half an option": (with_records(OPT[:-1] + b"\2\0\3"), True),
    "half an option, OPT not alone": (
        with_records(OPT[:-1] + b"\2\0\3", b"\0\0\1\0\1\0\0\0\0\0\0"),
        True,
    ),
    "TSIG among the answers": (with_records(b"\0\0\xfa\0\xff\0\0\0\0\0\0", answers=1), True),
    "TSIG not the last": (with_records(b"\0\0\xfa\0\xff\0\0\0\0\0\0", OPT), True),
    "a record with a pointer forwards": (with_records(b"\xc0\xff\0\1\0\1\0\0\0\0\0\0"), True),
    "a record with a pointer to itself": (with_records(b"\xc0\x15\0\1\0\1\0\0\0\0\0\0"), True),
    "a record with a pointer into the header": (with_records(b"\xc0\4\0\1\0\1\0\0\0\0\0\0"), True),
}


@pytest.mark.parametrize(("datagram", "echoed"), FAULTS.values(), ids=FAULTS)
def test_what_is_malformed_is_called_so(datagram: bytes, echoed: bool) -> None:
    """The question is echoed where it could be read."""
    found = parse_query(datagram)
    assert isinstance(found, QueryError)
    assert found.rcode is Rcode.FORMERR
    assert found.id == 0xABCD
    assert bool(found.question) is echoed


def test_other_records_of_a_query_are_passed_over() -> None:
    """An address record before OPT, owned by a pointer, changes nothing."""
    address = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1"
    found = parse_query(with_records(b"\1a" + address, address, OPT, answers=1))
    assert isinstance(found, Query)
    assert found.edns == Edns(1232, 0, False, b"")


def test_another_version_of_edns_is_a_fault_of_its_own() -> None:
    """RFC 6891, section 6.1.3."""
    found = parse_query(sample_zones.query(use_edns=1))
    assert isinstance(found, QueryError)
    assert found.rcode is Rcode.BADVERS
    assert found.edns is not None


def test_options_are_kept_of_no_message_that_cannot_be_read() -> None:
    """Those of another version of EDNS, or broken ones, are no options to answer to."""
    for version, options in ((1, b""), (0, b"\0\x0a"), (1, b"\0\x0a\0\0")):
        opt = b"\0\0\x29\4\xd0\0" + bytes([version]) + b"\0\0" + bytes([0, len(options)]) + options
        found = parse_query(b"\0\1\x28\0\0\0\0\0\0\0\0\1" + opt)
        assert isinstance(found, QueryError)
        assert found.edns is not None
        assert found.edns.options == b""


def test_another_opcode_is_not_implemented_whatever_its_body() -> None:
    """The body of another opcode need not be a question (RFC 8906, section 3.1.4)."""
    for body in (b"", ASKED, ASKED[:3], ASKED + b"junk"):
        count = bytes([0, 1 if body else 0])
        found = parse_query(b"\0\1\x28\0" + count + b"\0\0\0\0\0\0" + body)
        assert isinstance(found, QueryError)
        assert found.rcode is Rcode.NOTIMP


@pytest.mark.parametrize("version", [0, 1])
def test_options_under_a_version_that_nobody_knows_are_not_read(version: int) -> None:
    """Also where the opcode is the greater trouble: what they mean there, only it can say."""
    made = dns.message.make_query(
        "a.test", "A", use_edns=version, options=[sample_zones.option(3, b"")]
    )
    made.set_opcode(dns.opcode.STATUS)
    fault = parse_query(made.to_wire())
    assert isinstance(fault, QueryError)
    assert fault.rcode is Rcode.NOTIMP
    assert fault.edns is not None
    assert fault.edns.options == (b"\0\3\0\0" if version == 0 else b"")
