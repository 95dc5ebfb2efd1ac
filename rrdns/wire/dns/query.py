"""Parse and check the question in a datagram.

Any bytes become a value: a `Query`, a `QueryError` (the RCODE, and what may be echoed), or None
if there must be no response. Nothing is looked up here; that is the responder's task.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from rrdns.wire.dns.names import HEADER_BYTES, MAX_NAME_BYTES, end_of_name

QR = 0x8000
OPCODE = 0x7800
AA = 0x0400
TC = 0x0200
RD = 0x0100

TYPE_A = 1
TYPE_NS = 2
TYPE_SOA = 6
TYPE_AAAA = 28
TYPE_OPT = 41
TYPE_DS = 43
TYPE_TKEY = 249
TYPE_TSIG = 250
TYPE_IXFR = 251
TYPE_AXFR = 252
TYPE_MAILB = 253
TYPE_MAILA = 254
TYPE_ANY = 255
TYPE_TXT = 16
CLASS_IN = 1
CLASS_CHAOS = 3
EDNS_DO = 0x8000

_header = Struct("!6H").unpack_from
_pair = Struct("!2H").unpack_from
_record = Struct("!HHIH").unpack_from  # TYPE, CLASS, TTL, RDLENGTH
_RECORD_BYTES = 10


class Rcode(IntEnum):
    """Response codes (RFC 6895, section 2.3)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    NOTAUTH = 9
    BADVERS = 16  # the upper bits of these travel in the OPT record
    BADCOOKIE = 23


class Edns(NamedTuple):
    """The OPT record of a query (RFC 6891, section 6.1)."""

    payload: int  # bytes that the client can take over UDP
    version: int
    wants_dnssec: bool  # DO (RFC 3225), copied into the answer
    options: bytes  # well-formed code, length, data triples


class Query(NamedTuple):
    """A question that can be looked up."""

    id: int
    flags: int
    question: bytes  # as it was sent: case, type and class
    name: bytes  # in lower case, on the wire
    qtype: int
    qclass: int
    edns: Edns | None


class QueryError(NamedTuple):
    """A message that earns an error, whatever it asks."""

    rcode: Rcode
    id: int
    flags: int
    question: bytes  # to be echoed; empty where it could not be read
    edns: Edns | None  # an answer carries OPT only if the query did; only sound options
    tsig: bytes = b""  # the signature record of a query, which we cannot check


class _Tail(NamedTuple):
    """What follows the question."""

    sound: bool
    edns: Edns | None = None
    tsig: bytes = b""


def parse_query(datagram: bytes) -> Query | QueryError | None:
    """Return what a datagram asks, or None for one that must not be answered.

    Answering a response could make two servers talk for ever (RFC 5625, section 4.2 has the
    like), and what is shorter than a header has no ID to answer to.
    """
    if len(datagram) < HEADER_BYTES:
        return None
    ident, flags, questions, answers, authorities, additionals = _header(datagram)
    if flags & QR:
        return None
    if flags & OPCODE or questions != 1:
        return _unsupported(datagram, ident, flags, questions)
    end = end_of_question(datagram)
    if not end:
        return QueryError(Rcode.FORMERR, ident, flags, b"", None)
    question = datagram[HEADER_BYTES:end]
    edns = None
    if len(datagram) > end or answers or authorities or additionals:
        tail = _read_tail(datagram, end, answers + authorities, additionals)
        edns = tail.edns
        if not tail.sound:
            bare = edns and edns._replace(options=b"")
            return QueryError(Rcode.FORMERR, ident, flags, question, bare)
        if edns is not None and edns.version:  # RFC 6891, section 6.1.3
            return QueryError(Rcode.BADVERS, ident, flags, question, edns._replace(options=b""))
        if tail.tsig:  # RFC 8945, section 5.2.1: no key is known here
            return QueryError(Rcode.NOTAUTH, ident, flags, question, edns, tail.tsig)
    qtype, qclass = _pair(question, len(question) - 4)
    # Length bytes are below 0x40, so lowering letters cannot change them.
    return Query(ident, flags, question, question[:-4].lower(), qtype, qclass, edns)


def end_of_question(datagram: bytes) -> int:
    """Return where the first question ends; 0 if it is malformed.

    A pointer in the first name of a message has nothing before it to point to (RFC 1035,
    section 4.1.4).
    """
    end = end_of_name(datagram, HEADER_BYTES)
    if not end or end - HEADER_BYTES > MAX_NAME_BYTES or end + 4 > len(datagram):
        return 0
    return end + 4


def _unsupported(datagram: bytes, ident: int, flags: int, questions: int) -> QueryError:
    """Return what an opcode other than QUERY, or a number of questions other than one, earns.

    The body of another opcode need not be questions at all, so nothing in it can be called
    malformed (RFC 8906, section 3.1.4); more than one question is (RFC 9619, section 4).
    """
    rcode = Rcode.NOTIMP if flags & OPCODE else Rcode.FORMERR
    _, _, _, answers, authorities, additionals = _header(datagram)
    end = HEADER_BYTES if questions == 0 else end_of_question(datagram)
    if questions > 1 and not flags & OPCODE:
        end = _end_of_questions(datagram, questions)
    elif questions > 1:
        end = 0
    if not end:
        return QueryError(rcode, ident, flags, b"", None)
    tail = _read_tail(datagram, end, answers + authorities, additionals)
    edns = tail.edns
    if edns is not None and (edns.version or not tail.sound):
        edns = edns._replace(options=b"")
    question = b"" if questions > 1 else datagram[HEADER_BYTES:end]
    return QueryError(rcode, ident, flags, question, edns)


def _end_of_questions(datagram: bytes, questions: int) -> int:
    """Return where several questions end; 0 where one is malformed.

    They are read only for the OPT record behind them: the response must have one, too (RFC 6891,
    section 7).
    """
    at = HEADER_BYTES
    for _ in range(questions):
        at = end_of_name(datagram, at, may_point=True)
        if not at or at + 4 > len(datagram):
            return 0
        at += 4
    return at


def _read_tail(datagram: bytes, at: int, others: int, additionals: int) -> _Tail:
    """Return what the records behind the question say; unsound where they are malformed."""
    if not others and additionals == 1 and datagram[at : at + 3] == b"\0\0\x29":
        return _read_lone_opt(datagram, at)
    edns, tsig = None, b""
    is_misplaced = False  # TSIG must be the last; an OPT behind it is still read
    for number in range(others + additionals):
        start = end_of_name(datagram, at, may_point=True)
        if not start or start + _RECORD_BYTES > len(datagram):
            return _Tail(sound=False, edns=edns)
        rtype, rclass, ttl, size = _record(datagram, start)
        end = start + _RECORD_BYTES + size
        if end > len(datagram):
            return _Tail(sound=False, edns=edns)
        if rtype == TYPE_OPT:
            sound = number >= others and datagram[at] == 0 and edns is None
            edns = edns or _edns(rclass, ttl, datagram[start + _RECORD_BYTES : end])
            if not sound or not _are_options(edns.options):
                return _Tail(sound=False, edns=edns)
        elif rtype == TYPE_TSIG:
            tsig = datagram[at:end]
            is_misplaced = number < max(others, others + additionals - 1)
        at = end
    return _Tail(sound=at == len(datagram) and not is_misplaced, edns=edns, tsig=tsig)


def _read_lone_opt(datagram: bytes, at: int) -> _Tail:
    """Return the tail of the usual EDNS query: one OPT record and nothing else."""
    start = at + 1 + _RECORD_BYTES
    if start > len(datagram):
        return _Tail(sound=False)
    _, rclass, ttl, size = _record(datagram, at + 1)
    options = datagram[start:]
    edns = _edns(rclass, ttl, options)
    return _Tail(sound=size == len(options) and _are_options(options), edns=edns)


def _edns(rclass: int, ttl: int, options: bytes) -> Edns:
    """Return the values of an OPT record: CLASS is a size, TTL is version and flags."""
    return Edns(rclass, (ttl >> 16) & 0xFF, bool(ttl & EDNS_DO), options)


def _are_options(options: bytes) -> bool:
    """Return whether an OPT record's data are complete options (RFC 6891, section 6.1.2)."""
    at, size = 0, len(options)
    while at + 4 <= size:
        at += 4 + int.from_bytes(options[at + 2 : at + 4], "big")
    return at == size
