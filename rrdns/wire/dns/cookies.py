"""Make and check server cookies as all servers of an address can (RFC 7873, RFC 9018).

A valid cookie proves that its client has received a response at the address that it queries from.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import NamedTuple

from siphash24 import siphash24

KEY_BYTES = 16
CLIENT_BYTES = 8  # RFC 7873, section 4
SERVER_BYTES = 16  # of ours: version, three reserved, timestamp, hash
WHOLE_BYTES = CLIENT_BYTES + SERVER_BYTES
SIZES = frozenset({CLIENT_BYTES, *range(CLIENT_BYTES + 8, CLIENT_BYTES + 33)})
# RFC 9018, section 4.3
VALID_FOR = 3600  # seconds
AHEAD = 300  # how far another server's clock may be before ours
FRESH_FOR = 1800  # a cookie that is older is renewed
MAX_CLIENTS = 512  # addresses whose valid cookies need not be hashed again
MAX_COOKIES = 128  # such cookies of one address: resolvers behind NAT share it
_VERSION = 1
_HEAD = b"\x01\0\0\0"
_SECONDS = 0x1_0000_0000
# How the OPT record of a query with a cookie and no other option ends before the cookie: RDLENGTH,
# option code and length (RFC 7873, section 4). BIND sends either with each query.
_CLIENT_COOKIE = b"\0\x0c\0\x0a\0\x08"
_BOTH_COOKIES = b"\0\x1c\0\x0a\0\x18"
COOKIE_HEAD = _BOTH_COOKIES[2:]  # of the option in a response


class CookieCheck(NamedTuple):
    """Whether a cookie is valid, and the one to send."""

    is_valid: bool
    cookie: bytes  # client cookie and server cookie


class CookieKeys:
    """The secrets of one server address."""

    __slots__ = ("_secrets", "_verified")

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        """Take secrets of 16 bytes each: the first makes cookies, all of them check.

        So a secret can be changed under way (RFC 9018, section 5).
        """
        self._secrets = secrets
        # By address and cookie, when it was made. A resolver sends the same cookie for half an
        # hour. Only valid cookies are remembered, so a client must receive each of them first.
        self._verified: dict[bytes, dict[bytes, int]] = {}

    def is_fresh(self, cookie: bytes, address: bytes, now: int) -> bool:
        """Return whether a cookie is known to be valid, and need not be renewed yet."""
        known = self._verified.get(address)
        made = known.get(cookie) if known is not None else None
        return made is not None and -AHEAD <= now - made <= FRESH_FOR

    def check(self, cookie: bytes, address: bytes, now: int) -> CookieCheck:
        """Return whether a client's cookie (of one of SIZES) is valid, and the one to send.

        `now` is Unix time.
        """
        if self.is_fresh(cookie, address, now):
            return CookieCheck(is_valid=True, cookie=cookie)
        if len(cookie) == WHOLE_BYTES and cookie[CLIENT_BYTES] == _VERSION:
            age = _age(cookie, now)
            if -AHEAD <= age <= VALID_FOR and self._is_ours(cookie, address):
                if age <= FRESH_FOR:
                    self._remember(cookie, address, now - age)
                    return CookieCheck(is_valid=True, cookie=cookie)
                return CookieCheck(is_valid=True, cookie=self.make(cookie, address, now))
        return CookieCheck(is_valid=False, cookie=self.make(cookie, address, now))

    def make(self, cookie: bytes, address: bytes, now: int) -> bytes:
        """Return a client's cookie with a new server cookie behind it."""
        made = cookie[:CLIENT_BYTES] + _HEAD + (now % _SECONDS).to_bytes(4, "big")
        return made + _hash(self._secrets[0], made + address)

    def _is_ours(self, cookie: bytes, address: bytes) -> bool:
        signed = cookie[:-8] + address  # reserved bits as they came (RFC 9018, section 4.2)
        return any(compare_digest(_hash(secret, signed), cookie[-8:]) for secret in self._secrets)

    def _remember(self, cookie: bytes, address: bytes, made: int) -> None:
        """Remember a valid cookie; what is full is emptied, for one address or for all."""
        if address not in self._verified and len(self._verified) >= MAX_CLIENTS:
            self._verified.clear()
        known = self._verified.setdefault(address, {})
        if len(known) >= MAX_COOKIES:
            known.clear()
        known[cookie] = made


def _age(cookie: bytes, now: int) -> int:
    """Return a cookie's age in seconds, by serial number arithmetic (RFC 1982)."""
    age = (now - int.from_bytes(cookie[12:16], "big")) % _SECONDS
    return age - _SECONDS if age >= _SECONDS // 2 else age


def _hash(secret: bytes, data: bytes) -> bytes:
    """Return the SipHash-2-4 of data in eight bytes (RFC 9018, section 4.4).

    Python's own hash of bytes is a SipHash too, but its key belongs to the process.
    """
    digest: bytes = siphash24(data, key=secret).digest()
    return digest


def cookie_bytes(query: bytes) -> int:
    """Return the length of the cookie that a query seems to end in; 0 for none."""
    if query[-30:-24] == _BOTH_COOKIES:
        return 24
    return 8 if query[-14:-8] == _CLIENT_COOKIE else 0
