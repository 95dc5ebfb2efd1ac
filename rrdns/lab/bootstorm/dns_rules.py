"""Read a DNS answer as boot firmware does: the rules of iPXE, EDK2, GRUB 2 and U-Boot.

Each rule is a function from a query and a datagram to the firmware's reaction, according to the
sources of those programs. The timing of queries is in `firmware`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple

from rrdns.wire.dns.names import HEADER_BYTES
from rrdns.wire.dns.query import CLASS_IN, QR, TYPE_A, TYPE_AAAA, Rcode

TYPE_CNAME = 5

_header = Struct("!6H").unpack_from
_record = Struct("!HHIH").unpack_from  # TYPE, CLASS, TTL, RDLENGTH
_RECORD_BYTES = 10
_POINTER = 0xC0
_MAX_JUMPS = 32  # of a compressed name; a loop of pointers has no end
_RCODES = {int(code): code.name for code in Rcode}


@dataclass(frozen=True, slots=True)
class Taken:
    """The firmware boots from this address."""

    address: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """The firmware ignores the datagram: it waits, or repeats the query."""

    reason: str


@dataclass(frozen=True, slots=True)
class Empty:
    """The firmware knows that there is no such record."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The firmware stops at once."""

    reason: str


Reading = Taken | Ignored | Empty | Failed
Rule = Callable[[bytes, bytes], Reading]


class _Malformed(ValueError):
    """The answer is cut off, or a name in it has no end."""


class _Record(NamedTuple):
    start: int  # where its owner begins
    owner: bytes
    rtype: int
    rclass: int
    data_at: int
    data: bytes


def ipxe(query: bytes, answer: bytes) -> Reading:
    """Return the first record of the query's type whose owner is the name, in any case.

    iPXE follows an alias in the answer. It does not check RCODE, TC and the question.
    """
    if len(answer) < HEADER_BYTES or answer[:2] != query[:2]:
        return Ignored("its ID is not that of the query")
    if _header(answer)[2] != 1:
        return Ignored("it does not contain exactly one question")
    try:
        found = _first(query, answer, _question(query)[1], fold=bytes.lower)
    except _Malformed as problem:
        return Ignored(str(problem))
    return Taken(found) if found else Empty(_no_record(answer))


def edk2(query: bytes, answer: bytes) -> Reading:
    """Return the first A record, if every owner is a pointer and no record has another type.

    EDK2 skips an alias and does not compare names.
    """
    if len(answer) <= len(query):
        return Ignored("it has no record, which EDK2 treats as truncated")
    _, flags, questions, answers, _, _ = _header(answer)
    if questions > 1 or answer[:2] != query[:2]:
        return Ignored("it does not answer the query")
    if flags & 0xF or not answers or not flags & QR:
        return Failed(_no_record(answer))
    taken = ""
    try:
        for record in _answers(answer):
            if answer[record.start] & _POINTER != _POINTER:
                return Ignored("the owner of a record is not a compression pointer")
            if record.rtype == TYPE_A and len(record.data) == 4:
                taken = taken or str(IPv4Address(record.data))
            elif record.rtype != TYPE_CNAME:
                return Ignored(f"the answer has a record of type {record.rtype}")
    except _Malformed as problem:
        return Ignored(str(problem))
    return Taken(taken) if taken else Failed("there is no A record in the answer")


def grub(query: bytes, answer: bytes) -> Reading:
    """Return the first A record whose owner is the name in the same case as in the query.

    GRUB follows an alias in the answer. After any other datagram it repeats the query.
    """
    if len(answer) < HEADER_BYTES or answer[:2] != query[:2]:
        return Ignored("its ID is not that of the query")
    flags = _header(answer)[1]
    if not flags & QR or flags & 0xF:
        return Ignored(_no_record(answer))
    try:
        found = _first(query, answer, TYPE_A, fold=bytes)
    except _Malformed as problem:
        return Ignored(str(problem))
    return Taken(found) if found else Ignored(_no_record(answer))


def u_boot(_query: bytes, answer: bytes) -> Reading:
    """Return the first A record if only aliases come before it. ID and names do not matter.

    This is the resolver of U-Boot's own network stack; the one with lwIP is another program.
    """
    if len(answer) < HEADER_BYTES or _header(answer)[2] != 1:
        return Ignored("it does not contain exactly one question")
    try:
        for record in _answers(answer):
            if record.rtype == TYPE_A and len(record.data) == 4:
                return Taken(str(IPv4Address(record.data)))
            if record.rtype != TYPE_CNAME:
                break
    except _Malformed as problem:
        return Failed(str(problem))
    return Failed(_no_record(answer))


def _no_record(answer: bytes) -> str:
    code = _header(answer)[1] & 0xF
    if code == Rcode.NOERROR:
        return "the answer has no address (NODATA)"
    return f"the answer is {_RCODES.get(code, f'RCODE {code}')}"


def _question(query: bytes) -> tuple[bytes, int]:
    """Return the name and the type of our query."""
    return query[HEADER_BYTES:-4], int.from_bytes(query[-4:-2], "big")


def _first(query: bytes, answer: bytes, rtype: int, fold: Callable[[bytes], bytes]) -> str | None:
    """Return the first address of the name, or of the name that it is an alias of."""
    name = fold(_question(query)[0])
    for record in _answers(answer):
        if fold(record.owner) != name or record.rclass != CLASS_IN:
            continue
        if record.rtype == TYPE_CNAME:
            name = fold(_name(answer, record.data_at)[0])
        elif record.rtype == rtype == TYPE_A and len(record.data) == 4:
            return str(IPv4Address(record.data))
        elif record.rtype == rtype == TYPE_AAAA and len(record.data) == 16:
            return str(IPv6Address(record.data))
    return None


def _answers(message: bytes) -> Iterator[_Record]:
    """Yield the records of the answer section."""
    _, _, questions, answers, _, _ = _header(message)
    at = HEADER_BYTES
    for _ in range(questions):
        at = _name(message, at)[1] + 4
    for _ in range(answers):
        owner, body = _name(message, at)
        data_at = body + _RECORD_BYTES
        if data_at > len(message):
            raise _Malformed("it ends within a record")
        rtype, rclass, _, size = _record(message, body)
        if data_at + size > len(message):
            raise _Malformed("it ends within a record")
        yield _Record(at, owner, rtype, rclass, data_at, message[data_at : data_at + size])
        at = data_at + size


def _name(message: bytes, at: int) -> tuple[bytes, int]:
    """Return a name without compression, and the offset after it."""
    name, end, jumps = b"", 0, 0
    while True:
        if at >= len(message):
            raise _Malformed("it ends within a name")
        size = message[at]
        if size & _POINTER == _POINTER:
            end = end or at + 2
            jumps += 1
            if at + 1 >= len(message) or jumps > _MAX_JUMPS:
                raise _Malformed("a name in it has no end")
            at = (size & ~_POINTER) << 8 | message[at + 1]
            continue
        name += message[at : at + 1 + size]
        at += 1 + size
        if not size:
            return name, end or at
