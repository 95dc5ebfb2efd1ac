"""What a server can be asked about itself: its names, its TCP timeout, its cookie keys."""

from __future__ import annotations

from dataclasses import dataclass

from rrdns.wire.dns.cookies import CookieKeys

MAX_NSID_BYTES = 64


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Fixed at the start of a worker; empty values are not sent."""

    nsid: bytes = b""  # RFC 5001
    chaos_id: str = ""  # id.server and hostname.bind (RFC 4892)
    chaos_version: str = ""  # version.server and version.bind
    cookie_keys: CookieKeys | None = None  # None: no cookies (RFC 7873)
    tcp_idle: float = 10.0  # seconds that a connection may be idle (RFC 7828)

    def chaos(self) -> dict[bytes, str]:
        """Return the texts of class CHAOS by lower-case wire name."""
        texts = (
            (b"\x02id\x06server\0", self.chaos_id),
            (b"\x08hostname\x04bind\0", self.chaos_id),
            (b"\x07version\x06server\0", self.chaos_version),
            (b"\x07version\x04bind\0", self.chaos_version),
        )
        return {name: text for name, text in texts if text}


DEFAULT_SERVER_INFO = ServerInfo()
