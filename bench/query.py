"""The queries of the loads, as datagrams written by hand (RFC 1035, RFC 6891).

Each load is reproducible: the same seed makes the same datagrams. The ID is left zero;
whoever sends them sets it.
"""

from __future__ import annotations

import random
import string
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

ZONE = "pvs.example.test"
HOST = "boot.pvs.example.test"
A = 1
COOKIE = 10  # RFC 7873
FIRST_PRIVATE_OPTION = 65001  # RFC 6891, section 9: local or experimental use
RD = 0x0100


def encode(name: str, option: bytes | None = None, qtype: int = A) -> bytes:
    """Return a query for a name; with `option` (which may be empty) it carries an OPT record."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", qtype, 1)
    if option is None:
        return struct.pack("!6H", 0, RD, 1, 0, 0, 0) + question
    opt = struct.pack("!BHHIH", 0, 41, 1232, 0, len(option)) + option
    return struct.pack("!6H", 0, RD, 1, 0, 0, 1) + question + opt


def hits(_dice: random.Random) -> bytes:
    """Ask for the served name, as iPXE does."""
    return encode(HOST)


def edns(_dice: random.Random) -> bytes:
    """Ask for the served name with EDNS and no options."""
    return encode(HOST, b"")


def nxdomain(rng: random.Random) -> bytes:
    """Ask for a name that does not exist, another one each time."""
    label = "".join(rng.choices(string.ascii_lowercase + string.digits, k=12))
    return encode(f"{label}.{ZONE}")


def case(rng: random.Random) -> bytes:
    """Ask for the served name in random case, as a resolver with 0x20 does."""
    return encode("".join(rng.choice((letter, letter.upper())) for letter in HOST))


def cookies(rng: random.Random) -> bytes:
    """Ask with a DNS cookie, another one each time."""
    return encode(HOST, struct.pack("!HH", COOKIE, 8) + rng.randbytes(8))


def options(rng: random.Random) -> bytes:
    """Ask with an EDNS option that nobody knows, another one each time."""
    code = rng.randrange(FIRST_PRIVATE_OPTION, 65535)
    return encode(HOST, struct.pack("!HH", code, 8) + rng.randbytes(8))


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "hits": hits,
    "edns": edns,
    "nxdomain": nxdomain,
    "case": case,
    "cookies": cookies,
    "options": options,
}
REPEATING = frozenset({"hits", "edns"})  # every datagram of these is the same, save its ID


def datagrams(kind: str, count: int, seed: int = 1) -> Iterator[bytes]:
    """Return `count` datagrams of a kind; the same ones for the same seed."""
    rng = random.Random(seed)
    make = KINDS[kind]
    return (make(rng) for _ in range(count))


def write_stream(path: Path, kind: str, count: int, seed: int = 1) -> Path:
    """Write datagrams behind their lengths, as TCP has them and `dnsperf -B` reads them."""
    with path.open("wb") as out:
        for datagram in datagrams(kind, 1 if kind in REPEATING else count, seed):
            out.write(struct.pack("!H", len(datagram)) + datagram)
    return path
