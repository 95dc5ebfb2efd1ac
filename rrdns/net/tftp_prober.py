"""Probe a member over TFTP: sockets and deadlines around `wire.tftp_read`.

Each file gets a socket of its own, so that every attempt leaves from a fresh port, and the
socket is never connected, since the server answers from another port than it was asked at.
The socket's reader and one timer drive the session; nothing polls.

How long it waits: `timeout` for each packet. After half of it the request, or the last ACK, goes
out once more from the same port, as firmware repeats it. In all a file may take `patience()` and
`BLOCK_SECONDS` more for each block that came, and never more than `MAX_TRANSFER_SECONDS`.
A request without an answer is a failed probe after `timeout`, so that silence is detected as soon
as ever. But its socket listens on for `LATE_SECONDS`: an answer that comes then is what the next
probe falls back on when it gets none in time, and the member is `slow` instead of out.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import BootFile, ProbeSpec
from rrdns.net.epoll_readers import readers_of
from rrdns.wire.tftp import findings
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest
from rrdns.wire.tftp.read_session import Address, ReadSession, Send, sessions

# ICMP errors reach an unconnected socket only when it asks for them (ip(7), IP_RECVERR).
# Elsewhere than on Linux a closed port shows as silence.
_TELLS_ICMP = sys.platform == "linux"
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
SLOW_SECONDS = 1.0  # a first answer that takes longer is slow
LATE_SECONDS = 5.0  # that a request may be old when its answer is still heard
MAX_LATE_SOCKETS = 256  # requests without an answer that are listened to, in this process
MAX_DATAGRAM = 65535  # bytes: what comes is told in its true length
_TIMER_SLACK = 0.001  # seconds: asyncio may call a timer this much early


class _Full:
    """The full probes that run now."""

    running = 0


_full = _Full()


Key = tuple[str, int, str]  # address, port and file


@dataclass(frozen=True, slots=True)
class _LateAnswer:
    """What came of a request whose answer was late."""

    finding: TransferFinding
    seconds: float  # from the request to the end
    at: float  # on the loop's clock


class LateAnswers:
    """The requests whose probe is over, and what became of them."""

    def __init__(self) -> None:
        self._open: set[_Download] = set()
        self._heard: dict[Key, _LateAnswer] = {}

    def close(self) -> None:
        """Listen no more."""
        for download in list(self._open):
            download.close()
        self._heard.clear()

    @property
    def has_room(self) -> bool:
        """Tell whether one more may be listened to."""
        return len(self._open) < MAX_LATE_SOCKETS

    def adopt(self, download: _Download) -> None:
        """Listen on."""
        self._open.add(download)

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
        "_answered",
        "_asked",
        "_done",
        "_heard",
        "_late",
        "_lingers",
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
        self._answered = 0.0  # seconds until the first answer
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
        if finding.verdict is Verdict.OK and self._answered > SLOW_SECONDS:
            return findings.slow(self._asked, finding, self._answered)
        return finding

    def _unanswered(self, late: LateAnswers) -> None:
        """End the probe in time, and listen on for an answer that is late."""
        asked, spec = self._asked, self._spec
        told = late.since(self._key, self._started - 2 * min(spec.fast_interval, spec.interval))
        finding = findings.unanswered(asked, spec.timeout)
        if told is not None:
            finding = told.finding
            if finding.verdict is Verdict.OK:
                finding = findings.slow(asked, finding, told.seconds)
        self._session.lighten()
        self._lingers = True
        late.adopt(self)
        if not self._done.done():
            self._done.set_result(finding)
        self._timer = self._loop.call_at(self._started + LATE_SECONDS, self.close)

    def _heard_late(self, late: LateAnswers, finding: TransferFinding) -> None:
        now = self._loop.time()
        late.hear(self._key, _LateAnswer(finding, now - self._started, now))
        self._loop.call_soon(self.close)

    @property
    def _key(self) -> Key:
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
        self._send(self._session.receive(datagram, source))
        if self._session.progress != self._progress:
            self._heard = self._loop.time()
            if not self._progress:
                self._answered = self._heard - self._started
            self._progress = self._session.progress
            self._reminded = False

    def _tick(self) -> None:
        """Act on what is due now, and come back when the next thing is."""
        now = self._loop.time() + _TIMER_SLACK
        timeout, most = self._spec.timeout, self._most()
        if now >= self._started + most:
            self._send(self._session.too_slow(most, paced=most >= MAX_TRANSFER_SECONDS))
        elif now >= self._heard + timeout:
            late = self._late
            if late is not None and late.has_room and self._session.is_unanswered:
                self._unanswered(late)
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
    if _TELLS_ICMP:
        opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return opened


def _icmp_errors(opened: socket.socket) -> Iterator[tuple[int, Address]]:
    """Yield the error number and the destination of each packet that came back."""
    if not _TELLS_ICMP:
        return
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
