"""The TFTP packets: what is written can be read, and what cannot be read is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.wire.tftp.packets import (
    Ack,
    Data,
    Error,
    MalformedPacket,
    OptionAck,
    Packet,
    ReadRequest,
    clean_text,
    decode,
    encode,
    error_text,
)

numbers = st.integers(0, 65535)
strings = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
option_names = strings.map(str.lower).filter(lambda name: name == name.lower())
options = st.dictionaries(option_names, strings, max_size=4)
packets: st.SearchStrategy[Packet] = st.one_of(
    st.builds(Data, numbers, st.binary(max_size=1500)),
    st.builds(Ack, numbers),
    st.builds(Error, numbers, strings),
    st.builds(OptionAck, options.filter(lambda named: named and "" not in named)),
    st.builds(
        ReadRequest,
        strings.filter(bool),
        st.sampled_from(["octet", "netascii"]),
        options,
    ),
)


@given(packets)
def test_what_is_encoded_decodes_to_the_same(packet: Packet) -> None:
    """Encoding and decoding are each other's inverse."""
    assert decode(encode(packet)) == packet


@given(st.binary(max_size=600))
def test_any_datagram_is_a_packet_or_malformed(datagram: bytes) -> None:
    """Nothing but Malformed is ever raised, and what is read can be written again."""
    try:
        packet = decode(datagram)
    except MalformedPacket:
        return
    assert decode(encode(packet)) == packet


@pytest.mark.parametrize(
    ("packet", "datagram"),
    [
        (Ack(0), b"\0\4\0\0"),
        (Ack(65535), b"\0\4\xff\xff"),
        (Data(1, b"MZ"), b"\0\3\0\1MZ"),
        (Error(1, "File not found"), b"\0\5\0\1File not found\0"),
        (OptionAck({"tsize": "7"}), b"\0\6tsize\x007\0"),
        (
            ReadRequest("ARDBP32.BIN", options={"tsize": "0", "blksize": "1428"}),
            b"\0\1ARDBP32.BIN\0octet\0tsize\x000\0blksize\x001428\0",
        ),
    ],
)
def test_packets_look_as_the_rfcs_draw_them(packet: Packet, datagram: bytes) -> None:
    """RFC 1350, appendix I; RFC 2347; the RRQ as iPXE sends it."""
    assert encode(packet) == datagram
    assert decode(datagram) == packet


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\0\4\0",  # too short
        b"\0\2f\0octet\0",  # WRQ: nobody writes to a boot server
        b"\0\x09\0\0",  # an opcode that is none
        b"\0\1f\0",  # no mode
        b"\0\1\0octet\0",  # no name
        b"\0\1f\0octet",  # no end
        b"\0\1f\0octet\0tsize\0",  # no value
        b"\0\6tsize\x001\0TSIZE\x002\0",  # twice, and not alike
    ],
)
def test_what_the_rfcs_do_not_allow_is_malformed(datagram: bytes) -> None:
    """A reader must not guess what was meant."""
    with pytest.raises(MalformedPacket):
        decode(datagram)


def test_option_names_are_read_whatever_their_case() -> None:
    """RFC 2347: option names are case-insensitive."""
    assert decode(b"\0\6BlkSize\x00512\0") == OptionAck({"blksize": "512"})


def test_an_error_without_its_final_nul_is_still_an_error() -> None:
    """The code is what counts, and some servers forget the end of the text."""
    assert decode(b"\0\5\0\2no") == Error(2, "no")


def test_a_nul_inside_a_string_cannot_be_sent() -> None:
    """It would end the file name early and ask for another file."""
    with pytest.raises(ValueError, match="NUL"):
        encode(ReadRequest("a\0b"))


def test_a_peers_text_is_shown_on_one_printable_line() -> None:
    """What a server sends goes into logs and pages: no escapes, no flood."""
    assert clean_text("a\x1b[31mb\n\udcff") == "a [31mb"
    assert clean_text("x" * 500) == "x" * 117 + "..."


@pytest.mark.parametrize(
    ("raw", "options", "oddity"),
    [
        (b"\0\6", {}, "is empty"),
        (b"\0\6tsize\x009\0\0\0", {"tsize": "9"}, "has NULs after its last option"),
        (b"\0\6tsize\x009\0\0", {"tsize": "9"}, "has NULs after its last option"),
        (b"\0\6tsize\x009\0TSIZE\x009\0", {"tsize": "9"}, "has the option 'TSIZE' twice"),
    ],
)
def test_what_firmware_passes_over_is_read_and_told(
    raw: bytes, options: dict[str, str], oddity: str
) -> None:
    """An empty OACK, NULs behind the last option, an option twice with one value."""
    packet = decode(raw)
    assert packet == OptionAck(options)
    assert isinstance(packet, OptionAck)
    assert packet.oddities == (oddity,)


@pytest.mark.parametrize(
    "raw",
    [
        "für Größe".encode() + b"\0",
        "für Größe".encode("latin-1") + b"\0",
        "für Größe".encode("utf-16-le") + b"\0\0",
        "für Größe".encode("utf-16-be") + b"\0\0",
        "für Größe".encode("utf-16"),
    ],
)
def test_the_text_of_an_error_is_read_in_whatever_code_it_was_written(raw: bytes) -> None:
    """UTF-8, as Windows writes it, or UTF-16."""
    assert error_text(raw) == "für Größe"
    assert decode(b"\0\5\0\1" + raw) == Error(1, "für Größe")
