"""Measure how long answers take at a fixed rate, sent whether or not earlier ones are answered.

An answer's time ends when it reaches the client's socket, by the kernel's own timestamp, so
that the client's reading does not count. A client that wakes late skips the queries it
missed instead of sending them in a burst.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.mmsg import MSG_DONTWAIT, MSG_WAITFORONE, Inbox, connected

SLACK = 4  # queries that a late client may still catch up with
IDS = 65536


@dataclass(frozen=True, slots=True)
class Latency:
    """The times of the answers at a fixed rate, in microseconds, sorted."""

    sent: int
    times: list[float]
    seconds: float

    @property
    def lost(self) -> int:
        """Return how many queries got no answer."""
        return self.sent - len(self.times)

    @property
    def rate(self) -> float:
        """Return how many queries a second were really sent."""
        return self.sent / self.seconds

    def quantile(self, share: float) -> float:
        """Return the time that this share of the answers kept to."""
        if not self.times:
            return float("inf")
        return self.times[min(int(len(self.times) * share), len(self.times) - 1)]


def measure(
    port: int,
    datagrams: Sequence[bytes],
    rate: int,
    seconds: float,
    inspect: Callable[[bytes, int], None] | None = None,
) -> Latency:
    """Send `rate` queries a second from this process, and time each answer.

    `inspect` is given each answer and the Unix time in nanoseconds at which it arrived.
    """
    numbered = _numbered(datagrams)
    waiting: dict[int, int] = {}
    times: list[float] = []
    inbox = Inbox(64)
    step = 1_000_000_000 // rate
    sent = 0
    with connected("127.0.0.1", port, timestamps=True) as sock:
        begun = due = time.time_ns()
        end = begun + int(seconds * 1e9)
        while (now := time.time_ns()) < end:
            if now < due:
                _collect(inbox, inbox.receive(sock, MSG_DONTWAIT), waiting, times, inspect)
                continue
            identity = sent % IDS
            waiting[identity] = time.time_ns()
            sock.send(numbered[sent % len(numbered)])
            sent += 1
            due = due + step if now - due < SLACK * step else now + step
        while got := inbox.receive(sock, MSG_WAITFORONE):
            _collect(inbox, got, waiting, times, inspect)
    return Latency(sent, sorted(times), (now - begun) / 1e9)


def _numbered(datagrams: Sequence[bytes]) -> list[bytes]:
    """Return IDS datagrams whose IDs are their places."""
    return [
        number.to_bytes(2, "big") + datagrams[number % len(datagrams)][2:] for number in range(IDS)
    ]


def _collect(
    inbox: Inbox,
    got: int,
    waiting: dict[int, int],
    times: list[float],
    inspect: Callable[[bytes, int], None] | None,
) -> None:
    for number in range(got):
        begun = waiting.pop(inbox.identity(number), None)
        if begun is not None:
            times.append((inbox.arrived(number) - begun) / 1000)
        if inspect is not None:
            inspect(inbox.datagram(number), inbox.arrived(number))
