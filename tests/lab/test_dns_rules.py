"""Boot firmware accepts our answers, and takes from others what its rules allow."""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.lab.bootstorm.dns_rules import (
    Empty,
    Failed,
    Ignored,
    Reading,
    Rule,
    Taken,
    edk2,
    grub,
    ipxe,
    u_boot,
)
from tests.wire import sample_zones
from tests.wire.sample_zones import respond

IPXE_QUERY = bytes.fromhex("1234 0100 0001 0000 0000 0000")
NAMES = (
    "boot.pvs.example.test",
    "lone.pvs.example.test",
    "apex.test",
    "deep.site.pvs.example.test",
)
RULES = (ipxe, edk2, grub, u_boot)
NAME, FIRST, SECOND = "boot.example.test.", "10.0.0.11", "10.0.0.12"


def question(name: str, rtype: int = 1) -> bytes:
    """Return the question as firmware writes it: lower case, class IN, no EDNS."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return labels + b"\0" + struct.pack("!HH", rtype, 1)


def read(rule: Rule, *records: str, rcode: int = 0) -> Reading:
    """Return what firmware makes of an answer with these records: "name type data"."""
    return rule(asked(), reply(*records, rcode=rcode))


def asked(rtype: int = 1) -> bytes:
    """Return the query that `reply` answers."""
    return IPXE_QUERY + question(NAME.removesuffix("."), rtype)


def reply(*records: str, rcode: int = 0, rtype: int = 1) -> bytes:
    """Return an answer as a resolver writes it, owners compressed."""
    message = dns.message.make_response(dns.message.from_wire(asked(rtype)))
    message.set_rcode(dns.rcode.Rcode(rcode))
    for record in records:
        owner, kind, data = record.split()
        message.answer.append(dns.rrset.from_text(owner, 5, "IN", kind, data))
    return message.to_wire()


def count(answer: bytes) -> int:
    """Return the number of records in the answer section."""
    return int.from_bytes(answer[6:8], "big")


@pytest.mark.parametrize("firmware", RULES)
@pytest.mark.parametrize("name", NAMES)
def test_firmware_takes_the_address_whose_turn_it_is(firmware: Rule, name: str) -> None:
    """Each kind of firmware accepts each answer, and takes the first address in it."""
    answers = sample_zones.table()
    query = IPXE_QUERY + question(name)
    taken = []
    for _ in range(3):
        answer = respond(query, answers)
        assert answer is not None
        taken.append(firmware(query, answer))
    members = 1 if name.startswith("lone") else 3
    assert taken == [Taken(f"10.0.0.{1 + n % members}") for n in range(3)]


@pytest.mark.parametrize("members", [1, 2, 28, 40])
@pytest.mark.parametrize("most", [1, 4, 28])
def test_firmware_takes_the_answers_of_pools_of_every_size(members: int, most: int) -> None:
    """No answer is longer than 512 bytes or four times its query, and none has TC."""
    answers = sample_zones.table(sample_zones.rrset("boot", members=members, answers=most))
    query = IPXE_QUERY + question("boot.pvs.example.test")
    for turn in range(members):
        answer = respond(query, answers)
        assert answer is not None
        assert len(answer) <= min(512, 4 * len(query))
        assert not answer[2] & 2
        assert count(answer) == min(members, most, 3 * len(query) // 16)
        for firmware in RULES:
            assert firmware(query, answer) == Taken(f"10.0.0.{turn + 1}")


def test_grubs_pair_of_queries_turns_the_rotation_once() -> None:
    """GRUB asks A and AAAA back to back with one ID; with two members, both must get their turn."""
    answers = sample_zones.table(sample_zones.rrset("boot", members=2))
    taken = []
    for _ in range(4):
        for rtype in (1, 28):
            query = IPXE_QUERY + question("boot.pvs.example.test", rtype)
            answer = respond(query, answers)
            assert answer is not None
            if rtype == 1:
                taken.append(grub(query, answer))
    assert taken == [Taken(f"10.0.0.{n}") for n in (1, 2, 1, 2)]


@pytest.mark.parametrize("firmware", RULES)
def test_the_first_address_in_the_packet_is_taken(firmware: Rule) -> None:
    """No kind of firmware looks at a second one."""
    assert read(firmware, f"{NAME} A {FIRST}", f"{NAME} A {SECOND}") == Taken(FIRST)


@pytest.mark.parametrize("firmware", RULES)
def test_an_alias_before_the_address_is_followed_or_passed_over(firmware: Rule) -> None:
    """Resolvers answer an alias together with what it leads to."""
    records = (f"{NAME} CNAME pvs.example.test.", f"pvs.example.test. A {FIRST}")
    assert read(firmware, *records) == Taken(FIRST)


@pytest.mark.parametrize(
    ("firmware", "expected"),
    [
        (ipxe, Empty("the answer has no address (NODATA)")),
        (edk2, Ignored("it has no record, which EDK2 treats as truncated")),
        (grub, Ignored("the answer has no address (NODATA)")),
        (u_boot, Failed("the answer has no address (NODATA)")),
    ],
)
def test_an_answer_without_any_record_boots_nothing(firmware: Rule, expected: Reading) -> None:
    """Each kind of firmware stumbles in its own way."""
    assert read(firmware) == expected


@pytest.mark.parametrize(
    ("firmware", "kind"), [(ipxe, Taken), (edk2, Failed), (grub, Ignored), (u_boot, Taken)]
)
def test_the_rcode_is_looked_at_by_edk2_and_grub_alone(firmware: Rule, kind: type[Reading]) -> None:
    """U-Boot and iPXE take an address out of a SERVFAIL."""
    assert isinstance(read(firmware, f"{NAME} A {FIRST}", rcode=2), kind)


def test_an_error_is_told_by_its_name() -> None:
    """Where it has one."""
    assert read(grub, rcode=2) == Ignored("the answer is SERVFAIL")
    assert read(grub, rcode=15) == Ignored("the answer is RCODE 15")


@pytest.mark.parametrize(
    ("firmware", "takes"), [(ipxe, True), (edk2, True), (grub, False), (u_boot, True)]
)
def test_only_grub_minds_the_case_of_the_name(firmware: Rule, takes: bool) -> None:
    """The question and with it the owners come back in another case."""
    query = asked()
    answer = reply(f"{NAME} A {FIRST}").replace(b"boot", b"bOOt")
    assert isinstance(firmware(query, answer), Taken) is takes


@pytest.mark.parametrize(
    ("firmware", "takes"), [(ipxe, True), (edk2, False), (grub, True), (u_boot, False)]
)
def test_a_record_of_another_type_before_the_address(firmware: Rule, takes: bool) -> None:
    """EDK2 drops the whole answer, U-Boot stops there, the others skip it."""
    reading = read(firmware, f"{NAME} TXT hello", f"{NAME} A {FIRST}")
    assert isinstance(reading, Taken) is takes


@pytest.mark.parametrize("firmware", [edk2, u_boot])
def test_an_answer_of_aliases_alone_has_no_address(firmware: Rule) -> None:
    """Neither asks for what the alias leads to."""
    assert isinstance(read(firmware, f"{NAME} CNAME pvs.example.test."), Failed)


def test_a_foreign_owner_is_skipped_by_those_who_compare_names() -> None:
    """EDK2 and U-Boot take the address all the same."""
    foreign = f"other.example.test. A {FIRST}"
    assert isinstance(read(ipxe, foreign), Empty)
    assert isinstance(read(grub, foreign), Ignored)
    assert read(u_boot, foreign) == Taken(FIRST)


def test_edk2_wants_owners_to_be_pointers() -> None:
    """A name in full makes it drop the answer; U-Boot can read one."""
    answer = reply(f"{NAME} A {FIRST}")
    full = answer.replace(b"\xc0\x0c", question(NAME.removesuffix("."))[:-4])
    assert edk2(asked(), full) == Ignored("the owner of a record is not a compression pointer")
    assert u_boot(asked(), full) == Taken(FIRST)
    assert ipxe(asked(), full) == Taken(FIRST)


def test_ipxe_asks_for_aaaa_first_where_its_resolver_has_ipv6() -> None:
    """Then it takes an AAAA record."""
    answer = reply(f"{NAME} AAAA 2001:db8::11", rtype=28)
    assert ipxe(asked(28), answer) == Taken("2001:db8::11")


@pytest.mark.parametrize("firmware", [ipxe, edk2, grub])
def test_an_answer_to_another_query_is_ignored(firmware: Rule) -> None:
    """By its ID; U-Boot looks at the port alone."""
    answer = b"\x43\x21" + reply(f"{NAME} A {FIRST}")[2:]
    assert isinstance(firmware(asked(), answer), Ignored)


@pytest.mark.parametrize(("firmware", "most"), [(ipxe, 1), (edk2, 1), (u_boot, 1), (grub, 9)])
def test_how_many_questions_an_answer_may_hold(firmware: Rule, most: int) -> None:
    """GRUB skips any number of them."""
    answer = reply(f"{NAME} A {FIRST}")
    two = answer[:4] + b"\0\2" + answer[6:12] + question("x.test") + answer[12:]
    pointed = two.replace(b"\xc0\x0c", b"\xc0" + bytes([12 + len(question("x.test"))]))
    assert isinstance(firmware(asked(), pointed), Taken) is (most > 1)


@pytest.mark.parametrize("firmware", RULES)
def test_an_answer_that_is_cut_off_takes_nobody_anywhere(firmware: Rule) -> None:
    """At every byte."""
    answer = reply(f"{NAME} A {FIRST}")
    for size in range(len(answer)):
        assert not isinstance(firmware(asked(), answer[:size]), Taken)


@pytest.mark.parametrize("firmware", RULES)
def test_a_name_that_points_at_itself_has_an_end_here(firmware: Rule) -> None:
    """Such a loop is no answer."""
    answer = reply(f"{NAME} A {FIRST}")
    at = answer.index(b"\xc0\x0c")
    loop = answer[:at] + (0xC000 | at).to_bytes(2, "big") + answer[at + 2 :]
    assert isinstance(firmware(asked(), loop), Ignored | Failed)


@pytest.mark.parametrize("firmware", RULES)
@given(st.data())
def test_no_datagram_upsets_a_rule(firmware: Rule, data: st.DataObject) -> None:
    """Whatever comes is read, or declined in words."""
    answer = bytearray(reply(f"{NAME} CNAME pvs.example.test.", f"pvs.example.test. A {FIRST}"))
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(2, len(answer) - 1), st.integers(0, 255)))
    ):
        answer[at] = value
    reading = firmware(asked(), bytes(answer[: data.draw(st.integers(0, len(answer)))]))
    assert isinstance(reading, Taken) or reading.reason
