"""Probe a member over TFTP: sockets and deadlines around `wire.tftp_read`.

Each file gets a socket of its own, so that every attempt leaves from a fresh port, and the
socket is never connected, since the server answers from another port than it was asked at.
The socket's reader and one timer drive the session; nothing polls.

How long it waits: `timeout` for each packet. After half of it the request, or the last ACK, goes
out once more from the same port, as firmware repeats it. In all a file may take
`max_transfer_seconds()` and `BLOCK_SECONDS` more for each block that came, and never more than
`MAX_TRANSFER_SECONDS`.

Silence fails a probe after `timeout`, before the first answer and in mid-transfer, so that it is
detected early. The transfer is left open for `LATE_SECONDS`, as firmware waits. If the next probe
meets silence too, it uses what came of that transfer, and the member is `slow` instead of out.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import BootFile, ProbeSpec
from rrdns.net.epoll_readers import readers_of
from rrdns.wire.tftp import findings
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest
from rrdns.wire.tftp.read_session import Address, ReadSession, Send, sessions

# ICMP errors reach an unconnected socket only when it asks for them (ip(7), IP_RECVERR).
_IP_RECVERR = 11  # the socket module does not name it
_EXTENDED_ERROR = struct.Struct("=I")  # of struct sock_extended_err only ee_errno matters
_ANCILLARY_BYTES = 128
_MAX_ERRORS = 16  # read in one go

_VERDICTS = {
    errno.ECONNREFUSED: Verdict.REFUSED,
    errno.EHOSTUNREACH: Verdict.UNREACHABLE,
    errno.ENETUNREACH: Verdict.UNREACHABLE,
    errno.EHOSTDOWN: Verdict.UNREACHABLE,
    errno.ENETDOWN: Verdict.UNREACHABLE,
    errno.ENOPROTOOPT: Verdict.UNREACHABLE,  # ICMP protocol unreachable
}
MAX_FULL_PROBES = 64  # full probes at a time, in this process
_MIN_TRANSFER_SECONDS = 10.0  # seconds that a whole file may take, however short the time-out
_TIMEOUTS_PER_FILE = 10.0
BLOCK_SECONDS = 0.1  # more for each packet that brought the transfer on
MAX_TRANSFER_SECONDS = 120.0  # that a whole file may take in all, however well it goes on
SLOW_SECONDS = 1.0  # a first answer, or a pause, that takes longer is slow
LATE_SECONDS = 5.0  # of silence, after which an answer is still heard
MAX_LATE_SOCKETS = 256  # transfers that are left open after their probe, in this process
MAX_DATAGRAM = 65535  # bytes: what comes is told in its true length
_TIMER_SLACK = 0.001  # seconds: asyncio may call a timer this much early


class _Full:
    """The full probes that run now."""

    running = 0


_full = _Full()


Key = tuple[str, int, str]  # address, port and file


@dataclass(frozen=True, slots=True)
class _LateAnswer:
    """What came of a transfer that was silent for longer than its probe waits."""

    finding: TransferFinding
    at: float  # on the loop's clock


class LateAnswers:
    """The transfers whose probe is over, and what became of them."""

    def __init__(self) -> None:
        self._open: set[_Download] = set()
        self._heard: dict[Key, _LateAnswer] = {}

    def close(self) -> None:
        """Listen no more."""
        for download in list(self._open):
            download.close()
        self._heard.clear()

    def adopt(self, download: _Download) -> bool:
        """Leave a transfer open, if there is room; of those that run, one for each file."""
        if len(self._open) >= MAX_LATE_SOCKETS:
            return False
        # A server that is always slow in mid-transfer must not get more and more to send.
        if download.has_begun and any(
            one.key == download.key and one.has_begun for one in self._open
        ):
            return False
        self._open.add(download)
        return True

    def release(self, download: _Download) -> None:
        """Forget one that has closed."""
        self._open.discard(download)

    def hear(self, key: Key, late: _LateAnswer) -> None:
        """Keep what a late answer says, for the next probe."""
        self._heard[key] = late

    def since(self, key: Key, moment: float) -> _LateAnswer | None:
        """Return what came late, unless it is older."""
        late = self._heard.pop(key, None)
        return late if late is not None and late.at >= moment else None


async def probe(
    address: str, spec: ProbeSpec, depth: ProbeDepth, late: LateAnswers | None = None
) -> ProbeResult:
    """Ask the member at an IPv4 address for all files in turn; the first failure decides.

    It ends within `MAX_TRANSFER_SECONDS` a transfer. While `MAX_FULL_PROBES` full probes run,
    others
    are light, as the result's depth tells: a burst of downloads must neither delay a verdict
    nor make a server look slow. Cancelling it ends the transfer cleanly.
    """
    if depth is ProbeDepth.LIGHT or _full.running >= MAX_FULL_PROBES:
        return await _probe(address, spec, ProbeDepth.LIGHT, late)
    _full.running += 1
    try:
        return await _probe(address, spec, depth, late)
    finally:
        _full.running -= 1


async def _probe(
    address: str, spec: ProbeSpec, depth: ProbeDepth, late: LateAnswers | None
) -> ProbeResult:
    clock = asyncio.get_running_loop().time
    started = clock()
    found: list[TransferFinding] = []
    for file in spec.files:
        found.append(await _load(address, spec, file, depth, late))
        if not found[-1].passed:
            break
    return _result(found, depth, clock() - started)


def max_transfer_seconds(spec: ProbeSpec) -> float:
    """Return how many seconds one file may take, with `BLOCK_SECONDS` more for each block."""
    return max(_MIN_TRANSFER_SECONDS, _TIMEOUTS_PER_FILE * spec.timeout)


def _result(found: Sequence[TransferFinding], depth: ProbeDepth, seconds: float) -> ProbeResult:
    last = found[-1]
    verdict = last.verdict
    if last.passed and len(found) > 1:
        sentence = "; ".join([one.sentence for one in found])
        verdict = next((one.verdict for one in found if one.verdict is not Verdict.OK), verdict)
    else:
        sentence = last.sentence
    warnings = tuple([warning for one in found for warning in one.warnings])
    if depth is ProbeDepth.LIGHT:
        return ProbeResult(verdict, sentence, depth, seconds, (), warnings)
    seen = tuple([one.seen for one in found if one.seen is not None])
    return ProbeResult(verdict, sentence, depth, seconds, seen, warnings)


async def _load(
    address: str, spec: ProbeSpec, file: BootFile, depth: ProbeDepth, late: LateAnswers | None
) -> TransferFinding:
    asked = TransferRequest(address, spec.port, file.name)
    if not _is_ipv4(address):  # the resolver, which may block, is kept out of this
        return findings.no_address(asked)
    found: list[TransferFinding] = []
    before: ReadSession | None = None
    for session in sessions(asked, file, depth, spec.blksize):
        if before is not None:
            session.follow(before)
        before = session
        try:
            opened = _open_socket()
        except OSError as error:
            return findings.not_sent(asked, _reason(error.errno))
        found.append(await _Download(opened, session, spec, asked, late).run())
        if not found[-1].passed:
            return found[-1]
    return findings.together(found)


class _Download:
    """One file of one member: a session, its socket, and its timer."""

    __slots__ = (
        "_asked",
        "_done",
        "_heard",
        "_late",
        "_lingers",
        "_longest",
        "_loop",
        "_progress",
        "_reminded",
        "_session",
        "_socket",
        "_spec",
        "_started",
        "_timer",
    )

    def __init__(
        self,
        opened: socket.socket,
        session: ReadSession,
        spec: ProbeSpec,
        asked: TransferRequest,
        late: LateAnswers | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = opened
        self._session = session
        self._spec = spec
        self._asked = asked
        self._late = late
        self._lingers = False  # the probe is over, and an answer may still come
        self._longest = 0.0, 0  # seconds of silence that ended, and after how many packets
        self._progress = 0
        self._reminded = False
        self._started = self._heard = self._loop.time()
        self._done: asyncio.Future[TransferFinding] = self._loop.create_future()

    async def run(self) -> TransferFinding:
        """Return what there was to find."""
        readers = readers_of(self._loop)
        readers.add(self._socket.fileno(), self._readable)
        self._timer = self._loop.call_at(self._started + self._spec.timeout / 2, self._tick)
        try:
            self._send(self._session.request())
            return self._judged(await self._done)
        finally:
            if not self._lingers:
                self.close()

    def close(self) -> None:
        """End the transfer if it is open, and the socket."""
        if self._socket.fileno() < 0:
            return
        self._send(self._session.abort())
        self._timer.cancel()
        readers_of(self._loop).remove(self._socket.fileno())
        self._socket.close()
        if self._late is not None:
            self._late.release(self)

    def _judged(self, finding: TransferFinding) -> TransferFinding:
        """Return a finding with what is to be said of a long silence."""
        long = self._longest[0] > SLOW_SECONDS
        return self._slowed(finding) if long and finding.verdict is Verdict.OK else finding

    def _slowed(self, finding: TransferFinding) -> TransferFinding:
        seconds, progress = self._longest
        if progress:
            return findings.paused(self._asked, finding, seconds)
        return findings.slow(self._asked, finding, seconds)

    def _fall_silent(self, late: LateAnswers) -> None:
        """End the probe in time, and wait on, as firmware does, for what is late."""
        spec, session = self._spec, self._session
        told = late.since(self.key, self._started - 2 * min(spec.fast_interval, spec.interval))
        finding = session.silent_finding(spec.timeout) if told is None else told.finding
        if not self._done.done():
            self._done.set_result(finding)
        if not late.adopt(self):
            self._send(session.timed_out(spec.timeout))
            return
        if not session.progress:
            session.lighten()
        self._lingers = True
        self._wait_on()

    def _wait_on(self) -> None:
        """Repeat the last ACK where the transfer runs; close what has been silent for long."""
        now, timeout = self._loop.time(), self._spec.timeout
        end = min(self._heard + LATE_SECONDS, self._started + self._most())
        if now + _TIMER_SLACK >= end:
            self.close()
            return
        due = end
        if self._session.progress:
            due = min(end, now + timeout)
            if now >= self._heard + timeout:
                self._send(self._session.resend_ack())
        self._timer = self._loop.call_at(due, self._wait_on)

    def _heard_late(self, late: LateAnswers, finding: TransferFinding) -> None:
        told = self._slowed(finding) if finding.verdict is Verdict.OK else finding
        late.hear(self.key, _LateAnswer(told, self._loop.time()))
        self._loop.call_soon(self.close)

    @property
    def has_begun(self) -> bool:
        """Tell whether the server has answered."""
        return self._session.progress > 0

    @property
    def key(self) -> Key:
        """Return what is loaded from whom."""
        return self._asked.address, self._asked.port, self._asked.file

    def _readable(self) -> None:
        """Take in one datagram; where more wait, the loop calls again."""
        try:
            datagram, source = self._socket.recvfrom(MAX_DATAGRAM)
        except OSError:
            # Either ICMP told something, or there was nothing to read after all.
            self._read_errors()
            self._settle()
            return
        send = self._session.receive(datagram, source)
        if self._session.progress != self._progress:
            now = self._loop.time()
            if now - self._heard > self._longest[0]:
                self._longest = now - self._heard, self._progress
            self._heard = now
            self._progress = self._session.progress
            self._reminded = False
        self._send(send)

    def _tick(self) -> None:
        """Act on what is due now, and come back when the next thing is."""
        now = self._loop.time() + _TIMER_SLACK
        timeout, most = self._spec.timeout, self._most()
        if now >= self._started + most:
            self._send(self._session.too_slow(most, paced=most >= MAX_TRANSFER_SECONDS))
        elif now >= self._heard + timeout:
            if self._late is not None and self._session.may_go_on:
                self._fall_silent(self._late)
                return
            self._send(self._session.timed_out(timeout))
        elif now >= self._heard + timeout / 2 and not self._reminded:
            self._reminded = True
            self._send(self._session.resend_ack())
        due = self._heard + (timeout if self._reminded else timeout / 2)
        if not self._done.done():
            self._timer = self._loop.call_at(min(due, self._started + most), self._tick)

    def _most(self) -> float:
        """Return how many seconds the transfer may take, as far as it has come."""
        least = max_transfer_seconds(self._spec)
        return min(least + BLOCK_SECONDS * self._progress, max(least, MAX_TRANSFER_SECONDS))

    def _send(self, send: Send | None) -> None:
        if send is not None:
            try:
                self._socket.sendto(*send)
            except BlockingIOError as error:
                # With a port of its own it is a full send buffer: lost, as on any network.
                if self._socket.getsockname()[1] == 0:  # no port was free (ip(7))
                    self._fail(error.errno, send[1])
            except OSError as error:
                self._send_again(send, error)
        self._settle()

    def _send_again(self, send: Send, error: OSError) -> None:
        """Find out whether this packet or an earlier one failed; the latter costs nothing."""
        if not self._read_errors():
            self._fail(error.errno, send[1])
        elif self._session.finding is None:
            try:
                self._socket.sendto(*send)
            except OSError as again:
                self._fail(again.errno, send[1])

    def _fail(self, number: int | None, destination: Address) -> None:
        if self._session.concerns(destination):
            verdict = _VERDICTS.get(number or 0, Verdict.LOCAL)
            self._session.network_error(verdict, _reason(number))

    def _read_errors(self) -> int:
        """Take in what ICMP told about packets that were sent; return how much that was."""
        count = 0
        for count, (number, destination) in enumerate(_icmp_errors(self._socket), 1):  # noqa: B007  # it is the result
            if number in _VERDICTS and self._session.concerns(destination):
                self._session.network_error(_VERDICTS[number], _reason(number))
        return count

    def _settle(self) -> None:
        finding = self._session.finding
        if finding is None:
            return
        if not self._done.done():
            self._done.set_result(finding)
        elif self._lingers and self._late is not None:
            self._lingers = False
            self._heard_late(self._late, finding)


def _is_ipv4(address: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError:
        return False
    return True


def _open_socket() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return opened


def _icmp_errors(opened: socket.socket) -> Iterator[tuple[int, Address]]:
    """Yield the error number and the destination of each packet that came back."""
    for _ in range(_MAX_ERRORS):
        try:
            _, ancillary, _, destination = opened.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
        except OSError:
            return
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR):
                yield _EXTENDED_ERROR.unpack_from(data)[0], destination


def _reason(number: int | None) -> str:
    if number == errno.EAGAIN:
        return "no source port is free"
    return os.strerror(number) if number else "unknown error"
