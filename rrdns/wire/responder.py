"""Decide what each question deserves: which RCODE, and which reply of the table.

This is the careful path. What it finds for a query that will come again, it leaves in the
table's memo, where the loops find it without asking here.
"""

from __future__ import annotations

from rrdns.wire.answers import AnswerTable
from rrdns.wire.query import (
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
    Fault,
    Query,
    Rcode,
    read,
)
from rrdns.wire.records import opt_record
from rrdns.wire.reply import TCP_PAYLOAD, Entry, Reply, room
from rrdns.wire.tally import Ledger
from rrdns.wire.tsig import bad_key

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


def respond(datagram: bytes, table: AnswerTable, *, tcp: bool = False) -> bytes | None:
    """Return the answer to a message, taking its turn; None means silence."""
    entry = find(datagram, table, tcp=tcp)
    if entry is None:
        table.ledger.dropped += 1
        return None
    return datagram[:2] + entry.tail(entry.rotation.take(table.turns))


def find(datagram: bytes, table: AnswerTable, *, tcp: bool = False) -> Entry | None:
    """Return the answers to a message; over UDP they are remembered if it may come again."""
    query = read(datagram)
    if query is None:
        return None
    if isinstance(query, Fault):
        return _fault(query, table.ledger)
    reply = look_up(query, table)
    if reply is None:
        table.ledger.kind("a/silent").turn += 1
        return None
    if tcp:
        return reply.entry(query, TCP_PAYLOAD)
    entry = reply.entry(query, room(query.edns))
    if _may_come_again(query, table):
        table.remember(datagram[2:], entry.kept())
    return entry


def look_up(query: Query, table: AnswerTable) -> Reply | None:
    """Return the reply to a well-formed question; None where the pool says to be silent."""
    if query.qclass != CLASS_IN:
        return table.error(OTHER_CLASS)
    qtype, name = query.qtype, query.name
    if qtype in RCODE_OF_TYPE:
        return table.error(RCODE_OF_TYPE[qtype])
    node = table.tree.nodes.get(name)
    if node is None:
        top = table.tree.top_of(name)
        return table.negative(top, name, Rcode.NXDOMAIN) if top else table.error(OUTSIDE)
    if qtype in node.replies:
        return node.replies[qtype]
    top = node.top
    if qtype == TYPE_DS and name == top.name:
        # DS belongs to the parent's side (RFC 4035, section 3.1.4.1), if that is ours too.
        top = table.tree.top_above(name) or top
    return table.negative(top, name, Rcode.NOERROR)


def _may_come_again(query: Query, table: AnswerTable) -> bool:
    """Tell whether a query is worth remembering.

    Names that do not exist, mixed case and options are mostly random: kept, they would only
    drive out what does come again.
    """
    if query.edns is not None and query.edns.options:
        return False
    return query.question.startswith(query.name) and query.name in table.tree.nodes


def _fault(fault: Fault, ledger: Ledger) -> Entry:
    """Return the answer to a message that earns an error whatever it asks."""
    rcode, extra, body = fault.rcode, 0, b""
    if fault.edns is not None:
        extra, body = 1, opt_record(fault.edns.wants_dnssec, rcode >> 4)
    if fault.tsig:
        signature = bad_key(fault.tsig)
        if signature is None:
            rcode = Rcode.FORMERR
        else:  # the last record there is (RFC 8945, section 5.1)
            extra, body = extra + 1, body + signature
    flags = QR | (fault.flags & (OPCODE | RD)) | (rcode & 0xF)
    numbers = (flags, 1 if fault.question else 0, 0, 0, extra)
    head = b"".join(number.to_bytes(2, "big") for number in numbers) + fault.question
    kind = rcode.name.lower()
    return Entry((head + body,), ledger.kind(f"{kind}/{kind}"), 2 + len(head) + len(body))
