"""Send queries to a server: dnsperf, a sender in batches, and a sender at a fixed rate.

dnsperf keeps 100 queries in flight and sends them one by one, so a server receives small
batches. `saturate` keeps 256 in flight with sendmmsg(2), so a server receives large batches.
Both wait for responses before they send more, so every lost query was lost by the server.
`measure_latency` sends on time, whether or not responses arrive.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrdns.net.server.batch_io import Iovec, Mmsghdr

IN_FLIGHT = 256
BATCH = 64
SOCKETS = 16  # of dnsperf, so that the kernel spreads the queries over all workers
TIMEOUT = 1.0  # seconds until dnsperf counts a query as lost
MAX_CATCH_UP = 4  # queries that a late sender at a fixed rate sends at once
SLEEP_NS = 500_000  # a sender at a low rate sleeps between two looks
IDS = 65536
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
MSG_WAITFORONE = 0x10000
RECEIVE_TIMEOUT = 0.2  # seconds
RESPONSE_BYTES = 1500
CONTROL_BYTES = socket.CMSG_SPACE(16)  # struct timespec


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a load."""

    sent: int
    answered: int
    seconds: float
    rcodes: dict[str, int] = field(default_factory=dict)
    times_us: tuple[float, ...] = ()  # of each response, sorted; empty if not measured

    @property
    def lost(self) -> int:
        """Return how many queries got no response."""
        return self.sent - self.answered

    @property
    def rate(self) -> float:
        """Return responses per second."""
        return self.answered / self.seconds

    def quantile(self, share: float) -> float | None:
        """Return the latency in microseconds that this share of the responses kept to."""
        if not self.times_us:
            return None
        return self.times_us[min(int(len(self.times_us) * share), len(self.times_us) - 1)]


class DnsperfFailed(Exception):
    """dnsperf failed, or printed something that we cannot read."""


def dnsperf_command(
    port: int,
    stream: Path,
    seconds: float,
    *,
    cpu: int,
    clients: int = SOCKETS,
    more: Sequence[str] = (),
) -> list[str]:
    """Return the command for dnsperf on one CPU, with the datagrams of a file."""
    command = ["taskset", "-c", str(cpu), "dnsperf", "-s", "127.0.0.1", "-p", str(port)]
    command += ["-B", "-d", str(stream), "-l", f"{seconds:g}", "-t", f"{TIMEOUT:g}"]
    command += ["-c", str(clients), "-T", "1", "-O", "suppress=timeout,congestion"]
    return [*command, *more]


def dnsperf(port: int, stream: Path, seconds: float, **options: Any) -> Outcome:
    """Run dnsperf (see `dnsperf_command`) and return its statistics.

    Raises:
        DnsperfFailed: there are no statistics.
    """
    command = dnsperf_command(port, stream, seconds, **options)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + 30
    )
    if done.returncode != 0:
        raise DnsperfFailed(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return read_dnsperf(done.stdout)


def read_dnsperf(text: str) -> Outcome:
    """Return the statistics in the output of dnsperf."""
    codes = re.search(r"Response codes:\s+(.*)", text)
    return Outcome(
        sent=int(_number(text, "Queries sent")),
        answered=int(_number(text, "Queries completed")),
        seconds=_number(text, r"Run time \(s\)"),
        rcodes={
            name: int(count)
            for name, count in re.findall(r"(\w+) (\d+) \(", codes.group(1) if codes else "")
        },
    )


def _number(text: str, title: str) -> float:
    found = re.search(rf"{title}:\s+([\d.]+)", text)
    if found is None:
        raise DnsperfFailed(f"no {title!r} in: {text[-500:]}")
    return float(found.group(1))


class Outbox:
    """Datagrams that are sent again and again in order, over a connected socket (sendmmsg(2))."""

    def __init__(self, datagrams: Sequence[bytes]) -> None:
        self._count = len(datagrams)
        self._next = 0
        # Datagrams that differ in nothing else still need IDs of their own.
        numbered = [(n % IDS).to_bytes(2, "big") + data[2:] for n, data in enumerate(datagrams)]
        self._bytes = ctypes.create_string_buffer(b"".join(numbered))
        self._iovecs = (Iovec * self._count)()
        self._headers = (Mmsghdr * self._count)()
        offset = ctypes.addressof(self._bytes)
        for number, datagram in enumerate(numbered):
            self._iovecs[number].base, self._iovecs[number].length = offset, len(datagram)
            _point(self._headers[number].header, self._iovecs, number)
            offset += len(datagram)

    def send(self, sock: socket.socket, limit: int) -> int:
        """Send up to `limit` of the next datagrams in one call; return how many were sent."""
        count = min(limit, self._count - self._next)
        sent = _call(_sendmmsg, sock, ctypes.byref(self._headers[self._next]), count, 0)
        self._next = (self._next + sent) % self._count
        return sent


class Inbox:
    """Buffers for a batch of responses (recvmmsg(2))."""

    def __init__(self, size: int = BATCH) -> None:
        self._size = size
        self._data = (ctypes.c_char * (RESPONSE_BYTES * size))()
        self._iovecs = (Iovec * size)()
        self._headers = (Mmsghdr * size)()
        for number in range(size):
            self._iovecs[number].base = ctypes.addressof(self._data) + number * RESPONSE_BYTES
            self._iovecs[number].length = RESPONSE_BYTES
            _point(self._headers[number].header, self._iovecs, number)

    def receive(self, sock: socket.socket) -> int:
        """Receive at most one batch; return how many came, 0 on timeout."""
        try:
            return _call(
                _recvmmsg, sock, ctypes.byref(self._headers), self._size, MSG_WAITFORONE, None
            )
        except (BlockingIOError, InterruptedError):
            return 0


def connected(port: int, *, timestamps: bool = False) -> socket.socket:
    """Return a UDP socket to a server on 127.0.0.1."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    # struct timeval: recvmmsg in blocking mode then returns by itself.
    wait = (0).to_bytes(8, "little") + int(RECEIVE_TIMEOUT * 1e6).to_bytes(8, "little")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
    if timestamps:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.connect(("127.0.0.1", port))
    return sock


def saturate(
    port: int, datagrams: Sequence[bytes], seconds: float, in_flight: int = IN_FLIGHT
) -> Outcome:
    """Keep `in_flight` queries in flight from this process, in batches."""
    outbox, inbox = Outbox(datagrams), Inbox()
    sent = answered = pending = 0
    with connected(port) as sock:
        start = time.monotonic()
        while time.monotonic() < start + seconds:
            free = in_flight - pending
            if free >= BATCH // 2:
                count = outbox.send(sock, min(free, BATCH))
                sent += count
                pending += count
            got = inbox.receive(sock)
            answered += got
            # On timeout all pending queries are lost, and the window opens again.
            pending = max(pending - got, 0) if got else 0
        took = time.monotonic() - start
        while got := inbox.receive(sock):
            answered += got
    return Outcome(sent, answered, took)


def measure_latency(port: int, datagram: bytes, rate: int, seconds: float) -> Outcome:
    """Send `rate` evenly spaced queries a second from this process, and time each response.

    A response's time ends at the kernel's timestamp of its arrival, so the client's own work
    does not count. A client that wakes late skips queries instead of sending a burst.
    """
    pending: dict[bytes, int] = {}
    times: list[float] = []
    step = 1_000_000_000 // rate
    sent = 0

    def receive(flags: int) -> bool:
        try:
            response, ancillary, _, _ = sock.recvmsg(RESPONSE_BYTES, CONTROL_BYTES, flags)
        except BlockingIOError:
            return False
        arrived_s, arrived_ns = struct.unpack("@ll", ancillary[0][2])
        started = pending.pop(response[:2], None)
        if started is not None:
            times.append((arrived_s * 1_000_000_000 + arrived_ns - started) / 1000)
        return True

    with connected(port, timestamps=True) as sock:
        start = due = time.time_ns()
        end = start + int(seconds * 1e9)
        while (now := time.time_ns()) < end:
            if now < due:
                if not receive(socket.MSG_DONTWAIT) and due - now > 2 * SLEEP_NS:
                    time.sleep(SLEEP_NS / 1e9)
                continue
            identity = (sent % IDS).to_bytes(2, "big")
            pending[identity] = time.time_ns()
            sock.send(identity + datagram[2:])
            sent += 1
            due = due + step if now - due < MAX_CATCH_UP * step else now + step
        while receive(0):
            pass
    return Outcome(sent, len(times), (now - start) / 1e9, times_us=tuple(sorted(times)))


_libc = ctypes.CDLL(None, use_errno=True)
_sendmmsg, _recvmmsg = _libc.sendmmsg, _libc.recvmmsg


def _call(
    function: Callable[..., int], sock: socket.socket, headers: object, *arguments: object
) -> int:
    done = function(sock.fileno(), headers, *arguments)
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def _point(header: ctypes.Structure, iovecs: ctypes.Array[Iovec], number: int) -> None:
    """Let a message header use one of the buffers."""
    header.iov = ctypes.addressof(iovecs) + number * ctypes.sizeof(Iovec)
    header.iovlen = 1
