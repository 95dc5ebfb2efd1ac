"""The packets of TFTP as values: RFC 1350 with the option extension of RFC 2347.

`read_session` and the lab's server decide what a packet means during a transfer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

Address = tuple[str, int]  # IPv4 and port
Send = tuple[bytes, Address]  # a datagram and its destination

DEFAULT_BLKSIZE = 512  # RFC 1350: without the blksize option
SMALLEST_BLKSIZE, LARGEST_BLKSIZE = 8, 65464  # RFC 2348
BLOCK_NUMBERS = 65536  # 16 bits: all servers wrap in long transfers, although not in RFC 1350
HEADER_BYTES = 4  # of a DATA packet

_RRQ, _DATA, _ACK, _ERROR, _OACK = 1, 3, 4, 5, 6
_EMPTY_OACK = b"\0\6"


class ErrorCode(IntEnum):
    """The error codes of RFC 1350, and the one that RFC 2347 adds."""

    UNDEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TRANSFER = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTIONS_REFUSED = 8


class MalformedPacket(ValueError):
    """A datagram is not a TFTP packet of a read transfer."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """RRQ: ask for a file. Option names are lower-case."""

    file: str
    mode: str = "octet"
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Data:
    """DATA: one block; a block shorter than the block size is the last."""

    block: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """ACK: a block has arrived; number 0 accepts an OACK."""

    block: int


@dataclass(frozen=True, slots=True)
class Error:
    """ERROR: the transfer has failed."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class OptionAck:
    """OACK: the options that the server accepts (RFC 2347). Option names are lower-case."""

    options: Mapping[str, str] = field(default_factory=dict)
    # The names as the server wrote them, and harmless deviations, for warnings.
    spelled: frozenset[str] = field(default=frozenset(), compare=False)
    oddities: tuple[str, ...] = field(default=(), compare=False)


Packet = ReadRequest | Data | Ack | Error | OptionAck


def encode(packet: Packet) -> bytes:
    """Return the datagram that carries a packet."""
    match packet:
        case Ack(block):
            return _numbers(_ACK, block)
        case Data(block, payload):
            return _numbers(_DATA, block) + payload
        case Error(code, text):
            return _numbers(_ERROR, code) + _strings((text,))
        case ReadRequest(file, mode, options):
            return _number(_RRQ) + _strings((file, mode, *_flat(options)))
        case _:
            return _number(_OACK) + _strings(_flat(packet.options))


def decode(datagram: bytes) -> Packet:
    """Return the packet in a datagram.

    Raises:
        MalformedPacket: RFC 1350 and RFC 2347 do not define such a packet, or it is a WRQ.
    """
    if len(datagram) < HEADER_BYTES and datagram != _EMPTY_OACK:
        raise MalformedPacket(f"{len(datagram)} bytes are too short for a TFTP packet")
    opcode = int.from_bytes(datagram[:2], "big")
    number = int.from_bytes(datagram[2:4], "big")
    match opcode:
        case 3:
            return Data(number, datagram[HEADER_BYTES:])
        case 4:
            return Ack(number)
        case 5:
            # Some servers omit the final NUL; the code is important.
            return Error(number, error_text(datagram[HEADER_BYTES:]))
        case 6:
            return _option_ack(datagram)
        case 1:
            return _read_request(_fields(datagram))
        case _:
            raise MalformedPacket(f"opcode {opcode} does not occur in a TFTP read")


def error_text(raw: bytes) -> str:
    """Return the text of an ERROR. RFC 1350 requires ASCII; Windows servers also send others."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "ignore").split("\0", 1)[0]
    if len(raw) >= HEADER_BYTES and raw[1] == raw[3] == 0 != raw[0]:
        return raw.decode("utf-16-le", "ignore").split("\0", 1)[0]
    if len(raw) >= HEADER_BYTES and raw[0] == raw[2] == 0 != raw[1]:
        return raw.decode("utf-16-be", "ignore").split("\0", 1)[0]
    text = raw.split(b"\0", 1)[0]
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")


def clean_text(text: str, most: int = 120) -> str:
    """Return a peer's text as one printable line of limited length."""
    return shown_text(text.strip(), most).strip()


def shown_text(text: str, most: int = 120) -> str:
    """Return a peer's text as `clean_text` does, but keep the spaces around it."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _number(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _numbers(first: int, second: int) -> bytes:
    return (first << 16 | second).to_bytes(4, "big")


def _strings(texts: tuple[str, ...]) -> bytes:
    if any("\0" in text for text in texts):
        raise ValueError("a TFTP string cannot contain a NUL")
    return b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)


def _flat(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(text for option in options.items() for text in option)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _fields(datagram: bytes) -> list[str]:
    *fields, rest = datagram[2:].split(b"\0")
    if rest:
        raise MalformedPacket("the last string has no end")
    return [_text(raw) for raw in fields]


def _pairs(fields: list[str], oddities: list[str]) -> dict[str, str]:
    if len(fields) % 2:
        raise MalformedPacket("an option has no value")
    options: dict[str, str] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name.lower() in options:  # RFC 2347: case-insensitive, and each at most once
            if options[name.lower()] != value:
                raise MalformedPacket(f"it has the option {clean_text(name)!r} twice")
            oddities.append(f"has the option {clean_text(name)!r} twice")
        options[name.lower()] = value
    return options


@lru_cache(maxsize=1024)  # a server sends the same OACK each second
def _option_ack(datagram: bytes) -> OptionAck:
    fields = _fields(datagram)
    oddities: list[str] = []
    used = len(fields)
    while used and not fields[used - 1] and (used % 2 or not fields[used - 2]):
        used -= 1
    if used < len(fields):
        oddities.append("has NULs after its last option")
    if not used:
        oddities.append("is empty")
    options = _pairs(fields[:used], oddities)
    spelled = frozenset(fields[:used:2])
    return OptionAck(MappingProxyType(options), spelled, tuple(oddities))


def _read_request(fields: list[str]) -> ReadRequest:
    if len(fields) < 2 or not fields[0]:
        raise MalformedPacket("a read request needs a file name and a mode")
    return ReadRequest(fields[0], fields[1].lower(), _pairs(fields[2:], []))
