"""Probe a member over TFTP: sockets and deadlines around `wire.tftp_read`.

Each file gets a socket of its own, so that every attempt leaves from a fresh port, and the
socket is never connected, since the server answers from another port than it was asked at.
The socket's reader and one timer drive the session; nothing polls.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence

from rrdns.core.model import BootFile, ProbeSpec
from rrdns.core.probe import Depth, ProbeResult, Verdict
from rrdns.net.readiness import readers_of
from rrdns.wire import findings
from rrdns.wire.findings import Asked, Finding
from rrdns.wire.tftp import DEFAULT_BLKSIZE, HEADER_BYTES
from rrdns.wire.tftp_read import Address, ReadSession, Send, probe_options

# ICMP errors reach an unconnected socket only when it asks for them (ip(7), IP_RECVERR).
# Elsewhere than on Linux a closed port shows as silence.
_TELLS_ICMP = sys.platform == "linux"
_IP_RECVERR = 11  # the socket module does not name it
_EXTENDED_ERROR = struct.Struct("=I")  # of struct sock_extended_err only ee_errno matters
_ANCILLARY_BYTES = 128
_MOST_ERRORS = 16  # read in one go

_VERDICTS = {
    errno.ECONNREFUSED: Verdict.REFUSED,
    errno.EHOSTUNREACH: Verdict.UNREACHABLE,
    errno.ENETUNREACH: Verdict.UNREACHABLE,
    errno.EHOSTDOWN: Verdict.UNREACHABLE,
    errno.ENETDOWN: Verdict.UNREACHABLE,
    errno.ENOPROTOOPT: Verdict.UNREACHABLE,  # ICMP protocol unreachable
}
MOST_FULL = 64  # full probes at a time, in this process
_SHORTEST_PATIENCE = 10.0  # seconds that a whole file may take, however short the time-out
_TIMEOUTS_PER_FILE = 10.0
_TIMER_SLACK = 0.001  # seconds: asyncio may call a timer this much early


class _Full:
    """The full probes that run now."""

    running = 0


_full = _Full()


async def probe(address: str, spec: ProbeSpec, depth: Depth) -> ProbeResult:
    """Ask the member at an IPv4 address for all files in turn; the first failure decides.

    It ends within `patience(spec)` seconds a file. While `MOST_FULL` full probes run, others
    are light, as the result's depth tells: a burst of downloads must neither delay a verdict
    nor make a server look slow. Cancelling it ends the transfer cleanly.
    """
    if depth is Depth.LIGHT or _full.running >= MOST_FULL:
        return await _probe(address, spec, Depth.LIGHT)
    _full.running += 1
    try:
        return await _probe(address, spec, depth)
    finally:
        _full.running -= 1


async def _probe(address: str, spec: ProbeSpec, depth: Depth) -> ProbeResult:
    clock = asyncio.get_running_loop().time
    started = clock()
    found: list[Finding] = []
    for file in spec.files:
        found.append(await _load(address, spec, file, depth))
        if found[-1].verdict is not Verdict.OK:
            break
    return _result(found, depth, clock() - started)


def patience(spec: ProbeSpec) -> float:
    """Return how many seconds one file may take in all, however busily the server sends."""
    return max(_SHORTEST_PATIENCE, _TIMEOUTS_PER_FILE * spec.timeout)


def _result(found: Sequence[Finding], depth: Depth, seconds: float) -> ProbeResult:
    last = found[-1]
    if last.verdict is Verdict.OK and len(found) > 1:
        sentence = "; ".join([one.sentence for one in found])
    else:
        sentence = last.sentence
    warnings = tuple([warning for one in found for warning in one.warnings])
    if depth is Depth.LIGHT:
        return ProbeResult(last.verdict, sentence, depth, seconds, (), warnings)
    seen = tuple([one.seen for one in found if one.seen is not None])
    return ProbeResult(last.verdict, sentence, depth, seconds, seen, warnings)


async def _load(address: str, spec: ProbeSpec, file: BootFile, depth: Depth) -> Finding:
    asked = Asked(address, spec.port, file.name)
    if not _is_ipv4(address):  # the resolver, which may block, is kept out of this
        return findings.no_address(asked)
    try:
        opened = _open_socket()
    except OSError as error:
        return findings.not_sent(asked, _reason(error.errno))
    with opened:
        session = ReadSession(asked, file, depth, probe_options(spec.blksize))
        return await _Download(opened, session, spec).run()


class _Download:
    """One file of one member: a session, its socket, and its timer."""

    __slots__ = (
        "_done",
        "_heard",
        "_loop",
        "_most_bytes",
        "_progress",
        "_reminded",
        "_session",
        "_socket",
        "_spec",
        "_started",
        "_timer",
    )

    def __init__(self, opened: socket.socket, session: ReadSession, spec: ProbeSpec) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = opened
        self._session = session
        self._spec = spec
        # One byte more than a block may have shows that a server exceeds it.
        self._most_bytes = max(spec.blksize, DEFAULT_BLKSIZE) + HEADER_BYTES + 1
        self._progress = 0
        self._reminded = False
        self._started = self._heard = self._loop.time()
        self._done: asyncio.Future[Finding] = self._loop.create_future()

    async def run(self) -> Finding:
        """Return what there was to find."""
        readers = readers_of(self._loop)
        readers.add(self._socket.fileno(), self._readable)
        self._timer = self._loop.call_at(self._started + self._spec.timeout / 2, self._tick)
        try:
            self._send(self._session.request())
            return await self._done
        finally:
            self._send(self._session.abandon())
            self._timer.cancel()
            readers.remove(self._socket.fileno())

    def _readable(self) -> None:
        """Take in one datagram; where more wait, the loop calls again."""
        try:
            datagram, source = self._socket.recvfrom(self._most_bytes)
        except OSError:
            # Either ICMP told something, or there was nothing to read after all.
            self._read_errors()
            self._settle()
            return
        self._send(self._session.receive(datagram, source))
        if self._session.progress != self._progress:
            self._progress = self._session.progress
            self._heard = self._loop.time()
            self._reminded = False

    def _tick(self) -> None:
        """Act on what is due now, and come back when the next thing is."""
        now = self._loop.time() + _TIMER_SLACK
        timeout, most = self._spec.timeout, patience(self._spec)
        if now >= self._started + most:
            self._send(self._session.time_up(most))
        elif now >= self._heard + timeout:
            self._send(self._session.silence(timeout))
        elif now >= self._heard + timeout / 2 and not self._reminded:
            self._reminded = True
            self._send(self._session.remind())
        due = self._heard + (timeout if self._reminded else timeout / 2)
        if not self._done.done():
            self._timer = self._loop.call_at(min(due, self._started + most), self._tick)

    def _send(self, send: Send | None) -> None:
        if send is not None:
            try:
                self._socket.sendto(*send)
            except BlockingIOError:
                pass  # a full send buffer: lost, as on any network
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
            self._session.rejected(verdict, _reason(number))

    def _read_errors(self) -> int:
        """Take in what ICMP told about packets that were sent; return how much that was."""
        count = 0
        for count, (number, destination) in enumerate(_icmp_errors(self._socket), 1):  # noqa: B007  # it is the result
            if number in _VERDICTS and self._session.concerns(destination):
                self._session.rejected(_VERDICTS[number], _reason(number))
        return count

    def _settle(self) -> None:
        if self._session.finding is not None and not self._done.done():
            self._done.set_result(self._session.finding)


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
    for _ in range(_MOST_ERRORS):
        try:
            _, ancillary, _, destination = opened.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
        except OSError:
            return
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR):
                yield _EXTENDED_ERROR.unpack_from(data)[0], destination


def _reason(number: int | None) -> str:
    return os.strerror(number) if number else "unknown error"
