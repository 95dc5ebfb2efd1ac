"""Send a load to a server and say what came of it: dnsperf, and a sender of our own.

dnsperf keeps 100 queries in flight and sends them one by one, so a server sees small
batches. `saturate` keeps 256 in flight with `sendmmsg`, so a server sees large ones.
Both are closed loops: what is lost was lost by the server.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.mmsg import MSG_WAITFORONE, Inbox, Outbox, connected

IN_FLIGHT = 256
BATCH = 64
TIMEOUT = 1.0  # seconds until dnsperf counts a query as lost


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load."""

    sent: int
    answered: int
    seconds: float
    rcodes: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Return how many queries got no answer."""
        return self.sent - self.answered

    @property
    def rate(self) -> float:
        """Return answers per second."""
        return self.answered / self.seconds


class DnsperfFailed(Exception):
    """dnsperf did not run, or said something that we cannot read."""


def dnsperf(
    port: int,
    stream: Path,
    seconds: float,
    *,
    cpu: int | None,
    rate: int | None = None,
    tcp: bool = False,
    clients: int | None = None,
) -> Outcome:
    """Run dnsperf, on one CPU if it is named, with the datagrams of a file (`write_stream`)."""
    command = ["taskset", "-c", str(cpu)] if cpu is not None else []
    command += ["dnsperf", "-s", "127.0.0.1", "-p", str(port)]
    command += ["-B", "-d", str(stream), "-l", f"{seconds:g}", "-t", f"{TIMEOUT:g}"]
    command += ["-c", str(clients or (10 if tcp else 1)), "-T", "1"]
    command += ["-m", "tcp" if tcp else "udp"]
    command += ["-O", "suppress=timeout,congestion"]
    command += ["-Q", str(rate)] if rate else []
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + 30
    )
    if done.returncode != 0:
        raise DnsperfFailed(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return read_dnsperf(done.stdout)


def read_dnsperf(text: str) -> Outcome:
    """Return what dnsperf's statistics say."""
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


def saturate(
    port: int, datagrams: Sequence[bytes], seconds: float, in_flight: int = IN_FLIGHT
) -> Outcome:
    """Keep `in_flight` queries under way from this process, in batches, for some seconds."""
    outbox, inbox = Outbox(datagrams), Inbox(BATCH)
    sent = answered = under_way = 0
    seen: Counter[int] = Counter()
    with connected("127.0.0.1", port) as sock:
        begun = time.monotonic()
        end = begun + seconds
        while time.monotonic() < end:
            room = in_flight - under_way
            if room >= BATCH // 2:
                count = outbox.send(sock, min(room, BATCH))
                sent += count
                under_way += count
            got = inbox.receive(sock, MSG_WAITFORONE)
            answered += got
            # Silence for 0.2 s: what was under way is lost, and the window opens again.
            under_way = max(under_way - got, 0) if got else 0
            if got:
                seen[inbox.view[3] & 15] += got  # one answer speaks for its batch
        took = time.monotonic() - begun
        while got := inbox.receive(sock, MSG_WAITFORONE):
            answered += got
    return Outcome(
        sent, answered, took, {RCODES.get(code, str(code)): n for code, n in seen.items()}
    )


RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
