"""Read one file from one server, as a probe or a target does.

The session has no socket and no clock. The caller passes it datagrams and calls it at timeouts.
It returns datagrams to send, and at the end a finding. A light probe loads the first block, a
full one the whole file. RFC 1350 and its options do not define these cases:

- A light probe accepts an OACK with ACK 0 and ends after the first block. The OACK alone would
  prove less, since the server has read nothing, and tftpd-hpa logs a warning for each.
- A block number before the expected one is an old duplicate: the session ignores it. A later one
  is a bad reply, since a server must not be ahead.
- With windowsize (RFC 7440) several blocks come for one ACK. Then a later block within the window
  means that a block was lost: the session repeats the last ACK.
- Block numbers of long files wrap to 0. If a server continues with 1, all firmware stalls.
- A deviation that firmware ignores (options without a request, stray packets from the server's
  port) is a warning. A deviation that only EDK2 refuses is a failure if EDK2 loads the file.
- A reply from another address does not end the transfer. The right one may still come, and a
  stray packet must not take a member out. It is the verdict if nothing else comes in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import BootFile, Profile
from rrdns.wire.tftp import findings
from rrdns.wire.tftp.boot_file import BootFileInspection, profile_of
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest
from rrdns.wire.tftp.firmware_options import (
    IPXE,
    UEFI,
    UEFI_SIZE,
    Options,
    lack_of_edk2,
    limits_of,
    probe_options,
    read_request,
    tolerates,
)
from rrdns.wire.tftp.packets import (
    BLOCK_NUMBERS,
    DEFAULT_BLKSIZE,
    SMALLEST_BLKSIZE,
    Ack,
    Address,
    Data,
    Error,
    ErrorCode,
    MalformedPacket,
    OptionAck,
    Packet,
    Send,
    clean_text,
    decode,
    encode,
    shown_text,
)

MAX_WARNINGS = 8  # different ones of one transfer
MAX_STRAY_PACKETS = 8  # that are answered; with more, rrdns could be used as a reflector

# Each member is probed each second: packets that are always the same are encoded once.
_FIRST_ACK = encode(Ack(0))
_DONE = encode(Error(ErrorCode.UNDEFINED, "probe done"))
_CANCELLED = encode(Error(ErrorCode.UNDEFINED, "probe cancelled"))
_SIZE_KNOWN = encode(Error(ErrorCode.OPTIONS_REFUSED, "only the size was wanted"))


def sessions(
    rrq: TransferRequest, file: BootFile, depth: ProbeDepth, blksize: int
) -> tuple[ReadSession, ...]:
    """Return the transfers of one probe of one file, in their order.

    A whole download has the same requests as the firmware that loads the file. A light probe
    makes only one transfer, since tftpd-hpa logs each ERROR 8 as a warning.
    """
    profile = profile_of(file)
    if depth is ProbeDepth.LIGHT or profile is Profile.BIOS:
        strict = profile is Profile.UEFI
        return (ReadSession(rrq, file, depth, probe_options(blksize), edk2=strict),)
    if profile is Profile.IPXE:
        return (ReadSession(rrq, file, depth, IPXE),)
    return (
        ReadSession(rrq, file, depth, UEFI_SIZE, size_only=True, edk2=True),
        ReadSession(rrq, file, depth, UEFI, edk2=True),
    )


class ReadSession:
    """One transfer, from the RRQ to its finding."""

    __slots__ = (
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
        "_requested",
        "_rrq",
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
        rrq: TransferRequest,
        file: BootFile,
        depth: ProbeDepth,
        options: Options,
        *,
        size_only: bool = False,  # end at an OACK, with the ERROR 8 that EDK2 sends there
        edk2: bool = False,  # a reply that EDK2 does not accept is a bad reply
    ) -> None:
        self.finding: TransferFinding | None = None  # None while the transfer runs
        self.progress = 0  # packets that advanced the transfer
        self._rrq = rrq
        self._depth = depth
        self._options = options
        self._size_only = size_only
        self._edk2 = edk2
        self._warnings: list[str] = []
        self._requested, self._most_blksize, self._most_window = limits_of(options)
        self._blksize = DEFAULT_BLKSIZE
        self._window = 1  # blocks for one ACK
        self._unacked = 0  # blocks since the last ACK
        self._gap = -1  # the lost block that was last requested again
        self._transfer: Address | None = None  # the server's TID: its address and new port
        self._due = 1  # the number of the next block
        self._inspection = BootFileInspection(rrq, file)
        self._stranger = ""  # another address that replied
        self._strays = 0
        self._elsewhere: Address | None = None  # another source of the next block

    def lighten(self) -> None:
        """End after the first block: a late reply only has to show that the server works."""
        self._depth = ProbeDepth.LIGHT

    @property
    def may_go_on(self) -> bool:
        """Return whether the server may only be late: no reply came from another source."""
        strange = self._elsewhere if self.progress else self._stranger
        return not strange and self.finding is None

    def follow(self, first: ReadSession) -> None:
        """Use the size that the server announced in the transfer before, as EDK2 does."""
        self._inspection.announce_size(first._inspection.announced or 0)

    def request(self) -> Send:
        """Return the RRQ."""
        datagram = read_request(self._rrq.file, self._options)
        return datagram, (self._rrq.address, self._rrq.port)

    def receive(self, datagram: bytes, source: Address) -> Send | None:
        """Process a datagram; return the datagram to send, if any."""
        if self.finding is not None:
            return None
        if not self._is_ours(source):
            return self._reject_stray(datagram, source)
        self._transfer = source
        try:
            packet = decode(datagram)
        except MalformedPacket as problem:
            if self.progress:
                self._ignore(str(problem))
                return None
            return self._protocol_error(str(problem))
        return self._take(packet)

    def resend_ack(self) -> Send | None:
        """Return the request or the last acknowledgement again, after a timeout.

        The request has the same source port, as firmware's does. Only a timeout repeats an ACK,
        never a received duplicate: RFC 1123, section 4.2.3.1.
        """
        if self.finding is not None:
            return None
        if not self.progress:
            return self.request()
        return self._acknowledge((self._due - 1) % BLOCK_NUMBERS)

    def timed_out(self, seconds: float) -> Send | None:
        """End the session: it made no progress for so many seconds."""
        return self._stop(self.silent_finding(seconds))

    def silent_finding(self, seconds: float) -> TransferFinding:
        """Return the finding if the session makes no progress for so many seconds."""
        if self._elsewhere:
            return findings.moved(self._rrq, self._inspection.size, self._elsewhere)
        if self.progress:
            return findings.fell_silent(self._rrq, self._inspection.size, seconds)
        if self._stranger:
            return findings.wrong_source(self._rrq, self._stranger)
        return findings.unanswered(self._rrq, seconds)

    def too_slow(self, seconds: float, *, paced: bool = False) -> Send | None:
        """End the session: it makes progress, but takes too long in total.

        If the blocks of a large file come fast enough (`paced`), that is not the server's fault.
        """
        if paced and self._inspection.is_bounded:
            warning = findings.not_whole(self._rrq, self._inspection.size, seconds)
            return self._stop(findings.served(self._rrq, self._inspection.announced, warning))
        return self._stop(findings.too_slow(self._rrq, self._inspection.size, seconds))

    def abort(self) -> Send | None:
        """Return the ERROR that stops the server, if the transfer is open."""
        if self.finding is not None or self._transfer is None:
            return None
        return self._to_server(_CANCELLED)

    def concerns(self, destination: Address) -> bool:
        """Return whether a packet to that destination belongs to the transfer."""
        return destination == (self._transfer or (self._rrq.address, self._rrq.port))

    def network_error(self, verdict: Verdict, reason: str) -> None:
        """End the session: the network or this host returned an error for one of its packets."""
        if self.finding is not None:
            return
        match verdict:
            case Verdict.REFUSED:
                self.finding = findings.refused(self._rrq, bool(self.progress))
            case Verdict.UNREACHABLE:
                self.finding = findings.unreachable(self._rrq, reason)
            case _:
                self.finding = findings.not_sent(self._rrq, reason)

    def _is_ours(self, source: Address) -> bool:
        if self._transfer is None:  # the first reply sets the port: RFC 1350, section 4
            return source[0] == self._rrq.address
        return source == self._transfer

    def _reject_stray(self, datagram: bytes, source: Address) -> Send | None:
        """Answer a packet of another transfer with ERROR 5: RFC 1350, section 4."""
        if source[0] != self._rrq.address:
            self._stranger = self._stranger or source[0]
        if self.progress and datagram[:4] == b"\0\3" + self._due.to_bytes(2, "big"):
            self._elsewhere = source
        self._strays += 1
        # An ERROR and unknown packets are never answered.
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
                self.finding = findings.server_error(self._rrq, packet, self._inspection.size)
                return None
            case _ if self.progress:
                self._ignore("it sent a packet that only a reader sends")
                return None
            case _:
                return self._protocol_error("it sent a packet that only a reader sends")

    def _ignore(self, problem: str) -> None:
        """Ignore a stray packet from the server's own port, as firmware does."""
        self._warn(f"sent a stray packet during the transfer ({problem}), against RFC 1350")

    def _warn(self, what: str) -> None:
        warning = f"{self._rrq.address} {what}; targets still load {self._rrq.file}"
        if warning not in self._warnings and len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(warning)

    def _end(self, finding: TransferFinding | None) -> None:
        """Set the finding, with the warnings."""
        if finding is not None and finding.verdict is Verdict.OK and self._warnings:
            finding = replace(finding, warnings=(*finding.warnings, *self._warnings))
        self.finding = finding

    def _take_options(self, packet: OptionAck) -> Send | None:
        if self.progress:
            return None  # a duplicate, or late: the transfer has begun
        options = packet.options
        problem = self._agree(options)
        if problem:
            return self._protocol_error(problem, ErrorCode.OPTIONS_REFUSED)
        lack = lack_of_edk2(self._requested, packet)
        if lack and self._edk2:
            return self._refuse(lack, ErrorCode.OPTIONS_REFUSED)
        self._inspection.lack_of_uefi = lack
        for oddity in packet.oddities:
            self._warn(f"sent an OACK that {oddity}, against RFC 2347")
        announced = options.get("tsize", "0") if "tsize" in self._requested else "0"
        finding = self._inspection.announce_size(int(announced))
        if finding is not None:
            return self._stop(finding)
        self.progress += 1
        if self._size_only:
            self._end(self._inspection.so_far())
            return self._to_server(_SIZE_KNOWN)
        return self._to_server(_FIRST_ACK)

    def _refuse(self, lack: str, code: ErrorCode) -> Send | None:
        self.finding = findings.firmware_fails(self._rrq, lack)
        return self._to_server(encode(Error(code, "no firmware boots from this")))

    def _agree(self, options: Mapping[str, str]) -> str:
        """Apply the server's options, or return the problem with them."""
        requested = self._requested
        for name, value in options.items():
            if name not in requested and (name != "blksize" or value == str(DEFAULT_BLKSIZE)):
                option = f"the option {clean_text(name)!r}"
                self._warn(f"accepts {option}, which was not requested, against RFC 2347")
                continue
            if not (value.isascii() and value.isdigit() and len(value) <= 18):
                if not tolerates(name, value, edk2=self._edk2):
                    return f"its {name} is {shown_text(value)!r}, which is not a number"
                self._warn(f"writes the value of {name} as {shown_text(value)!r}, against RFC 2347")
        blksize = int(options.get("blksize", self._blksize))
        if "blksize" in options and not SMALLEST_BLKSIZE <= blksize <= self._most_blksize:
            return f"it chose blocks of {blksize} bytes; {self._most_blksize} were requested"
        window = int(options.get("windowsize", 1)) if "windowsize" in requested else 1
        if not 1 <= window <= self._most_window:
            return f"it chose windows of {window} blocks; {self._most_window} were requested"
        self._blksize, self._window = blksize, window
        return ""

    def _take_data(self, block: int, payload: bytes) -> Send | None:
        if block != self._due:
            return self._out_of_turn(block)
        if not self.progress:
            lack = lack_of_edk2(self._requested, None)
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
        return self._protocol_error(f"it sent block {block}; block {self._due} was due{why}")

    def _go_back(self) -> Send | None:
        """Request the rest of the window again, once for each lost block."""
        if self._gap == self._due:
            return None
        self._gap = self._due
        return self._acknowledge((self._due - 1) % BLOCK_NUMBERS)

    def _protocol_error(
        self, problem: str, code: ErrorCode = ErrorCode.ILLEGAL_OPERATION
    ) -> Send | None:
        self.finding = findings.bad_reply(self._rrq, problem)
        return self._to_server(encode(Error(code, "against the protocol")))

    def _stop(self, finding: TransferFinding) -> Send | None:
        """End the session; return the ERROR that stops the server, if the transfer is open."""
        if self.finding is not None:
            return None
        self._end(finding)
        return self._to_server(_DONE)

    def _to_server(self, datagram: bytes) -> Send | None:
        return None if self._transfer is None else (datagram, self._transfer)
