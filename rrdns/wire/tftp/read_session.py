"""Read one file from one server, as a probe or a target does: what to send, what was found.

The session has no socket and no clock. Its driver feeds it datagrams and tells it when
time has passed; it returns what to send to whom, and in the end a finding. A light probe
loads the first block, a full one the whole file. What RFC 1350 and its options leave open:

- A light probe accepts an OACK with ACK 0 and ends after the first block. To end on the OACK
  would prove less (nothing was read yet), and tftpd-hpa logs a warning for each.
- A block number behind the expected one is an old duplicate, and ignored. A server cannot
  rightly be ahead, so that is a bad reply.
- Several blocks may come for one ACK where that was asked for (windowsize, RFC 7440): a block that
  is ahead within the window then means that one was lost, and gets the last ACK once more.
- Block numbers of long files wrap to 0. At servers that go on with 1 all firmware stalls.
- An odd thing that firmware passes over (options nobody asked for, stray packets from the server's
  own port) is a warning. What EDK2 alone refuses is a failure where EDK2 asks for the file.
- A reply from another address ends nothing: the right one may still come, and a stray
  packet must not take a member out. It becomes the verdict when nothing else came in time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import BootFile, Profile
from rrdns.wire.tftp import findings
from rrdns.wire.tftp.boot_file import BootFileInspection, profile_of
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest
from rrdns.wire.tftp.packets import (
    BLOCK_NUMBERS,
    DEFAULT_BLKSIZE,
    SMALLEST_BLKSIZE,
    Ack,
    Data,
    Error,
    ErrorCode,
    MalformedPacket,
    OptionAck,
    Packet,
    ReadRequest,
    clean_text,
    decode,
    encode,
    shown_text,
)

MAX_WARNINGS = 8  # of one transfer, each another one
MAX_STRAY_PACKETS = 8  # packets from elsewhere that are answered; more would make us a reflector

Address = tuple[str, int]
Send = tuple[bytes, Address]
Options = tuple[tuple[str, str], ...]  # names and values, in the order of the RRQ

# A light probe of each member each second: what is always the same is made once.
_FIRST_ACK = encode(Ack(0))
_DONE = encode(Error(ErrorCode.UNDEFINED, "probe done"))
_CANCELLED = encode(Error(ErrorCode.UNDEFINED, "probe cancelled"))
_SPACED = re.compile(r"( *)[0-9]{1,18}( *)")
_SIZE_KNOWN = encode(Error(ErrorCode.OPTIONS_REFUSED, "only the size was wanted"))


@lru_cache(maxsize=1024)
def _request(file: str, options: Options) -> bytes:
    return encode(ReadRequest(file, options=dict(options)))


@lru_cache(maxsize=64)
def _limits(options: Options) -> tuple[Mapping[str, str], int, int]:
    """Return the options by name, the largest block and the largest window that they ask for."""
    asked_for = dict(options)
    blksize = int(asked_for.get("blksize", DEFAULT_BLKSIZE))
    return MappingProxyType(asked_for), blksize, int(asked_for.get("windowsize", 1))


@lru_cache(maxsize=16)
def probe_options(blksize: int) -> Options:
    """Return the options that a probe asks for."""
    return ("tsize", "0"), ("blksize", str(blksize))


# As EDK2 asks (measured): first for the size, which it refuses with ERROR 8, then for the file.
_UEFI_SIZE: Options = ("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")
_UEFI: Options = ("blksize", "1468"), ("windowsize", "4")
_IPXE: Options = ("blksize", "1432"), ("tsize", "0")


def sessions(
    asked: TransferRequest, file: BootFile, depth: ProbeDepth, blksize: int
) -> tuple[ReadSession, ...]:
    """Return the transfers of one probe of one file, to be made one after the other.

    A whole download plays the very requests of the firmware that asks for the file. A light
    probe makes one transfer for all of them: tftpd-hpa logs each ERROR 8 as a warning.
    """
    profile = profile_of(file)
    if depth is ProbeDepth.LIGHT or profile is Profile.BIOS:
        strict = profile is Profile.UEFI
        return (ReadSession(asked, file, depth, probe_options(blksize), edk2=strict),)
    if profile is Profile.IPXE:
        return (ReadSession(asked, file, depth, _IPXE),)
    return (
        ReadSession(asked, file, depth, _UEFI_SIZE, size_only=True, edk2=True),
        ReadSession(asked, file, depth, _UEFI, edk2=True),
    )


class ReadSession:
    """One transfer, from the RRQ to its finding."""

    __slots__ = (
        "_asked",
        "_asked_for",
        "_blksize",
        "_depth",
        "_due",
        "_edk2",
        "_elsewhere",
        "_gap",
        "_inspection",
        "_most_blksize",
        "_most_window",
        "_options",
        "_size_only",
        "_stranger",
        "_strays",
        "_transfer",
        "_unacked",
        "_warnings",
        "_window",
        "finding",
        "progress",
    )

    def __init__(
        self,
        asked: TransferRequest,
        file: BootFile,
        depth: ProbeDepth,
        options: Options,
        *,
        size_only: bool = False,  # end at an OACK, with the ERROR 8 that EDK2 sends there
        edk2: bool = False,  # what EDK2 does not load is a bad reply
    ) -> None:
        self.finding: TransferFinding | None = None  # the end, once it is there
        self.progress = 0  # packets that brought the transfer on
        self._asked = asked
        self._depth = depth
        self._options = options
        self._size_only = size_only
        self._edk2 = edk2
        self._warnings: list[str] = []
        self._asked_for, self._most_blksize, self._most_window = _limits(options)
        self._blksize = DEFAULT_BLKSIZE
        self._window = 1  # blocks for one ACK
        self._unacked = 0  # blocks since the last ACK
        self._gap = -1  # the lost block that was told of last
        self._transfer: Address | None = None  # the server's TID: its address and new port
        self._due = 1  # the block that comes next
        self._inspection = BootFileInspection(asked, file)
        self._stranger = ""  # another address that replied
        self._strays = 0
        self._elsewhere: Address | None = None  # where the block that was due came from

    def lighten(self) -> None:
        """End after the first block: the answer comes late, and is to tell of life alone."""
        self._depth = ProbeDepth.LIGHT

    @property
    def may_go_on(self) -> bool:
        """Tell whether the server may only be late: nothing that was due came from elsewhere."""
        strange = self._elsewhere if self.progress else self._stranger
        return not strange and self.finding is None

    def follow(self, first: ReadSession) -> None:
        """Take over the size that the transfer before told, as EDK2 does."""
        self._inspection.announce_size(first._inspection.announced or 0)

    def request(self) -> Send:
        """Return the RRQ."""
        datagram = _request(self._asked.file, self._options)
        return datagram, (self._asked.address, self._asked.port)

    def receive(self, datagram: bytes, source: Address) -> Send | None:
        """Take a datagram in, and return what to send for it."""
        if self.finding is not None:
            return None
        if not self._is_ours(source):
            return self._reject_stray(datagram, source)
        self._transfer = source
        try:
            packet = decode(datagram)
        except MalformedPacket as problem:
            if self.progress:
                self._pass_over(str(problem))
                return None
            return self._protocol_error(str(problem))
        return self._take(packet)

    def resend_ack(self) -> Send | None:
        """Return the request or the last acknowledgement once more: nothing has come for a while.

        The request goes from the same port, as firmware repeats it.
        Only our own time-out repeats an ACK, never a duplicate that comes in: RFC 1123,
        section 4.2.3.1.
        """
        if self.finding is not None:
            return None
        if not self.progress:
            return self.request()
        return self._acknowledge((self._due - 1) % BLOCK_NUMBERS)

    def timed_out(self, seconds: float) -> Send | None:
        """End the session: for so long nothing has brought it on."""
        return self._stop(self.silent_finding(seconds))

    def silent_finding(self, seconds: float) -> TransferFinding:
        """Return what so many seconds mean in which nothing has brought the session on."""
        if self._elsewhere:
            return findings.moved(self._asked, self._inspection.size, self._elsewhere)
        if self.progress:
            return findings.fell_silent(self._asked, self._inspection.size, seconds)
        if self._stranger:
            return findings.wrong_source(self._asked, self._stranger)
        return findings.unanswered(self._asked, seconds)

    def too_slow(self, seconds: float, *, paced: bool = False) -> Send | None:
        """End the session: it goes on, and takes too long in all.

        A large file whose blocks come quickly enough (`paced`) is no fault of the server.
        """
        if paced and self._inspection.is_bounded:
            warning = findings.not_whole(self._asked, self._inspection.size, seconds)
            return self._stop(findings.served(self._asked, self._inspection.announced, warning))
        return self._stop(findings.too_slow(self._asked, self._inspection.size, seconds))

    def abort(self) -> Send | None:
        """Return what tells the server that nobody reads on, if it is still sending."""
        if self.finding is not None or self._transfer is None:
            return None
        return self._to_server(_CANCELLED)

    def concerns(self, destination: Address) -> bool:
        """Tell whether a packet to that destination belongs to the transfer itself."""
        return destination == (self._transfer or (self._asked.address, self._asked.port))

    def network_error(self, verdict: Verdict, reason: str) -> None:
        """End the session: the network, or this host, gave back a packet of the transfer."""
        if self.finding is not None:
            return
        match verdict:
            case Verdict.REFUSED:
                self.finding = findings.refused(self._asked, bool(self.progress))
            case Verdict.UNREACHABLE:
                self.finding = findings.unreachable(self._asked, reason)
            case _:
                self.finding = findings.not_sent(self._asked, reason)

    def _is_ours(self, source: Address) -> bool:
        if self._transfer is None:  # the first reply tells the port: RFC 1350, section 4
            return source[0] == self._asked.address
        return source == self._transfer

    def _reject_stray(self, datagram: bytes, source: Address) -> Send | None:
        """Answer what is not of this transfer with ERROR 5: RFC 1350, section 4."""
        if source[0] != self._asked.address:
            self._stranger = self._stranger or source[0]
        if self.progress and datagram[:4] == b"\0\3" + self._due.to_bytes(2, "big"):
            self._elsewhere = source
        self._strays += 1
        # An ERROR is never answered, and neither is noise.
        if self._strays > MAX_STRAY_PACKETS or datagram[:2] not in (b"\0\3", b"\0\6"):
            return None
        return encode(Error(ErrorCode.UNKNOWN_TRANSFER, "unknown transfer ID")), source

    def _take(self, packet: Packet) -> Send | None:
        match packet:
            case Data():
                return self._take_data(packet.block, packet.payload)
            case OptionAck():
                return self._take_options(packet)
            case Error():
                self.finding = findings.server_error(self._asked, packet, self._inspection.size)
                return None
            case _ if self.progress:
                self._pass_over("it sent what only a reader sends")
                return None
            case _:
                return self._protocol_error("it sent what only a reader sends")

    def _pass_over(self, problem: str) -> None:
        """Ignore a stray packet from the server's own port, as firmware does."""
        self._warn(f"sent a stray packet within the transfer ({problem}), against RFC 1350")

    def _warn(self, what: str) -> None:
        warning = f"{self._asked.address} {what}; targets load {self._asked.file} all the same"
        if warning not in self._warnings and len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(warning)

    def _end(self, finding: TransferFinding | None) -> None:
        """Set what was found, and what else was odd."""
        if finding is not None and finding.verdict is Verdict.OK and self._warnings:
            finding = replace(finding, warnings=(*finding.warnings, *self._warnings))
        self.finding = finding

    def _take_options(self, packet: OptionAck) -> Send | None:
        if self.progress:
            return None  # a duplicate, or late: the transfer runs already
        options = packet.options
        problem = self._agree(options)
        if problem:
            return self._protocol_error(problem, ErrorCode.OPTIONS_REFUSED)
        lack = self._lack_of_edk2(packet)
        if lack and self._edk2:
            return self._refuse(lack, ErrorCode.OPTIONS_REFUSED)
        self._inspection.lack_of_uefi = lack
        for oddity in packet.oddities:
            self._warn(f"sent an OACK that {oddity}, which RFC 2347 does not know")
        announced = options.get("tsize", "0") if "tsize" in self._asked_for else "0"
        finding = self._inspection.announce_size(int(announced))
        if finding is not None:
            return self._stop(finding)
        self.progress += 1
        if self._size_only:
            self._end(self._inspection.so_far())
            return self._to_server(_SIZE_KNOWN)
        return self._to_server(_FIRST_ACK)

    def _lack_of_edk2(self, packet: OptionAck | None) -> str:
        """Return why EDK2 would not load with this OACK, or with none; "" if it would.

        It must learn the size from its first request; the second one needs no OACK (measured).
        """
        if "tsize" not in self._asked_for:
            told = packet is not None and "tsize" in packet.options
            return "its OACK has tsize where nobody asked for it (RFC 2347)" if told else ""
        if packet is None:
            return "it answers without an OACK (RFC 2347), as if no options had been asked for"
        if "tsize" not in packet.options:
            return "its OACK has no tsize (RFC 2349)"
        if "tsize" not in packet.spelled:
            return "its OACK does not write tsize in lower case, as EDK2 compares it"
        return "" if int(packet.options["tsize"]) else "its OACK says tsize 0 (RFC 2349)"

    def _refuse(self, lack: str, code: ErrorCode) -> Send | None:
        self.finding = findings.firmware_fails(self._asked, lack)
        return self._to_server(encode(Error(code, "no firmware boots from this")))

    def _agree(self, options: Mapping[str, str]) -> str:
        """Take over the server's options, or return what is wrong with them."""
        asked_for = self._asked_for
        for name, value in options.items():
            if name not in asked_for and (name != "blksize" or value == str(DEFAULT_BLKSIZE)):
                option = f"the option {clean_text(name)!r}"
                self._warn(f"accepts {option}, which was not asked for, against RFC 2347")
                continue
            if not (value.isascii() and value.isdigit() and len(value) <= 18):
                if not self._tolerates(name, value):
                    return f"its {name} is {shown_text(value)!r}, which is no number"
                self._warn(f"writes the value of {name} as {shown_text(value)!r}, against RFC 2347")
        blksize = int(options.get("blksize", self._blksize))
        if "blksize" in options and not SMALLEST_BLKSIZE <= blksize <= self._most_blksize:
            return f"it chose blocks of {blksize} bytes where {self._most_blksize} were asked for"
        window = int(options.get("windowsize", 1)) if "windowsize" in asked_for else 1
        if not 1 <= window <= self._most_window:
            return f"it chose windows of {window} where {self._most_window} were asked for"
        self._blksize, self._window = blksize, window
        return ""

    def _tolerates(self, name: str, value: str) -> bool:
        """Tell whether the firmware takes a number with spaces around it (measured).

        iPXE takes spaces before it; EDK2 takes them behind it, and before that of tsize alone.
        """
        number = _SPACED.fullmatch(value)
        if number is None:
            return False
        before, behind = bool(number[1]), bool(number[2])
        if self._edk2:
            return name == "tsize" or not before
        return not behind

    def _take_data(self, block: int, payload: bytes) -> Send | None:
        if block != self._due:
            return self._out_of_turn(block)
        if not self.progress:
            lack = self._lack_of_edk2(None)
            if lack and self._edk2:
                return self._refuse(lack, ErrorCode.UNDEFINED)
            self._inspection.lack_of_uefi = lack
        if len(payload) > self._blksize:
            return self._protocol_error(
                f"it sent {len(payload)} bytes in a block of {self._blksize}"
            )
        self.progress += 1
        self._due = (block + 1) % BLOCK_NUMBERS
        last = len(payload) < self._blksize
        finding = self._inspect(payload, last)
        if finding is not None and not last:
            return self._stop(finding)
        self._end(finding)
        self._unacked += 1
        return self._acknowledge(block) if last or self._unacked >= self._window else None

    def _acknowledge(self, block: int) -> Send | None:
        self._unacked = 0
        return self._to_server(encode(Ack(block)))

    def _inspect(self, payload: bytes, last: bool) -> TransferFinding | None:
        if self._depth is ProbeDepth.LIGHT and not last:
            return self._inspection.so_far()
        finding = self._inspection.add(payload, last)
        if finding is None and self._inspection.is_large:
            return self._inspection.so_far()
        return finding

    def _out_of_turn(self, block: int) -> Send | None:
        ahead = (block - self._due) % BLOCK_NUMBERS
        if self._inspection.size and ahead >= BLOCK_NUMBERS // 2:
            return None  # an old duplicate
        if ahead < self._window:
            return self._go_back()
        rolls = self._due == 0 and self._inspection.size
        why = " (block numbers roll over to 0: all firmware stalls here)" if rolls else ""
        return self._protocol_error(f"it sent block {block} where block {self._due} was due{why}")

    def _go_back(self) -> Send | None:
        """Ask for the rest of the window again, once for each block that was lost."""
        if self._gap == self._due:
            return None
        self._gap = self._due
        return self._acknowledge((self._due - 1) % BLOCK_NUMBERS)

    def _protocol_error(
        self, problem: str, code: ErrorCode = ErrorCode.ILLEGAL_OPERATION
    ) -> Send | None:
        self.finding = findings.bad_reply(self._asked, problem)
        return self._to_server(encode(Error(code, "against the protocol")))

    def _stop(self, finding: TransferFinding) -> Send | None:
        """End here, and tell the server if it is still sending."""
        if self.finding is not None:
            return None
        self._end(finding)
        return self._to_server(_DONE)

    def _to_server(self, datagram: bytes) -> Send | None:
        return None if self._transfer is None else (datagram, self._transfer)
