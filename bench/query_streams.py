"""Make the queries of each load as datagrams (RFC 1035, RFC 6891, RFC 7873).

The same seed makes the same datagrams. The ID is zero; the sender sets it.
"""

from __future__ import annotations

import random
import string
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ZONE = "pvs.example.test"
HOST = "boot.pvs.example.test"
A = 1
COOKIE = 10  # RFC 7873
CLIENT_COOKIE_BYTES = 8
FIRST_PRIVATE_OPTION = 65001  # RFC 6891, section 9: local or experimental use
RD = 0x0100

Exchange = Callable[[bytes], bytes | None]  # sends a query and returns the response


def encode(name: str, option: bytes | None = None, qtype: int = A) -> bytes:
    """Return a query for a name; with `option` (which may be empty) it carries an OPT record."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", qtype, 1)
    if option is None:
        return struct.pack("!6H", 0, RD, 1, 0, 0, 0) + question
    opt = struct.pack("!BHHIH", 0, 41, 1232, 0, len(option)) + option
    return struct.pack("!6H", 0, RD, 1, 0, 0, 1) + question + opt


def nxdomain(rng: random.Random) -> bytes:
    """Return a query for a random name that does not exist."""
    label = "".join(rng.choices(string.ascii_lowercase + string.digits, k=12))
    return encode(f"{label}.{ZONE}")


def case(rng: random.Random) -> bytes:
    """Return a query for the served name in random case, as resolvers with 0x20 send it."""
    return encode("".join(rng.choice((letter, letter.upper())) for letter in HOST))


def options(rng: random.Random) -> bytes:
    """Return a query with a random EDNS option from the private range."""
    code = rng.randrange(FIRST_PRIVATE_OPTION, 65535)
    return encode(HOST, struct.pack("!HH", code, 8) + rng.randbytes(8))


def with_cookie(cookie: bytes) -> bytes:
    """Return a query for the served name with a DNS cookie."""
    return encode(HOST, struct.pack("!HH", COOKIE, len(cookie)) + cookie)


def earned_cookies(exchange: Exchange, count: int, seed: int = 1) -> list[bytes]:
    """Return the queries of `count` clients that already have a cookie of this server.

    A server without cookies gets the client cookies alone.
    """
    rng = random.Random(seed)
    clients = [rng.randbytes(CLIENT_COOKIE_BYTES) for _ in range(count)]
    return [with_cookie(_cookie_in(exchange(with_cookie(client)), client)) for client in clients]


def _cookie_in(response: bytes | None, client: bytes) -> bytes:
    """Return the whole cookie of a response, which begins with the client's part."""
    start = (response or b"").find(client)
    if response is None or start < 0:
        return client
    size = int.from_bytes(response[start - 2 : start], "big")
    return response[start : start + size]


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "plain": lambda _rng: encode(HOST),  # as iPXE sends it
    "edns": lambda _rng: encode(HOST, b""),
    "new-cookie": lambda rng: with_cookie(rng.randbytes(CLIENT_COOKIE_BYTES)),
    "nxdomain": nxdomain,
    "case": case,
    "options": options,
}
CONSTANT = frozenset({"plain", "edns"})  # all datagrams of these differ only in their ID


def datagrams(kind: str, count: int, seed: int = 1) -> Iterator[bytes]:
    """Return `count` datagrams of a kind."""
    rng = random.Random(seed)
    return (KINDS[kind](rng) for _ in range(count))


def write_stream(path: Path, messages: Iterable[bytes]) -> Path:
    """Write each message behind its length, as `dnsperf -B` reads them."""
    with path.open("wb") as out:
        for message in messages:
            out.write(struct.pack("!H", len(message)) + message)
    return path


def write_kind(path: Path, kind: str, count: int, seed: int = 1) -> Path:
    """Write `count` datagrams of a kind, or one if all are the same."""
    return write_stream(path, datagrams(kind, 1 if kind in CONSTANT else count, seed))
