"""Decide what each question deserves: which RCODE, and which reply of the table.

This is the careful path. What it finds for a query that will come again, it leaves in the
table's memo, where the loops find it without asking here.
"""

from __future__ import annotations

from rrdns.shm.rotation_counter import CounterRegistry
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.answers.response import (
    OPT_BYTES,
    TCP_PAYLOAD,
    AccessControlled,
    CacheEntry,
    CookieVerified,
    EncodedResponses,
    ResponseTemplate,
    WithExtendedError,
    truncated,
    udp_size_limit,
)
from rrdns.wire.dns import edns_options
from rrdns.wire.dns.edns_options import NO_OPTIONS, CookieStatus, OptionResult
from rrdns.wire.dns.query import (
    CLASS_CHAOS,
    CLASS_IN,
    HEADER_BYTES,
    OPCODE,
    QR,
    RD,
    TYPE_AXFR,
    TYPE_DS,
    TYPE_IXFR,
    TYPE_MAILA,
    TYPE_MAILB,
    TYPE_OPT,
    TYPE_TKEY,
    TYPE_TSIG,
    TYPE_TXT,
    Query,
    QueryError,
    Rcode,
    parse_query,
)
from rrdns.wire.dns.records import opt_record
from rrdns.wire.dns.tsig import bad_key

# What cannot be looked up, whatever the name.
RCODE_OF_TYPE = {
    TYPE_OPT: Rcode.FORMERR,  # RFC 6891, section 6.1.1: a pseudo-type, never asked for
    TYPE_TKEY: Rcode.FORMERR,
    TYPE_TSIG: Rcode.FORMERR,
    TYPE_IXFR: Rcode.REFUSED,  # nothing is transferred (RFC 5936, section 2.2.1)
    TYPE_AXFR: Rcode.REFUSED,
    TYPE_MAILA: Rcode.NOTIMP,  # RFC 1035, section 3.2.3: obsolete
    TYPE_MAILB: Rcode.NOTIMP,
}
OTHER_CLASS = Rcode.REFUSED
NOT_AUTHORITATIVE = Rcode.REFUSED
# What is told of an error where the query has OPT (RFC 8914).
PROHIBITED = edns_options.extended_error(edns_options.PROHIBITED)
NOT_OURS = edns_options.extended_error(edns_options.NOT_AUTHORITATIVE)
NOT_READY = edns_options.extended_error(edns_options.NOT_READY)
# How the OPT record of a query with nothing but a cookie ends before the cookie: RDLENGTH,
# option code and length (RFC 7873, section 4). BIND sends either with each query.
_CLIENT_COOKIE = b"\0\x0c\0\x0a\0\x08"
_BOTH_COOKIES = b"\0\x1c\0\x0a\0\x18"


def respond(
    datagram: bytes, table: AnswerTable, address: bytes = b"", now: float = 0, *, tcp: bool = False
) -> bytes | None:
    """Return the answer to a message, taking its turn; None means silence."""
    entry = find_response(datagram, table, address, now, tcp=tcp)
    if entry is None:
        table.registry.count_unanswered()
        return None
    return datagram[:2] + entry.body(entry.rotation.advance(table.turns))


def find_response(
    datagram: bytes, table: AnswerTable, address: bytes = b"", now: float = 0, *, tcp: bool = False
) -> EncodedResponses | None:
    """Return the answers to a message; over UDP they are remembered if it may come again.

    `address` is the asker's, as it stands in a packet; `now` is Unix time.
    """
    if not tcp and (entry := _from_cache(datagram, table, address, now)) is not None:
        return entry
    query = parse_query(datagram)
    if query is None:
        return None
    extras = NO_OPTIONS
    if query.edns is not None and query.edns.options:
        told = edns_options.process(
            query.edns.options, table.server_info, address, int(now), tcp=tcp
        )
        if told is None:
            bare = query.edns._replace(options=b"")
            query = QueryError(Rcode.FORMERR, query.id, query.flags, query.question, bare)
        extras = told or NO_OPTIONS
    if isinstance(query, QueryError):
        return _fault(query, table.registry, extras)
    return _answer(datagram, query, extras, table, address, tcp=tcp)


def slip_response(
    datagram: bytes, table: AnswerTable, address: bytes, now: float, kind: str
) -> EncodedResponses | None:
    """Return what an asker that is over its rate gets now and then: no more than it sent.

    With a cookie it is told to ask again with ours (RFC 7873, section 5.2.3), and else with TC
    to ask over TCP. `kind` says what it would have got.
    """
    query = parse_query(datagram)
    if not isinstance(query, Query):
        return None
    counter = table.registry.counter(f"{kind.partition('/')[0]}/slipped")
    if query.edns is not None and query.edns.options:
        extras = edns_options.process(
            query.edns.options, table.server_info, address, int(now), tcp=False
        )
        if extras is not None and extras.cookie is not CookieStatus.ABSENT:
            fault = QueryError(Rcode.BADCOOKIE, query.id, query.flags, query.question, query.edns)
            return _fault(fault, table.registry, extras)._replace(rotation=counter)
    return truncated(query, counter)


def resolve(query: Query, table: AnswerTable) -> ResponseTemplate | None:
    """Return the reply to a well-formed question; None where the pool says to be silent."""
    qtype, name = query.qtype, query.name
    if query.qclass != CLASS_IN:
        ours = (
            table.chaos_response(name) if (query.qclass, qtype) == (CLASS_CHAOS, TYPE_TXT) else None
        )
        return ours or table.error_response(OTHER_CLASS)
    if qtype in RCODE_OF_TYPE:
        return table.error_response(RCODE_OF_TYPE[qtype])
    node = table.tree.nodes.get(name)
    if node is None:
        top = table.tree.apex_of(name)
        if top is not None:
            return table.negative_response(top, name, Rcode.NXDOMAIN)
        if not table.snapshot.serial:  # nothing was published yet
            return table.error_response(Rcode.SERVFAIL, why=NOT_READY)
        return table.error_response(NOT_AUTHORITATIVE, why=NOT_OURS)
    if qtype in node.responses:
        return node.responses[qtype]
    top = node.apex
    if qtype == TYPE_DS and name == top.name:
        # DS belongs to the parent's side (RFC 4035, section 3.1.4.1), if that is ours too.
        top = table.tree.parent_apex(name) or top
    return table.negative_response(top, name, Rcode.NOERROR)


def _answer(
    datagram: bytes,
    query: Query,
    extras: OptionResult,
    table: AnswerTable,
    address: bytes,
    *,
    tcp: bool,
) -> EncodedResponses | None:
    """Return the answers to a well-formed question, with what its options ask for."""
    acl = table.tree.acl_of(query.name) if query.qclass == CLASS_IN else None
    reply = resolve(query, table)
    if reply is None and (acl is None or acl.allows(address)):
        table.registry.counter("a/silent").advance(None)
        return None
    refusal = table.error_response(NOT_AUTHORITATIVE, "prohibited")
    most = (TCP_PAYLOAD if tcp else udp_size_limit(query.edns, len(datagram))) - len(extras.options)
    why = (reply or refusal).extended_error if query.edns is not None else b""
    entry = (reply or refusal).render(query, most - len(why))
    kept: CacheEntry = entry
    if acl is not None:
        explained = PROHIBITED if query.edns is not None else b""
        refused = refusal.render(query, most - len(explained))
        kept = AccessControlled(entry, refused, explained, acl, why)
        entry, why = kept.of(address)
    elif why:
        kept = WithExtendedError(entry, why)
    if reply is not None and not tcp and _is_cacheable(query, table):
        _cache(datagram, query, kept, table)
    told = extras.options + why
    if extras.wants_padding:
        told += edns_options.padding(entry.length + len(told))
    if not told:
        return entry
    entry = entry.with_options(told)
    return CookieVerified(*entry) if extras.cookie is CookieStatus.VALID else entry


def _is_cacheable(query: Query, table: AnswerTable) -> bool:
    """Tell whether a query is worth remembering.

    Names that do not exist and mixed case are mostly random: kept, they would only drive out
    what does come again.
    """
    return query.question.startswith(query.name) and query.name in table.tree.nodes


def _cache(datagram: bytes, query: Query, kept: CacheEntry, table: AnswerTable) -> None:
    """Keep the answers to a query without options, or with a cookie and no other option."""
    edns = query.edns
    if edns is None or not edns.options:
        if isinstance(kept, AccessControlled):
            table.cache(table.acl_cache, datagram[2:], kept.kept())
        else:
            entry = kept.whole() if isinstance(kept, WithExtendedError) else kept
            table.cache(table.packet_cache, datagram[2:], entry.flattened())
        return
    size = _cookie_bytes(datagram)
    if size and len(datagram) == HEADER_BYTES + len(query.question) + OPT_BYTES + 4 + size:
        table.cache(table.cookie_cache, datagram[2:-size], kept)


def _from_cache(
    datagram: bytes, table: AnswerTable, address: bytes, now: float
) -> EncodedResponses | None:
    """Return the answers to a query that came before, but for who asks or for its cookie."""
    guarded = table.acl_cache.get(datagram[2:]) if table.acl_cache else None
    if guarded is not None:
        entry, why = guarded.of(address)
        return entry.with_options(why) if why else entry
    cookie_keys, size = table.server_info.cookie_keys, _cookie_bytes(datagram)
    if cookie_keys is None or not size:
        return None
    kept = table.cookie_cache.get(datagram[2:-size])
    if kept is None:
        return None
    entry, why = (kept, b"") if isinstance(kept, EncodedResponses) else kept.of(address)
    judged = cookie_keys.check(datagram[-size:], address, int(now))
    entry = entry.with_options(edns_options.encode_option(edns_options.COOKIE, judged.cookie) + why)
    return CookieVerified(*entry) if judged.is_valid else entry


def _cookie_bytes(datagram: bytes) -> int:
    """Return the length of the cookie that a datagram seems to end in; 0 for none."""
    if datagram[-14:-8] == _CLIENT_COOKIE:
        return 8
    return 24 if datagram[-30:-24] == _BOTH_COOKIES else 0


def _fault(fault: QueryError, registry: CounterRegistry, extras: OptionResult) -> EncodedResponses:
    """Return the answer to a message that earns an error whatever it asks."""
    rcode, additionals, body = _rcode(fault, extras), 0, b""
    if fault.edns is not None:
        additionals, body = 1, opt_record(fault.edns.wants_dnssec, rcode >> 4, extras.options)
    if fault.tsig:
        signature = bad_key(fault.tsig)
        if signature is None:
            rcode = Rcode.FORMERR
        else:  # the last record there is (RFC 8945, section 5.1)
            additionals, body = additionals + 1, body + signature
    flags = QR | (fault.flags & (OPCODE | RD)) | (rcode & 0xF)
    numbers = (flags, 1 if fault.question else 0, 0, 0, additionals)
    head = b"".join(number.to_bytes(2, "big") for number in numbers) + fault.question
    name = rcode.name.lower()
    kind = f"{name if rcode else 'cookie'}/{name}"
    return EncodedResponses((head + body,), registry.counter(kind), 2 + len(head) + len(body))


def _rcode(fault: QueryError, extras: OptionResult) -> Rcode:
    """Return the RCODE that a fault earns: none where only a cookie was wanted.

    A query without a question may ask for one (RFC 7873, section 5.4). Other malformed
    messages have no options left here.
    """
    if fault.rcode is not Rcode.FORMERR or extras.cookie is CookieStatus.ABSENT:
        return fault.rcode
    return Rcode.BADCOOKIE if extras.cookie is CookieStatus.WRONG else Rcode.NOERROR
