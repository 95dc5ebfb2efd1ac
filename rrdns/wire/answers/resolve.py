"""Work out the response of a query: which RCODE, and which response of the table.

This is the way of a query that is not in the packet cache, and of each query over TCP.
"""

from __future__ import annotations

from rrdns.shm.counters import ResponseKind, counter_of
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.answers.response import (
    TCP_PAYLOAD,
    EncodedResponses,
    ResponseTemplate,
    cache_entry,
    truncated,
    udp_size_limit,
)
from rrdns.wire.dns import edns_options
from rrdns.wire.dns.cookies import COOKIE_HEAD, WHOLE_BYTES
from rrdns.wire.dns.edns_options import NO_OPTIONS, CookieStatus, OptionResult
from rrdns.wire.dns.query import (
    CLASS_CHAOS,
    CLASS_IN,
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

# What cannot be looked up, for any name.
RCODE_OF_TYPE = {
    TYPE_OPT: Rcode.FORMERR,  # RFC 6891, section 6.1.1: a pseudo-type
    TYPE_TKEY: Rcode.FORMERR,
    TYPE_TSIG: Rcode.FORMERR,
    TYPE_IXFR: Rcode.REFUSED,  # nothing is transferred (RFC 5936, section 2.2.1)
    TYPE_AXFR: Rcode.REFUSED,
    TYPE_MAILA: Rcode.NOTIMP,  # RFC 1035, section 3.2.3: obsolete
    TYPE_MAILB: Rcode.NOTIMP,
}
OTHER_CLASS = Rcode.REFUSED
NOT_AUTHORITATIVE = Rcode.REFUSED
# The extended errors for queries with OPT (RFC 8914).
PROHIBITED = edns_options.extended_error(edns_options.PROHIBITED)
NOT_OURS = edns_options.extended_error(edns_options.NOT_AUTHORITATIVE)
NOT_READY = edns_options.extended_error(edns_options.NOT_READY)


def find_response(
    datagram: bytes, table: AnswerTable, address: bytes = b"", now: float = 0, *, tcp: bool = False
) -> EncodedResponses | None:
    """Return the responses to a message. Over UDP they are cached if it may come again.

    `address` is the client's, as it stands in a packet; `now` is Unix time.
    """
    query = parse_query(datagram)
    if query is None:
        return None
    extras = NO_OPTIONS
    if query.edns is not None and query.edns.options:
        result = edns_options.process(
            query.edns.options, table.server_info, address, int(now), tcp=tcp
        )
        if result is None:
            bare = query.edns._replace(options=b"")
            fault = QueryError(Rcode.FORMERR, query.id, query.flags, query.question, bare)
            asked = query if isinstance(query, Query) else None
            return _fault(fault, NO_OPTIONS)._replace(query=asked)
        extras = result
    if isinstance(query, QueryError):
        return _fault(query, extras)
    return _answer(datagram, query, extras, table, address, tcp=tcp)


def slip_response(entry: EncodedResponses, end: bytes) -> bytes | None:
    """Return what a client over its rate gets now and then: no more bytes than it sent.

    A client with a cookie gets BADCOOKIE, to ask again with the server's cookie (RFC 7873, section
    5.2.3), and any other client gets TC, to ask over TCP. `end` is the cookie, if the entry is
    without it.
    """
    query, options = entry.query, b""
    if query is None:
        return None
    if end:
        options = COOKIE_HEAD + end[:WHOLE_BYTES]
    elif entry.options.cookie is not CookieStatus.ABSENT:
        options = entry.options.options
    if not options:
        return truncated(query, entry.counter).body(0)
    fault = QueryError(Rcode.BADCOOKIE, query.id, query.flags, query.question, query.edns)
    return _fault(fault, OptionResult(options)).body(0)


def resolve(query: Query, table: AnswerTable) -> ResponseTemplate | None:
    """Return the response to a well-formed question; None if the pool is silent."""
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
        # DS belongs to the parent's side (RFC 4035, section 3.1.4.1), if that is served here too.
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
    """Return the responses to a well-formed question, with what its options ask for."""
    acl = table.tree.acl_of(query.name) if query.qclass == CLASS_IN else None
    is_allowed = acl is None or acl.allows(address)
    template = resolve(query, table)
    most = (TCP_PAYLOAD if tcp else udp_size_limit(query.edns, len(datagram))) - len(extras.options)
    found = template.render(query, most) if template is not None else None
    refusal = _refusal(table).render(query, most) if acl is not None else None
    # Names that do not exist are mostly random: they would only drive out what comes again.
    if found is not None and not tcp and query.name in table.tree.nodes:
        uses_cookies = table.server_info.cookie_keys is not None
        cached = cache_entry(datagram, query, found, refusal, acl, uses_cookies=uses_cookies)
        if cached is not None:
            table.cache(*cached)
    chosen = found if is_allowed else refusal
    if chosen is None:
        table.counters.segment.cells[ResponseKind.A_SILENT.responses] += 1
        return None
    entry, why = chosen
    options = extras.options + why
    if extras.wants_padding:
        options += edns_options.padding(entry.length + len(options))
    bodies, counter, _, _, _ = entry.with_options(options)
    return EncodedResponses(bodies, counter, query, options=extras)


def _refusal(table: AnswerTable) -> ResponseTemplate:
    """Return the response to a client that the access list does not allow."""
    return table.error_response(NOT_AUTHORITATIVE, ResponseKind.PROHIBITED, PROHIBITED)


def _fault(fault: QueryError, extras: OptionResult) -> EncodedResponses:
    """Return the response to a message that earns an error regardless of its question."""
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
    kind = ResponseKind[rcode.name] if rcode else ResponseKind.COOKIE
    return EncodedResponses((head + body,), counter_of(kind), options=extras)


def _rcode(fault: QueryError, extras: OptionResult) -> Rcode:
    """Return the RCODE that a fault earns: none if the query only asks for a cookie.

    A query without a question may ask for one (RFC 7873, section 5.4). Other malformed
    messages have no options left here.
    """
    if fault.rcode is not Rcode.FORMERR or extras.cookie is CookieStatus.ABSENT:
        return fault.rcode
    return Rcode.BADCOOKIE if extras.cookie is CookieStatus.WRONG else Rcode.NOERROR
