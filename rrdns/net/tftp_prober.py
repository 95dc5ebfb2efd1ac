"""Probe a member over TFTP: sockets and timers for `wire.tftp.read_session`.

Each file has a separate socket, so that every attempt has a new source port. The socket is never
connected, since the server replies from another port than the one of the request. The socket's
reader and one timer drive the session; nothing polls.

A probe waits `timeout` for each packet. After half of it, it repeats the request or the last ACK
from the same port, as firmware does. In total, a file may take `max_transfer_seconds()` plus
`BLOCK_SECONDS` for each received block, but at most `MAX_TRANSFER_SECONDS`.

If no packet arrives within `timeout`, the probe fails, before the first reply and during the
transfer. So failures are detected early. The transfer stays open for `LATE_SECONDS`, as firmware
waits. If the next probe also times out, it uses the result of that transfer, and the member is
`slow` instead of down.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import BootFile, ProbeSpec
from rrdns.net.epoll_readers import readers_of

# An unconnected socket gets ICMP errors only with this option (ip(7), IP_RECVERR).
from rrdns.net.tftp_socket import icmp_errors, is_ipv4, open_socket, reason_of
from rrdns.wire.tftp import findings
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest
from rrdns.wire.tftp.packets import Address, Send
from rrdns.wire.tftp.read_session import ReadSession, sessions

_VERDICTS = {
    errno.ECONNREFUSED: Verdict.REFUSED,
    errno.EHOSTUNREACH: Verdict.UNREACHABLE,
    errno.ENETUNREACH: Verdict.UNREACHABLE,
    errno.EHOSTDOWN: Verdict.UNREACHABLE,
    errno.ENETDOWN: Verdict.UNREACHABLE,
    errno.ENOPROTOOPT: Verdict.UNREACHABLE,  # ICMP protocol unreachable
}
MAX_FULL_PROBES = 64  # at the same time, in this process
_MIN_TRANSFER_SECONDS = 10.0  # that a whole file may always take, also with a short timeout
_TIMEOUTS_PER_FILE = 10.0
BLOCK_SECONDS = 0.1  # additional, for each packet that advanced the transfer
MAX_TRANSFER_SECONDS = 120.0  # of a whole file, also if the transfer makes progress
SLOW_SECONDS = 1.0  # a longer wait for the first reply, or a longer pause, is slow
LATE_SECONDS = 5.0  # without a packet, until a transfer is closed
MAX_LATE_SOCKETS = 256  # transfers that stay open after their probe, in this process
MAX_DATAGRAM = 65535  # bytes: the finding contains the true length of a block
_TIMER_SLACK = 0.001  # seconds: asyncio may call a timer this much early


class _Full:
    """The number of full probes that run now."""

    running = 0


_full = _Full()


Key = tuple[str, int, str]  # address, port and file


@dataclass(frozen=True, slots=True)
class _LateAnswer:
    """The result of a transfer that continued after the timeout of its probe."""

    finding: TransferFinding
    at: float  # on the loop's clock


class LateAnswers:
    """The transfers that are still open after their probe, and their results."""

    def __init__(self) -> None:
        self._open: set[_Download] = set()
        self._results: dict[Key, _LateAnswer] = {}

    def close(self) -> None:
        """Close all transfers."""
        for download in list(self._open):
            download.close()
        self._results.clear()

    def adopt(self, download: _Download) -> bool:
        """Keep a transfer open if the limit allows it: one for each file if it has begun."""
        if len(self._open) >= MAX_LATE_SOCKETS:
            return False
        # A server that always pauses during transfers must not get more and more of them.
        if download.has_begun and any(
            other.key == download.key and other.has_begun for other in self._open
        ):
            return False
        self._open.add(download)
        return True

    def release(self, download: _Download) -> None:
        """Remove a transfer that is closed."""
        self._open.discard(download)

    def store(self, key: Key, late: _LateAnswer) -> None:
        """Store the result of a late transfer for the next probe."""
        self._results[key] = late

    def since(self, key: Key, moment: float) -> _LateAnswer | None:
        """Return the late result of a file, or None if it is older than a time."""
        late = self._results.pop(key, None)
        return late if late is not None and late.at >= moment else None


async def probe(
    address: str, spec: ProbeSpec, depth: ProbeDepth, late: LateAnswers | None = None
) -> ProbeResult:
    """Load all files from the member at an IPv4 address; the first failure decides.

    Each transfer takes at most `MAX_TRANSFER_SECONDS`. While `MAX_FULL_PROBES` full probes run,
    further ones are light (see the result's depth). Many downloads at once must not delay a
    verdict or make a server seem slow. If it is cancelled, it stops the transfer with an ERROR.
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
    """Return the seconds that one file may take, without the `BLOCK_SECONDS` for each block."""
    return max(_MIN_TRANSFER_SECONDS, _TIMEOUTS_PER_FILE * spec.timeout)


def _result(found: Sequence[TransferFinding], depth: ProbeDepth, seconds: float) -> ProbeResult:
    last = found[-1]
    verdict = last.verdict
    if last.passed and len(found) > 1:
        sentence = "; ".join([finding.sentence for finding in found])
        verdict = next(
            (finding.verdict for finding in found if finding.verdict is not Verdict.OK), verdict
        )
    else:
        sentence = last.sentence
    warnings = tuple([warning for finding in found for warning in finding.warnings])
    if depth is ProbeDepth.LIGHT:
        return ProbeResult(verdict, sentence, depth, seconds, (), warnings)
    seen = tuple([finding.seen for finding in found if finding.seen is not None])
    return ProbeResult(verdict, sentence, depth, seconds, seen, warnings)


async def _load(
    address: str, spec: ProbeSpec, file: BootFile, depth: ProbeDepth, late: LateAnswers | None
) -> TransferFinding:
    request = TransferRequest(address, spec.port, file.name)
    if not is_ipv4(address):  # a name would be resolved, which may block
        return findings.no_address(request)
    found: list[TransferFinding] = []
    before: ReadSession | None = None
    for session in sessions(request, file, depth, spec.blksize):
        if before is not None:
            session.follow(before)
        before = session
        try:
            opened = open_socket()
        except OSError as error:
            return findings.not_sent(request, reason_of(error.errno))
        found.append(await _Download(opened, session, spec, request, late).run())
        if not found[-1].passed:
            return found[-1]
    return findings.together(found)


class _Download:
    """One file of one member: a session, its socket, and its timer."""

    __slots__ = (
        "_done",
        "_heard",
        "_is_repeated",
        "_late",
        "_lingers",
        "_longest",
        "_loop",
        "_progress",
        "_request",
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
        request: TransferRequest,
        late: LateAnswers | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = opened
        self._session = session
        self._spec = spec
        self._request = request
        self._late = late
        self._lingers = False  # the probe is over, but a late reply may still come
        self._longest = 0.0, 0  # the longest pause in seconds, and the packets before it
        self._progress = 0
        self._is_repeated = False
        self._started = self._heard = self._loop.time()
        self._done: asyncio.Future[TransferFinding] = self._loop.create_future()

    async def run(self) -> TransferFinding:
        """Run the transfer; return its finding."""
        readers = readers_of(self._loop)
        readers.add(self._socket.fileno(), self._readable)
        self._timer = self._loop.call_at(self._started + self._spec.timeout / 2, self._tick)
        try:
            self._send(self._session.request())
            return self._with_slowness(await self._done)
        finally:
            if not self._lingers:
                self.close()

    def close(self) -> None:
        """Stop the transfer if it is open, and close the socket."""
        if self._socket.fileno() < 0:
            return
        self._send(self._session.abort())
        self._timer.cancel()
        readers_of(self._loop).remove(self._socket.fileno())
        self._socket.close()
        if self._late is not None:
            self._late.release(self)

    def _with_slowness(self, finding: TransferFinding) -> TransferFinding:
        """Return a finding as slow if there was a long pause."""
        long = self._longest[0] > SLOW_SECONDS
        return self._slowed(finding) if long and finding.verdict is Verdict.OK else finding

    def _slowed(self, finding: TransferFinding) -> TransferFinding:
        seconds, progress = self._longest
        if progress:
            return findings.paused(self._request, finding, seconds)
        return findings.slow(self._request, finding, seconds)

    def _time_out(self, late: LateAnswers) -> None:
        """End the probe at its timeout, but keep the transfer open for a late reply."""
        spec, session = self._spec, self._session
        earlier = late.since(self.key, self._started - 2 * min(spec.fast_interval, spec.interval))
        finding = session.silent_finding(spec.timeout) if earlier is None else earlier.finding
        if not self._done.done():
            self._done.set_result(finding)
        if not late.adopt(self):
            self._send(session.timed_out(spec.timeout))
            return
        if not session.progress:
            session.lighten()
        self._lingers = True
        self._wait_late()

    def _wait_late(self) -> None:
        """Repeat the last ACK if the transfer has begun; close it after a long silence."""
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
        self._timer = self._loop.call_at(due, self._wait_late)

    def _store_late(self, late: LateAnswers, finding: TransferFinding) -> None:
        result = self._slowed(finding) if finding.verdict is Verdict.OK else finding
        late.store(self.key, _LateAnswer(result, self._loop.time()))
        self._loop.call_soon(self.close)

    @property
    def has_begun(self) -> bool:
        """Return whether the server has replied."""
        return self._session.progress > 0

    @property
    def key(self) -> Key:
        """Return the address, port and file of the transfer."""
        return self._request.address, self._request.port, self._request.file

    def _readable(self) -> None:
        """Process one datagram; if there are more, the loop calls again."""
        try:
            datagram, source = self._socket.recvfrom(MAX_DATAGRAM)
        except OSError:
            # There is an ICMP error, or nothing to read.
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
            self._is_repeated = False
        self._send(send)

    def _tick(self) -> None:
        """Handle the timeouts that are due, and set the timer for the next one."""
        now = self._loop.time() + _TIMER_SLACK
        timeout, most = self._spec.timeout, self._most()
        if now >= self._started + most:
            self._send(self._session.too_slow(most, paced=most >= MAX_TRANSFER_SECONDS))
        elif now >= self._heard + timeout:
            if self._late is not None and self._session.may_go_on:
                self._time_out(self._late)
                return
            self._send(self._session.timed_out(timeout))
        elif now >= self._heard + timeout / 2 and not self._is_repeated:
            self._is_repeated = True
            self._send(self._session.resend_ack())
        due = self._heard + (timeout if self._is_repeated else timeout / 2)
        if not self._done.done():
            self._timer = self._loop.call_at(min(due, self._started + most), self._tick)

    def _most(self) -> float:
        """Return the seconds that the transfer may take, from its progress so far."""
        least = max_transfer_seconds(self._spec)
        return min(least + BLOCK_SECONDS * self._progress, max(least, MAX_TRANSFER_SECONDS))

    def _send(self, send: Send | None) -> None:
        if send is not None:
            try:
                self._socket.sendto(*send)
            except BlockingIOError as error:
                # If the socket has a port, its buffer is full, and the packet is lost.
                if self._socket.getsockname()[1] == 0:  # no port was free (ip(7))
                    self._fail(error.errno, send[1])
            except OSError as error:
                self._send_again(send, error)
        self._settle()

    def _send_again(self, send: Send, error: OSError) -> None:
        """Send a packet again if the error was of an earlier one; otherwise fail."""
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
            self._session.network_error(verdict, reason_of(number))

    def _read_errors(self) -> int:
        """Process the ICMP errors about sent packets; return their number."""
        count = 0
        for count, (number, destination) in enumerate(icmp_errors(self._socket), 1):  # noqa: B007  # it is the result
            if number in _VERDICTS and self._session.concerns(destination):
                self._session.network_error(_VERDICTS[number], reason_of(number))
        return count

    def _settle(self) -> None:
        finding = self._session.finding
        if finding is None:
            return
        if not self._done.done():
            self._done.set_result(finding)
        elif self._lingers and self._late is not None:
            self._lingers = False
            self._store_late(self._late, finding)
