"""Note who asks whom on a switch: for files (69), names (53), leases (67), PXE (4011).

Run as a program in the switch's namespace, it writes a line for each datagram. The wire is
the one witness that knows of requests to a server that is dead.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tests.e2e.netns import Network
from tests.e2e.network import SWITCH
from tests.peers import ROOT, running

DNS, DHCP, LEASE, TFTP, PXE = 53, 67, 68, 69, 4011
WATCHED = (DNS, DHCP, LEASE, TFTP, PXE)
_IPV4, _UDP = b"\x08\x00", 17
_END = 255  # of DHCP options; a 0 is padding
_ANY, _OUTGOING = 3, 4  # ETH_P_ALL, PACKET_OUTGOING


@dataclass(frozen=True)
class Request:
    """A datagram to a port that is watched."""

    at: float  # seconds on the monotonic clock, which all processes share
    source: str
    source_port: int
    to: str
    port: int
    options: Sequence[int] = ()  # of a lease (68): the codes that a DHCP server sends
    payload: str = ""  # in hex; of requests for files and names


@dataclass(frozen=True)
class Wiretap:
    """What was seen so far."""

    file: Path

    def requests(self, port: int) -> list[Request]:
        """Return all datagrams to a port, in their order."""
        lines = self.file.read_text().splitlines()[1:]
        seen = (Request(**json.loads(line)) for line in lines)
        return [request for request in seen if request.port == port]


@contextmanager
def a_wiretap(switch: Network, file: Path) -> Iterator[Wiretap]:
    """Watch a switch for the length of the block."""
    command = switch.command(sys.executable, "-m", "tests.e2e.wiretap", file)

    def watches() -> bool:
        return file.exists() and file.read_text().startswith("watching\n")

    log = file.with_suffix(".log")
    with running(command, log=log, ready=watches, env={"PYTHONPATH": str(ROOT)}):
        yield Wiretap(file)


def _watch(file: Path) -> None:
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ANY)) as tap,
        file.open("w", buffering=1) as out,
    ):
        out.write("watching\n")
        while True:
            frame, (device, _, kind, *_) = tap.recvfrom(2048)
            if kind == _OUTGOING or device == SWITCH:
                continue  # the same frame again, on its way out or up
            request = _read(frame, time.monotonic())
            if request is not None and request.port in WATCHED:
                out.write(json.dumps(asdict(request)) + "\n")


def _read(frame: bytes, at: float) -> Request | None:
    """Return what a frame is, if it is Ethernet with an IPv4 UDP datagram inside."""
    if len(frame) < 42 or frame[12:14] != _IPV4 or frame[23] != _UDP:
        return None
    source, to = IPv4Address(frame[26:30]), IPv4Address(frame[30:34])
    head = 14 + (frame[14] & 15) * 4
    source_port, port, size = struct.unpack_from("!HHH", frame, head)
    options = _options(frame[head + 8 + 240 :]) if port == LEASE else ()
    payload = frame[head + 8 : head + size].hex() if port in (TFTP, DNS) else ""
    return Request(at, str(source), source_port, str(to), port, options, payload)


def _options(rest: bytes) -> list[int]:
    """Return the codes of DHCP options (RFC 2132): each has a code, a length and a value."""
    codes: list[int] = []
    while rest and rest[0] != _END:
        if rest[0]:
            codes.append(rest[0])
        rest = rest[2 + rest[1] :] if rest[0] else rest[1:]
    return codes


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
