"""What boot firmware takes from a DNS answer: the rules of iPXE, EDK2, GRUB 2 and U-Boot.

Each rule is a function from a query and a datagram to what the firmware makes of it, after
the sources of those programs. When they ask, how often and for how long is the affair of
whoever plays them (`rrdns.lab`).
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
    """To the firmware it is as if nothing had come: it waits, or asks again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Empty:
    """The firmware has understood that there is no such record."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The firmware gives up at once."""

    reason: str


Reading = Taken | Ignored | Empty | Failed
Rule = Callable[[bytes, bytes], Reading]


class _Malformed(ValueError):
    """The answer ends too early, or a name in it has no end."""


class _Record(NamedTuple):
    start: int  # where its owner begins
    owner: bytes
    rtype: int
    rclass: int
    data_at: int
    data: bytes


def ipxe(query: bytes, answer: bytes) -> Reading:
    """Take the first record of the type asked for whose owner is the name, in any case.

    An alias in the answer is followed. RCODE, TC and the question are not looked at.
    """
    if len(answer) < HEADER_BYTES or answer[:2] != query[:2]:
        return Ignored("its ID is not that of the query")
    if _header(answer)[2] != 1:
        return Ignored("it does not hold exactly one question")
    try:
        found = _first(query, answer, _question(query)[1], fold=bytes.lower)
    except _Malformed as problem:
        return Ignored(str(problem))
    return Taken(found) if found else Empty(_no_record(answer))


def edk2(query: bytes, answer: bytes) -> Reading:
    """Take the first A record, if every owner is a pointer and no record is of another type.

    An alias is passed over; names are not compared.
    """
    if len(answer) <= len(query):
        return Ignored("it has no record at all, which counts as truncated")
    _, flags, questions, answers, _, _ = _header(answer)
    if questions > 1 or answer[:2] != query[:2]:
        return Ignored("it is no answer to the query")
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
                return Ignored(f"a record of type {record.rtype} stands in the answer")
    except _Malformed as problem:
        return Ignored(str(problem))
    return Taken(taken) if taken else Failed("there is no A record in the answer")


def grub(query: bytes, answer: bytes) -> Reading:
    """Take the first A record whose owner is the name in the very case that was asked for.

    An alias in the answer is followed. Whatever else comes, GRUB asks on.
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
    """Take the first A record if only aliases stand before it; ID and names do not matter.

    This is the resolver of U-Boot's own network stack; the one on lwIP is another program.
    """
    if len(answer) < HEADER_BYTES or _header(answer)[2] != 1:
        return Ignored("it does not hold exactly one question")
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
    """Return the name and the type that a query of ours asks for."""
    return query[HEADER_BYTES:-4], int.from_bytes(query[-4:-2], "big")


def _first(query: bytes, answer: bytes, rtype: int, fold: Callable[[bytes], bytes]) -> str | None:
    """Return the first address of the name, or of what the name is an alias of."""
    wanted = fold(_question(query)[0])
    for record in _answers(answer):
        if fold(record.owner) != wanted or record.rclass != CLASS_IN:
            continue
        if record.rtype == TYPE_CNAME:
            wanted = fold(_name(answer, record.data_at)[0])
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
    """Return a name without compression, and where what follows it begins."""
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
