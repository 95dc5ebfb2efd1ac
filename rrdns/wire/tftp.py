"""The packets of TFTP as values: RFC 1350 with the option extension of RFC 2347.

What a packet means in the course of a transfer is the affair of `wire.tftp_read`, and of
the lab's server for the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

DEFAULT_BLKSIZE = 512  # RFC 1350: without the blksize option
SMALLEST_BLKSIZE, LARGEST_BLKSIZE = 8, 65464  # RFC 2348
BLOCK_NUMBERS = 65536  # 16 bits: long transfers wrap, RFC 1350 does not say so and all do it
HEADER_BYTES = 4  # of a DATA packet

_RRQ, _DATA, _ACK, _ERROR, _OACK = 1, 3, 4, 5, 6


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


class Malformed(ValueError):
    """A datagram is no TFTP packet that a reader and its server exchange."""


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
    """ERROR: the transfer is over."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class OptionAck:
    """OACK: the options that the server accepts (RFC 2347). Option names are lower-case."""

    options: Mapping[str, str] = field(default_factory=dict)


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
        Malformed: RFC 1350 and RFC 2347 know no such packet, or it is a WRQ.
    """
    if len(datagram) < HEADER_BYTES:
        raise Malformed(f"{len(datagram)} bytes are too short for a TFTP packet")
    opcode = int.from_bytes(datagram[:2], "big")
    number = int.from_bytes(datagram[2:4], "big")
    match opcode:
        case 3:
            return Data(number, datagram[HEADER_BYTES:])
        case 4:
            return Ack(number)
        case 5:
            # Some servers forget the final NUL; the code is what counts.
            return Error(number, _text(datagram[HEADER_BYTES:].split(b"\0", 1)[0]))
        case 6:
            return _option_ack(datagram)
        case 1:
            return _read_request(_fields(datagram))
        case _:
            raise Malformed(f"opcode {opcode} is not one that a TFTP read knows")


def clean_text(text: str, most: int = 120) -> str:
    """Return a peer's text as it may be shown: one line, printable, and not too long."""
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _number(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _numbers(first: int, second: int) -> bytes:
    return (first << 16 | second).to_bytes(4, "big")


def _strings(texts: tuple[str, ...]) -> bytes:
    if any("\0" in text for text in texts):
        raise ValueError("a NUL ends a string in TFTP, so none can be inside")
    return b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)


def _flat(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(text for option in options.items() for text in option)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _fields(datagram: bytes) -> list[str]:
    *fields, rest = datagram[2:].split(b"\0")
    if rest:
        raise Malformed("the last string has no end")
    return [_text(raw) for raw in fields]


def _pairs(fields: list[str]) -> dict[str, str]:
    if len(fields) % 2:
        raise Malformed("an option has no value")
    options: dict[str, str] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name.lower() in options:  # RFC 2347: case-insensitive, and each may stand once
            raise Malformed(f"the option {clean_text(name)!r} stands twice")
        options[name.lower()] = value
    return options


@lru_cache(maxsize=1024)  # a server says the same each second
def _option_ack(datagram: bytes) -> OptionAck:
    return OptionAck(MappingProxyType(_pairs(_fields(datagram))))


def _read_request(fields: list[str]) -> ReadRequest:
    if len(fields) < 2 or not fields[0]:
        raise Malformed("a read request needs a file name and a mode")
    return ReadRequest(fields[0], fields[1].lower(), _pairs(fields[2:]))
