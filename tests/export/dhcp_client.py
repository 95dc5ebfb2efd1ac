"""Ask a DHCP server for an offer as a relay would (RFC 2131), and read what it says of booting."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

_MAGIC = bytes((99, 130, 83, 99))
_RELAY = "127.0.0.3"


@dataclass(frozen=True)
class Offer:
    """What an offer tells a machine that boots."""

    address: str
    next_server: str  # siaddr
    file: str
    options: dict[int, bytes]

    def text(self, code: int) -> str:
        """Return an option that is a text; some servers end it with a zero byte."""
        return self.options[code].rstrip(b"\0").decode()


def discover(server_port: int, reply_port: int, architecture: int, last_byte: int = 0x77) -> Offer:
    """Return the offer for a PXE client of that architecture (RFC 4578)."""
    wanted = bytes((1, 3, 66, 67, 150))
    options = b"".join(
        bytes((code, len(value))) + value
        for code, value in (
            (53, b"\x01"),
            (55, wanted),
            (60, f"PXEClient:Arch:{architecture:05d}".encode()),
            (93, architecture.to_bytes(2, "big")),
        )
    )
    relay = IPv4Address(_RELAY).packed
    mac = bytes((2, 0, 0, 0, 0, last_byte))
    head = struct.pack("!BBBBIHH", 1, 1, 6, 1, 0x12345678, 0, 0) + bytes(12) + relay
    packet = head + mac.ljust(16, b"\0") + bytes(192) + _MAGIC + options + b"\xff"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        # dnsmasq answers a relay at its own port, on which it listens itself for all addresses.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((_RELAY, reply_port))
        for _ in range(5):  # the server may be busy with its new config
            client.settimeout(2)
            client.sendto(packet, ("127.0.0.1", server_port))
            try:
                return _read(client.recv(4096))
            except TimeoutError:
                continue
    raise AssertionError("the DHCP server made no offer")


def _read(packet: bytes) -> Offer:
    options, at = {}, 240
    while at < len(packet) and packet[at] != 255:
        if packet[at] == 0:
            at += 1
            continue
        code, length = packet[at], packet[at + 1]
        options[code] = packet[at + 2 : at + 2 + length]
        at += 2 + length
    return Offer(
        address=str(IPv4Address(packet[16:20])),
        next_server=str(IPv4Address(packet[20:24])),
        file=packet[108:236].rstrip(b"\0").decode(),
        options=options,
    )
