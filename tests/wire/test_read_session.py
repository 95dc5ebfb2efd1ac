"""The read session: what a probe says to a server, and what it makes of the replies."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import BootFile, Profile
from rrdns.wire.tftp.boot_file import LARGE_BYTES
from rrdns.wire.tftp.findings import TransferRequest
from rrdns.wire.tftp.firmware_options import probe_options
from rrdns.wire.tftp.packets import (
    Ack,
    Address,
    Data,
    Error,
    OptionAck,
    Packet,
    ReadRequest,
    Send,
    decode,
    encode,
)
from rrdns.wire.tftp.read_session import MAX_STRAY_PACKETS, MAX_WARNINGS, ReadSession, sessions

SERVER = "10.0.0.11"
DOOR = (SERVER, 69)
TRANSFER = (SERVER, 40000)


def session(
    depth: ProbeDepth = ProbeDepth.FULL, *, blksize: int = 1428, file: BootFile | None = None
) -> ReadSession:
    """Return a session that has sent its request."""
    asked_for = file or BootFile("boot.bin")
    asked = TransferRequest(SERVER, 69, asked_for.name)
    return ReadSession(asked, asked_for, depth, probe_options(blksize))


def say(reader: ReadSession, packet: Packet, source: Address = TRANSFER) -> Packet | None:
    """Give the session a packet, and return its reply, which must go back to the sender."""
    return replied(reader.receive(encode(packet), source), source)


def replied(send: Send | None, to: Address = TRANSFER) -> Packet | None:
    """Return the packet that is to be sent."""
    if send is None:
        return None
    datagram, destination = send
    assert destination == to
    return decode(datagram)


def verdict(reader: ReadSession) -> Verdict | None:
    """Return the session's verdict so far."""
    return reader.finding.verdict if reader.finding else None


def sentence(reader: ReadSession) -> str:
    """Return the session's sentence."""
    assert reader.finding is not None
    return reader.finding.sentence


def test_the_request_asks_as_firmware_does() -> None:
    """The file in octet mode, its size, and blocks that fit an Ethernet frame."""
    datagram, destination = session().request()
    options = {"tsize": "0", "blksize": "1428"}
    assert decode(datagram) == ReadRequest("boot.bin", "octet", options)
    assert destination == DOOR


def test_a_light_probe_ends_after_the_first_block() -> None:
    """OACK, ACK 0, DATA 1: the file can be read; ERROR 0 tells the server that this was all."""
    reader = session(ProbeDepth.LIGHT)
    assert say(reader, OptionAck({"tsize": "5000", "blksize": "1428"})) == Ack(0)
    assert reader.finding is None
    assert say(reader, Data(1, b"x" * 1428)) == Error(0, "probe done")
    assert verdict(reader) is Verdict.OK
    assert sentence(reader) == "10.0.0.11 serves boot.bin (5,000 bytes)"


def test_a_light_probe_of_a_server_without_options_ends_after_the_first_block() -> None:
    """Old PVS servers ignore the options and send 512 bytes at once."""
    reader = session(ProbeDepth.LIGHT)
    assert say(reader, Data(1, b"x" * 512)) == Error(0, "probe done")
    assert sentence(reader) == "10.0.0.11 serves boot.bin"


def test_a_light_probe_acknowledges_a_block_that_is_the_last() -> None:
    """The final ACK is the cleanest end of all."""
    reader = session(ProbeDepth.LIGHT)
    assert say(reader, Data(1, b"all")) == Ack(1)
    assert verdict(reader) is Verdict.OK


@given(st.binary(min_size=1, max_size=3000), st.sampled_from([None, 8, 512, 1000, 1428]))
def test_a_full_probe_reads_to_the_end(content: bytes, blksize: int | None) -> None:
    """Block by block, with the block size that the server chose, and the hash is right."""
    reader = session()
    if blksize is not None:
        assert say(reader, OptionAck({"blksize": str(blksize)})) == Ack(0)
    size = blksize or 512
    for number, start in enumerate(range(0, len(content) + 1, size), 1):
        assert reader.finding is None
        assert say(reader, Data(number, content[start : start + size])) == Ack(number)
    assert reader.finding is not None
    assert reader.finding.verdict is Verdict.OK
    assert reader.finding.seen is not None
    assert reader.finding.seen.sha256 == sha256(content).hexdigest()


@pytest.mark.parametrize("after_the_last", [0, 1])
def test_block_numbers_wrap(after_the_last: int) -> None:
    """After 65535 comes 0. At some servers comes 1, where all firmware stalls."""
    reader = session(blksize=8)
    say(reader, OptionAck({"blksize": "8"}))
    for number in range(1, 65536):
        assert reader.receive(encode(Data(number, b"12345678")), TRANSFER) is not None
    if after_the_last:
        assert isinstance(say(reader, Data(1, b"12345678")), Error)
        assert verdict(reader) is Verdict.BAD_REPLY
        assert "block numbers roll over to 0: all firmware stalls" in sentence(reader)
        return
    assert say(reader, Data(0, b"12345678")) == Ack(0)
    assert say(reader, Data(1, b"end")) == Ack(1)
    assert "524,291 bytes" in sentence(reader)


def test_duplicates_are_never_acknowledged_again() -> None:
    """RFC 1123, section 4.2.3.1: else each duplicate doubles all that follow it."""
    reader = session()
    say(reader, OptionAck({"blksize": "8"}))
    assert say(reader, OptionAck({"blksize": "8"})) is None
    assert say(reader, Data(1, b"12345678")) == Ack(1)
    assert say(reader, Data(1, b"12345678")) is None
    assert say(reader, OptionAck({"blksize": "16"})) is None
    assert say(reader, Data(2, b"87654321")) == Ack(2)
    assert say(reader, Data(1, b"12345678")) is None
    assert say(reader, Data(3, b"")) == Ack(3)
    assert say(reader, Data(3, b"")) is None
    assert "16 bytes" in sentence(reader)


def test_our_own_time_out_repeats_the_last_acknowledgement() -> None:
    """The request, from the same port; ACK 0 for the OACK, ACK n for block n."""
    reader = session()
    assert reader.resend_ack() == reader.request()
    say(reader, OptionAck({"blksize": "8"}))
    assert replied(reader.resend_ack()) == Ack(0)
    say(reader, Data(1, b"12345678"))
    assert replied(reader.resend_ack()) == Ack(1)
    say(reader, Data(2, b""))
    assert reader.resend_ack() is None


def test_packets_from_another_port_are_turned_away_and_disturb_nothing() -> None:
    """RFC 1350, section 4: ERROR 5 to them, and the transfer goes on."""
    reader = session()
    say(reader, OptionAck({"blksize": "8"}))
    stranger = (SERVER, 40001)
    assert say(reader, Data(1, b"flooding"), stranger) == Error(5, "unknown transfer ID")
    assert say(reader, OptionAck({}), stranger) == Error(5, "unknown transfer ID")
    assert say(reader, Error(1, "gone"), stranger) is None
    assert reader.receive(b"noise", stranger) is None
    assert reader.finding is None
    assert say(reader, Data(1, b"")) == Ack(1)


def test_a_flood_from_another_port_is_not_reflected() -> None:
    """Only the first few get an answer."""
    reader = session()
    say(reader, OptionAck({"blksize": "8"}))
    answers = [say(reader, Data(1, b"flooding"), (SERVER, 40001)) for _ in range(100)]
    assert sum(answer is not None for answer in answers) == MAX_STRAY_PACKETS


def test_a_reply_from_another_address_becomes_the_verdict_of_silence() -> None:
    """Firmware would reject it; the right reply did not come."""
    reader = session()
    stranger = ("10.0.0.99", 40000)
    assert say(reader, OptionAck({}), stranger) == Error(5, "unknown transfer ID")
    assert say(reader, Data(1, b""), ("10.0.0.98", 5)) == Error(5, "unknown transfer ID")
    assert reader.finding is None
    assert reader.timed_out(1.0) is None
    assert verdict(reader) is Verdict.WRONG_SOURCE
    assert "the reply came from 10.0.0.99" in sentence(reader)


def test_a_stray_packet_from_another_address_takes_nobody_out() -> None:
    """The right reply comes too, and that counts."""
    reader = session()
    say(reader, Data(1, b""), ("10.0.0.99", 40000))
    assert say(reader, Data(1, b"fine")) == Ack(1)
    assert verdict(reader) is Verdict.OK


def test_silence_says_what_may_be_behind_it() -> None:
    """Down, a firewall, or a NAT that knows nothing of the new port."""
    reader = session()
    assert reader.timed_out(1.0) is None
    assert verdict(reader) is Verdict.TIMEOUT
    for word in ("10.0.0.11", "boot.bin", "1 s", "firewall", "NAT", "host networking"):
        assert word in sentence(reader)


def test_silence_in_mid_transfer_ends_it_cleanly() -> None:
    """The server may still be there; it is told to stop."""
    reader = session()
    say(reader, OptionAck({"blksize": "8"}))
    say(reader, Data(1, b"12345678"))
    assert replied(reader.timed_out(1.0)) == Error(0, "probe done")
    assert verdict(reader) is Verdict.TIMEOUT
    assert "after 8 bytes" in sentence(reader)


def test_a_transfer_that_takes_too_long_is_ended_cleanly() -> None:
    """It answers, and does not get to the end."""
    reader = session()
    say(reader, Data(1, b"x" * 512))
    assert replied(reader.too_slow(10.0)) == Error(0, "probe done")
    assert verdict(reader) is Verdict.TOO_SLOW
    assert "512 bytes of boot.bin in 10 s" in sentence(reader)


def test_a_cancelled_probe_tells_the_server_if_there_is_one() -> None:
    """Before the first reply nobody knows whom to tell; after the end nobody needs to."""
    reader = session()
    assert reader.abort() is None
    say(reader, OptionAck({"tsize": "3"}))
    assert replied(reader.abort()) == Error(0, "probe cancelled")
    say(reader, Data(1, b"end"))
    assert reader.abort() is None


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (Error(0, "busy"), "did not serve boot.bin (TFTP error 0: busy)"),
        (Error(1, "File not found"), "has no file boot.bin (TFTP error 1: File not found)"),
        (Error(2, ""), "(TFTP error 2): the server cannot read the file"),
        (Error(8, "no"), "refuses the options"),
        (Error(77, "\x1b[0m"), "(TFTP error 77: [0m)"),
    ],
)
def test_an_error_packet_is_told_with_its_meaning(packet: Error, words: str) -> None:
    """The code, the server's text made fit to show, and what it means."""
    reader = session()
    assert say(reader, packet) is None
    assert verdict(reader) is Verdict.TFTP_ERROR
    assert words in sentence(reader)


def test_an_error_in_mid_transfer_says_how_far_it_came() -> None:
    """The file is there, and cannot be read to its end."""
    reader = session()
    say(reader, Data(1, b"x" * 512))
    assert say(reader, Error(0, "I/O error")) is None
    assert "stopped boot.bin after 512 bytes (TFTP error 0: I/O error)" in sentence(reader)


@pytest.mark.parametrize(
    ("packet", "code", "words"),
    [
        (Data(2, b""), 4, "sent block 2; block 1 was due"),
        (Data(0, b""), 4, "sent block 0; block 1 was due"),
        (Data(1, b"x" * 513), 4, "513 bytes in a block of 512"),
        (Ack(0), 4, "a packet that only a reader sends"),
        (ReadRequest("x"), 4, "a packet that only a reader sends"),
        (OptionAck({"blksize": "1429"}), 8, "blocks of 1429 bytes; 1428 were requested"),
        (OptionAck({"blksize": "7"}), 8, "blocks of 7 bytes"),
        (OptionAck({"blksize": "many"}), 8, "its blksize is 'many'"),
        (OptionAck({"tsize": "-1"}), 8, "its tsize is '-1'"),
        (OptionAck({"tsize": "9" * 19}), 8, "which is not a number"),
        (OptionAck({"tsize": "10245 "}), 8, "its tsize is '10245 ', which is not a number"),
    ],
)
def test_a_breach_of_the_protocol_is_told_to_the_server_and_to_us(
    packet: Packet, code: int, words: str
) -> None:
    """RFC 1350 and RFC 2347 to 2349 leave no doubt about these."""
    reader = session()
    reply = say(reader, packet)
    assert isinstance(reply, Error)
    assert reply.code == code
    assert verdict(reader) is Verdict.BAD_REPLY
    assert words in sentence(reader)


def test_noise_from_the_server_is_a_bad_reply() -> None:
    """Something listens there, and it does not speak TFTP."""
    reader = session()
    assert isinstance(replied(reader.receive(b"HTTP/1.1 400", TRANSFER)), Error)
    assert verdict(reader) is Verdict.BAD_REPLY


def test_a_server_that_runs_ahead_is_a_bad_reply() -> None:
    """In lockstep nobody can be ahead."""
    reader = session()
    say(reader, Data(1, b"x" * 512))
    say(reader, Data(3, b"x" * 512))
    assert "sent block 3; block 2 was due" in sentence(reader)


def test_a_wrong_announcement_ends_the_transfer_at_once() -> None:
    """The config knows the size: nothing needs to be loaded."""
    reader = session(ProbeDepth.LIGHT, file=BootFile("boot.bin", size=10))
    assert say(reader, OptionAck({"tsize": "11"})) == Error(0, "probe done")
    assert verdict(reader) is Verdict.WRONG_SIZE


def test_more_than_was_announced_ends_the_transfer() -> None:
    """Firmware has made room for what was announced, and no more."""
    reader = session()
    say(reader, OptionAck({"tsize": "10", "blksize": "8"}))
    assert say(reader, Data(1, b"12345678")) == Ack(1)
    assert say(reader, Data(2, b"12345678")) == Error(0, "probe done")
    assert verdict(reader) is Verdict.WRONG_SIZE


def test_less_than_was_announced_is_truncated() -> None:
    """The last block is acknowledged all the same: the transfer is over."""
    reader = session()
    say(reader, OptionAck({"tsize": "10", "blksize": "8"}))
    assert say(reader, Data(1, b"1234567")) == Ack(1)
    assert verdict(reader) is Verdict.TRUNCATED
    assert "announced 10 bytes for boot.bin, but ended it after 7 bytes" in sentence(reader)


def test_a_large_file_is_not_loaded_whole() -> None:
    """Its size and first block are enough, and the admin is told so."""
    reader = session()
    say(reader, OptionAck({"tsize": str(LARGE_BYTES + 1)}))
    assert say(reader, Data(1, b"x" * 512)) == Error(0, "probe done")
    assert reader.finding is not None
    assert reader.finding.verdict is Verdict.OK
    assert reader.finding.seen is None
    assert len(reader.finding.warnings) == 1


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Verdict.REFUSED, "nothing listens on UDP port 69"),
        (Verdict.UNREACHABLE, "cannot be reached for boot.bin (why)"),
        (Verdict.LOCAL, "could not be sent to 10.0.0.11 (why)"),
    ],
)
def test_what_the_network_rejects_ends_the_session(told: Verdict, words: str) -> None:
    """ICMP, or this host, gave the request back."""
    reader = session()
    reader.network_error(told, "why")
    assert verdict(reader) is told
    assert words in sentence(reader)


def test_a_port_that_closes_in_mid_transfer_is_told_so() -> None:
    """The service was there a moment ago."""
    reader = session()
    say(reader, Data(1, b"x" * 512))
    reader.network_error(Verdict.REFUSED, "why")
    assert "stopped the transfer" in sentence(reader)


def test_only_packets_of_the_transfer_itself_can_end_it() -> None:
    """First the door, then the server's own port; never where a stranger was turned away."""
    reader = session()
    assert reader.concerns(DOOR)
    assert not reader.concerns(TRANSFER)
    say(reader, Data(1, b"x" * 512))
    assert reader.concerns(TRANSFER)
    assert not reader.concerns((SERVER, 40001))


def test_the_first_finding_stands() -> None:
    """Whatever comes behind it changes nothing and gets no answer."""
    reader = session()
    say(reader, Error(1, "File not found"))
    first = reader.finding
    assert say(reader, Data(1, b"")) is None
    assert reader.timed_out(1.0) is None
    assert reader.too_slow(1.0) is None
    reader.network_error(Verdict.REFUSED, "why")
    assert reader.finding is first


def test_a_reader_asks_for_the_options_of_the_firmware_it_plays() -> None:
    """In its order; an option that it asked for may be accepted."""
    options = (("timeout", "5"), ("blksize", "1468"))
    reader = ReadSession(
        TransferRequest(SERVER, 69, "boot.bin"), BootFile("boot.bin"), ProbeDepth.FULL, options
    )
    datagram, _ = reader.request()
    assert datagram == b"\0\1boot.bin\0octet\0timeout\x005\0blksize\x001468\0"
    assert say(reader, OptionAck({"timeout": "5", "blksize": "1468"})) == Ack(0)
    assert say(reader, Data(1, b"end")) == Ack(1)
    assert verdict(reader) is Verdict.OK


def test_a_reader_without_the_blksize_option_gets_blocks_of_512() -> None:
    """RFC 1350."""
    asked = TransferRequest(SERVER, 69, "boot.bin")
    reader = ReadSession(asked, BootFile("boot.bin"), ProbeDepth.FULL, (("tsize", "0"),))
    assert isinstance(say(reader, OptionAck({"blksize": "1024"})), Error)
    assert verdict(reader) is Verdict.BAD_REPLY


def test_who_wants_the_size_alone_ends_at_the_options_with_error_8() -> None:
    """As EDK2 does at each boot; a server without options is left after its first block."""
    asked, file = TransferRequest(SERVER, 69, "boot.bin"), BootFile("boot.bin")
    reader = ReadSession(asked, file, ProbeDepth.LIGHT, (("tsize", "0"),), size_only=True)
    reply = say(reader, OptionAck({"tsize": "600"}))
    assert isinstance(reply, Error)
    assert reply.code == 8
    assert verdict(reader) is Verdict.OK
    plain = ReadSession(asked, file, ProbeDepth.LIGHT, (("tsize", "0"),), size_only=True)
    assert isinstance(say(plain, Data(1, b"x" * 512)), Error)
    assert verdict(plain) is Verdict.OK


def windowed(window: int = 3) -> ReadSession:
    """Return a session whose server has accepted blocks of 8 bytes, several for one ACK."""
    options = (("blksize", "8"), ("windowsize", "4"))
    reader = ReadSession(
        TransferRequest(SERVER, 69, "boot.bin"), BootFile("boot.bin"), ProbeDepth.FULL, options
    )
    assert say(reader, OptionAck({"blksize": "8", "windowsize": str(window)})) == Ack(0)
    return reader


def test_a_window_of_blocks_is_acknowledged_as_one() -> None:
    """At its end, or at the end of the file (RFC 7440)."""
    reader = windowed()
    replies = [say(reader, Data(block, b"x" * 8)) for block in range(1, 7)]
    assert replies == [None, None, Ack(3), None, None, Ack(6)]
    assert say(reader, Data(7, b"end")) == Ack(7)
    assert verdict(reader) is Verdict.OK


def test_a_block_that_is_lost_from_a_window_is_asked_for_once() -> None:
    """The last one that came is acknowledged, and the server goes on from there."""
    reader = windowed()
    assert say(reader, Data(1, b"x" * 8)) is None
    assert say(reader, Data(3, b"x" * 8)) == Ack(1)
    assert say(reader, Data(3, b"x" * 8)) is None
    replies = [say(reader, Data(block, b"x" * 8)) for block in (2, 3, 4)]
    assert replies == [None, None, Ack(4)]


def test_a_reminder_begins_a_window_anew() -> None:
    """The server sends on from the last block that came."""
    reader = windowed()
    assert say(reader, Data(1, b"x" * 8)) is None
    assert replied(reader.resend_ack()) == Ack(1)
    replies = [say(reader, Data(block, b"x" * 8)) for block in (2, 3, 4)]
    assert replies == [None, None, Ack(4)]


def test_a_block_beyond_the_window_is_a_bad_reply() -> None:
    """No server can rightly be that far ahead."""
    reader = windowed()
    assert isinstance(say(reader, Data(4, b"x" * 8)), Error)
    assert verdict(reader) is Verdict.BAD_REPLY


@pytest.mark.parametrize("window", ["0", "5"])
def test_a_window_that_was_not_asked_for_is_a_bad_reply(window: str) -> None:
    """At most as many blocks as the request says."""
    options = (("windowsize", "4"),)
    reader = ReadSession(
        TransferRequest(SERVER, 69, "boot.bin"), BootFile("boot.bin"), ProbeDepth.FULL, options
    )
    assert isinstance(say(reader, OptionAck({"windowsize": window})), Error)
    assert f"it chose windows of {window} blocks; 4 were requested" in sentence(reader)


sources = st.sampled_from([TRANSFER, TRANSFER, TRANSFER, (SERVER, 40001), ("10.0.0.99", 40000)])
blocks = st.one_of(st.integers(0, 6), st.sampled_from([65535, 32769]))
payloads = st.sampled_from([b"x" * 8, b"x" * 8, b"x" * 512, b"", b"end", b"x" * 600])
option_sets = st.dictionaries(
    st.sampled_from(["tsize", "blksize", "other"]), st.sampled_from(["8", "16", "0", "x"])
)
datagrams = st.one_of(
    st.builds(Data, blocks, payloads).map(encode),
    st.builds(OptionAck, option_sets.filter(bool)).map(encode),
    st.builds(Error, st.integers(0, 9), st.just("no")).map(encode),
    st.builds(Ack, blocks).map(encode),
    st.binary(max_size=20),
)


@given(st.sampled_from(ProbeDepth), st.lists(st.tuples(datagrams, sources), max_size=60))
def test_no_sequence_of_packets_upsets_a_session(
    depth: ProbeDepth, script: list[tuple[bytes, Address]]
) -> None:
    """It never raises, answers at most once each, never ACKs twice, and silence ends it."""
    reader = session(depth)
    acknowledged: list[int] = []
    for datagram, source in script:
        over = reader.finding is not None
        send = reader.receive(datagram, source)
        assert not (over and send)
        if send is not None:
            reply = decode(send[0])
            assert send[1] == source
            assert isinstance(reply, Ack | Error)
            if isinstance(reply, Ack):
                acknowledged.append(reply.block)
    assert acknowledged == sorted(set(acknowledged))  # each once, in order
    reader.timed_out(1.0)
    assert reader.finding is not None
    assert SERVER in reader.finding.sentence


def playing(
    profile: Profile, depth: ProbeDepth = ProbeDepth.FULL, name: str = "a"
) -> list[ReadSession]:
    """Return the transfers of a probe that plays a firmware."""
    return list(
        sessions(TransferRequest(SERVER, 69, name), BootFile(name, profile=profile), depth, 1428)
    )


@pytest.mark.parametrize(
    ("profile", "depth", "options"),
    [
        (Profile.BIOS, ProbeDepth.FULL, [{"tsize": "0", "blksize": "1428"}]),
        (Profile.IPXE, ProbeDepth.FULL, [{"blksize": "1432", "tsize": "0"}]),
        (
            Profile.UEFI,
            ProbeDepth.FULL,
            [
                {"tsize": "0", "blksize": "1468", "windowsize": "4"},
                {"blksize": "1468", "windowsize": "4"},
            ],
        ),
        (Profile.UEFI, ProbeDepth.LIGHT, [{"tsize": "0", "blksize": "1428"}]),
        (Profile.IPXE, ProbeDepth.LIGHT, [{"tsize": "0", "blksize": "1428"}]),
    ],
)
def test_a_probe_asks_as_its_firmware_does(
    profile: Profile, depth: ProbeDepth, options: list[dict[str, str]]
) -> None:
    """Whole downloads play each request; a light probe asks once, and quietly."""
    asked = [decode(one.request()[0]) for one in playing(profile, depth)]
    assert asked == [ReadRequest("a", "octet", each) for each in options]


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"\0\3\0\1" + b"x" * 512, "it answers without an OACK (RFC 2347)"),
        (b"\0\6blksize\x001428\0", "its OACK has no tsize (RFC 2349)"),
        (b"\0\6TSIZE\x00600\0", "its OACK does not write tsize in lower case"),
        (b"\0\6tsize\x000\0", "its OACK has tsize 0"),
        (b"\0\6", "its OACK has no tsize"),
    ],
)
@pytest.mark.parametrize("depth", ProbeDepth)
def test_what_edk2_does_not_load_fails_where_uefi_asks(
    depth: ProbeDepth, packet: bytes, words: str
) -> None:
    """In both depths, so that a light probe never lifts the doubt that a full one cast."""
    first = playing(Profile.UEFI, depth)[0]
    assert isinstance(replied(first.receive(packet, TRANSFER)), Error)
    assert verdict(first) is Verdict.BAD_REPLY
    assert "UEFI targets (EDK2) do not load a from 10.0.0.11: " + words in sentence(first)
    bios = playing(Profile.BIOS, depth)[0]
    bios.receive(packet, TRANSFER)
    assert verdict(bios) in (None, Verdict.OK)


def test_edk2_asks_a_second_time_without_the_size() -> None:
    """And does not want to be told of it."""
    first, second = playing(Profile.UEFI)
    assert say(first, OptionAck({"tsize": "600"})) == Error(8, "only the size was wanted")
    second.follow(first)
    assert isinstance(say(second, OptionAck({"blksize": "1468", "tsize": "600"})), Error)
    assert "has tsize without a request for it" in sentence(second)


def test_the_second_request_of_edk2_needs_no_oack() -> None:
    """A server that knows tsize alone has no option to accept there."""
    first, second = playing(Profile.UEFI)
    say(first, OptionAck({"tsize": "600"}))
    second.follow(first)
    assert say(second, Data(1, b"x" * 512)) == Ack(1)
    assert say(second, Data(2, b"x" * 88)) == Ack(2)
    assert verdict(second) is Verdict.OK


def test_edk2_loads_from_a_server_that_keeps_the_rules() -> None:
    """The size that the first transfer told binds the second."""
    first, second = playing(Profile.UEFI)
    say(first, OptionAck({"tsize": "5"}))
    second.follow(first)
    assert say(second, OptionAck({"blksize": "1468", "windowsize": "4"})) == Ack(0)
    assert say(second, Data(1, b"MZend")) == Ack(1)
    assert verdict(second) is Verdict.OK
    short = playing(Profile.UEFI)[1]
    short.follow(first)
    say(short, OptionAck({"blksize": "1468"}))
    say(short, Data(1, b"MZ"))
    assert verdict(short) is Verdict.TRUNCATED


@pytest.mark.parametrize("name", ["start", "start.efi", "vmlinuz"])
def test_a_uefi_program_by_its_bytes_is_a_warning(name: str) -> None:
    """A loader of another kind may ask for it; a Linux kernel begins with MZ as well."""
    content = (b"MZ".ljust(0x202, b"x") + (b"HdrS" if name == "vmlinuz" else b"PE")).ljust(600)
    reader = session(file=BootFile(name))
    say(reader, Data(1, content[:512]))
    say(reader, Data(2, content[512:]))
    assert verdict(reader) is Verdict.OK
    assert reader.finding is not None
    told = [one for one in reader.finding.warnings if "configure profile = uefi" in one]
    assert len(told) == (name != "vmlinuz")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\0\6tsize\x003\0timeout\x005\0", "accepts the option 'timeout'"),
        (b"\0\6tsize\x003\0windowsize\x004\0", "accepts the option 'windowsize'"),
        (b"\0\6tsize\x003\0what\x00?\0", "accepts the option 'what'"),
        (b"\0\6tsize\x003\0\0\0", "has NULs after its last option"),
        (b"\0\6tsize\x003\0tsize\x003\0", "has the option 'tsize' twice"),
    ],
)
@pytest.mark.parametrize("depth", ProbeDepth)
def test_what_all_firmware_passes_over_is_a_warning(
    depth: ProbeDepth, raw: bytes, words: str
) -> None:
    """It names the RFC; the target boots."""
    reader = session(depth)
    assert replied(reader.receive(raw, TRANSFER)) == Ack(0)
    say(reader, Data(1, b"end"))
    assert verdict(reader) is Verdict.OK
    assert reader.finding is not None
    [warning] = reader.finding.warnings
    assert words in warning
    assert "RFC 2347" in warning


@pytest.mark.parametrize(
    ("name", "value", "bios", "uefi"),
    [
        ("tsize", " 600", True, True),
        ("tsize", "600 ", False, True),
        ("tsize", "6 00", False, False),
        ("blksize", " 512", True, False),
        ("blksize", "512 ", False, True),
    ],
)
def test_spaces_around_a_number_are_read_as_firmware_reads_them(
    name: str, value: str, bios: bool, uefi: bool
) -> None:
    """Their C libraries decide, so iPXE and EDK2 differ; where the target boots it is a warning."""
    options = {"tsize": "600", "blksize": "512", name: value}
    for profile, loads in ((Profile.BIOS, bios), (Profile.UEFI, uefi)):
        reader = playing(profile, ProbeDepth.LIGHT)[0]
        if loads:
            assert say(reader, OptionAck(options)) == Ack(0)
            say(reader, Data(1, b"x" * 512))
            assert reader.finding is not None
            [warning] = reader.finding.warnings
            assert f"writes the value of {name} as {value!r}, against RFC 2347" in warning
        else:
            say(reader, OptionAck(options))
            assert f"its {name} is {value!r}, which is not a number" in sentence(reader)


@pytest.mark.parametrize("stray", [b"noise", b"\0\4\0\0", b"\0\1a\0octet\0", b"\0"])
def test_a_stray_packet_within_the_transfer_is_a_warning(stray: bytes) -> None:
    """From the server's own port, after the OACK: firmware passes over it."""
    reader = session()
    say(reader, OptionAck({"tsize": "3"}))
    assert reader.receive(stray, TRANSFER) is None
    assert reader.receive(stray, TRANSFER) is None
    say(reader, Data(1, b"end"))
    assert reader.finding is not None
    assert reader.finding.verdict is Verdict.OK
    [warning] = reader.finding.warnings
    assert "stray packet" in warning


@pytest.mark.parametrize("source", [(SERVER, 40001), ("10.0.0.99", 40000)])
def test_a_transfer_that_goes_on_from_elsewhere_is_told_so(source: Address) -> None:
    """It is no silence, and has nothing to do with the MTU."""
    reader = session()
    say(reader, Data(1, b"x" * 512))
    assert say(reader, Data(2, b"end"), source) == Error(5, "unknown transfer ID")
    reader.timed_out(1.0)
    assert verdict(reader) is Verdict.WRONG_SOURCE
    assert f"port {source[1]}" in sentence(reader)
    assert "MTU" not in sentence(reader)


def test_a_large_file_that_comes_well_and_long_is_no_fault() -> None:
    """Its size is known, the pace is good: the rest is not checked, and that is told."""
    reader = session(file=BootFile("boot.bin", size=34_000_000))
    say(reader, Data(1, b"x" * 512))
    assert replied(reader.too_slow(120.0, paced=True)) == Error(0, "probe done")
    assert verdict(reader) is Verdict.OK
    assert reader.finding is not None
    assert "only 512 bytes of boot.bin were loaded in 120 s" in reader.finding.warnings[0]
    endless = session()
    say(endless, Data(1, b"x" * 512))
    endless.too_slow(120.0, paced=True)
    assert verdict(endless) is Verdict.TOO_SLOW


def test_a_block_that_is_lost_where_numbers_wrap_is_asked_for() -> None:
    """Block 0 is a block as any other."""
    reader = windowed(3)
    for block in range(1, 65536):
        reader.receive(encode(Data(block, b"x" * 8)), TRANSFER)
    assert say(reader, Data(1, b"x" * 8)) == Ack(65535)
    assert say(reader, Data(0, b"x" * 8)) is None
    assert say(reader, Data(1, b"end")) == Ack(1)
    assert verdict(reader) is Verdict.OK


def test_the_warnings_of_a_transfer_have_a_bound() -> None:
    """A server may think up as many strange packets as it likes."""
    reader = session()
    say(reader, OptionAck({"tsize": "3"}))
    for number in range(10, 100):
        reader.receive(bytes([0, number, 0, 0]), TRANSFER)
    say(reader, Data(1, b"end"))
    assert reader.finding is not None
    assert len(reader.finding.warnings) == MAX_WARNINGS
