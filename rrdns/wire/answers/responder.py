"""Decide what each question deserves: which RCODE, and which reply of the table.

This is the careful path. What it finds for a query that will come again, it leaves in the
table's memo, where the loops find it without asking here.
"""

from __future__ import annotations

from rrdns.shm.rotation_counter import Ledger
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.answers.response import (
    OPT_BYTES,
    TCP_PAYLOAD,
    Entry,
    Explained,
    Guarded,
    Kept,
    Proven,
    Reply,
    cut_off,
    room,
)
from rrdns.wire.dns import edns_options
from rrdns.wire.dns.edns_options import NOTHING, Cookie, Extras
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
    Fault,
    Query,
    Rcode,
    read,
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
OUTSIDE = Rcode.REFUSED
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
    entry = find(datagram, table, address, now, tcp=tcp)
    if entry is None:
        table.ledger.drop()
        return None
    return datagram[:2] + entry.tail(entry.rotation.take(table.turns))


def find(
    datagram: bytes, table: AnswerTable, address: bytes = b"", now: float = 0, *, tcp: bool = False
) -> Entry | None:
    """Return the answers to a message; over UDP they are remembered if it may come again.

    `address` is the asker's, as it stands in a packet; `now` is Unix time.
    """
    if not tcp and (entry := _find_kept(datagram, table, address, now)) is not None:
        return entry
    query = read(datagram)
    if query is None:
        return None
    extras = NOTHING
    if query.edns is not None and query.edns.options:
        told = edns_options.read(query.edns.options, table.manners, address, int(now), tcp=tcp)
        if told is None:
            bare = query.edns._replace(options=b"")
            query = Fault(Rcode.FORMERR, query.id, query.flags, query.question, bare)
        extras = told or NOTHING
    if isinstance(query, Fault):
        return _fault(query, table.ledger, extras)
    return _answer(datagram, query, extras, table, address, tcp=tcp)


def slip(
    datagram: bytes, table: AnswerTable, address: bytes, now: float, kind: str
) -> Entry | None:
    """Return what an asker that is over its rate gets now and then: no more than it sent.

    With a cookie it is told to ask again with ours (RFC 7873, section 5.2.3), and else with TC
    to ask over TCP. `kind` says what it would have got.
    """
    query = read(datagram)
    if not isinstance(query, Query):
        return None
    counter = table.ledger.kind(f"{kind.partition('/')[0]}/slipped")
    if query.edns is not None and query.edns.options:
        extras = edns_options.read(query.edns.options, table.manners, address, int(now), tcp=False)
        if extras is not None and extras.cookie is not Cookie.ABSENT:
            fault = Fault(Rcode.BADCOOKIE, query.id, query.flags, query.question, query.edns)
            return _fault(fault, table.ledger, extras)._replace(rotation=counter)
    return cut_off(query, counter)


def look_up(query: Query, table: AnswerTable) -> Reply | None:
    """Return the reply to a well-formed question; None where the pool says to be silent."""
    qtype, name = query.qtype, query.name
    if query.qclass != CLASS_IN:
        ours = table.chaos(name) if (query.qclass, qtype) == (CLASS_CHAOS, TYPE_TXT) else None
        return ours or table.error(OTHER_CLASS)
    if qtype in RCODE_OF_TYPE:
        return table.error(RCODE_OF_TYPE[qtype])
    node = table.tree.nodes.get(name)
    if node is None:
        top = table.tree.top_of(name)
        if top is not None:
            return table.negative(top, name, Rcode.NXDOMAIN)
        if not table.snapshot.serial:  # nothing was published yet
            return table.error(Rcode.SERVFAIL, why=NOT_READY)
        return table.error(OUTSIDE, why=NOT_OURS)
    if qtype in node.replies:
        return node.replies[qtype]
    top = node.top
    if qtype == TYPE_DS and name == top.name:
        # DS belongs to the parent's side (RFC 4035, section 3.1.4.1), if that is ours too.
        top = table.tree.top_above(name) or top
    return table.negative(top, name, Rcode.NOERROR)


def _answer(
    datagram: bytes,
    query: Query,
    extras: Extras,
    table: AnswerTable,
    address: bytes,
    *,
    tcp: bool,
) -> Entry | None:
    """Return the answers to a well-formed question, with what its options ask for."""
    audience = table.tree.audience_of(query.name) if query.qclass == CLASS_IN else None
    reply = look_up(query, table)
    if reply is None and (audience is None or audience.has(address)):
        table.ledger.kind("a/silent").take(None)
        return None
    refusal = table.error(OUTSIDE, "prohibited")
    most = (TCP_PAYLOAD if tcp else room(query.edns, len(datagram))) - len(extras.options)
    why = (reply or refusal).why if query.edns is not None else b""
    entry = (reply or refusal).entry(query, most - len(why))
    kept: Kept = entry
    if audience is not None:
        explained = PROHIBITED if query.edns is not None else b""
        refused = refusal.entry(query, most - len(explained))
        kept = Guarded(entry, refused, explained, audience, why)
        entry, why = kept.of(address)
    elif why:
        kept = Explained(entry, why)
    if reply is not None and not tcp and _may_come_again(query, table):
        _remember(datagram, query, kept, table)
    told = extras.options + why
    if extras.pads:
        told += edns_options.padding(entry.length + len(told))
    if not told:
        return entry
    entry = entry.extended(told)
    return Proven(*entry) if extras.cookie is Cookie.VALID else entry


def _may_come_again(query: Query, table: AnswerTable) -> bool:
    """Tell whether a query is worth remembering.

    Names that do not exist and mixed case are mostly random: kept, they would only drive out
    what does come again.
    """
    return query.question.startswith(query.name) and query.name in table.tree.nodes


def _remember(datagram: bytes, query: Query, kept: Kept, table: AnswerTable) -> None:
    """Keep the answers to a query without options, or with a cookie and no other option."""
    edns = query.edns
    if edns is None or not edns.options:
        if isinstance(kept, Guarded):
            table.remember(table.guarded, datagram[2:], kept.kept())
        else:
            entry = kept.whole() if isinstance(kept, Explained) else kept
            table.remember(table.memo, datagram[2:], entry.kept())
        return
    size = _cookie_bytes(datagram)
    if size and len(datagram) == HEADER_BYTES + len(query.question) + OPT_BYTES + 4 + size:
        table.remember(table.cookied, datagram[2:-size], kept)


def _find_kept(datagram: bytes, table: AnswerTable, address: bytes, now: float) -> Entry | None:
    """Return the answers to a query that came before, but for who asks or for its cookie."""
    guarded = table.guarded.get(datagram[2:]) if table.guarded else None
    if guarded is not None:
        entry, why = guarded.of(address)
        return entry.extended(why) if why else entry
    jar, size = table.manners.jar, _cookie_bytes(datagram)
    if jar is None or not size:
        return None
    kept = table.cookied.get(datagram[2:-size])
    if kept is None:
        return None
    entry, why = (kept, b"") if isinstance(kept, Entry) else kept.of(address)
    judged = jar.judge(datagram[-size:], address, int(now))
    entry = entry.extended(edns_options.option(edns_options.COOKIE, judged.cookie) + why)
    return Proven(*entry) if judged.is_valid else entry


def _cookie_bytes(datagram: bytes) -> int:
    """Return the length of the cookie that a datagram seems to end in; 0 for none."""
    if datagram[-14:-8] == _CLIENT_COOKIE:
        return 8
    return 24 if datagram[-30:-24] == _BOTH_COOKIES else 0


def _fault(fault: Fault, ledger: Ledger, extras: Extras) -> Entry:
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
    return Entry((head + body,), ledger.kind(kind), 2 + len(head) + len(body))


def _rcode(fault: Fault, extras: Extras) -> Rcode:
    """Return the RCODE that a fault earns: none where only a cookie was wanted.

    A query without a question may ask for one (RFC 7873, section 5.4). Other malformed
    messages have no options left here.
    """
    if fault.rcode is not Rcode.FORMERR or extras.cookie is Cookie.ABSENT:
        return fault.rcode
    return Rcode.BADCOOKIE if extras.cookie is Cookie.WRONG else Rcode.NOERROR
