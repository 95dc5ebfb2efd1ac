"""Decide what each question deserves: which RCODE, and which response of the table.

`Responder` is the way of a query over UDP: the packet cache, the access list, the rate limit,
the turn and the count. What is not in the packet cache is worked out by `find_response`, which
is the way of a query over TCP, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rrdns.core.acl import PrefixSet
from rrdns.core.rate_limit import RateLimiter, RateLimits, RateLimitState
from rrdns.shm.counters import ResponseKind, counter_of
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.answers.response import (
    NAME_AT,
    OPT_BYTES,
    TCP_PAYLOAD,
    CacheEntry,
    Condition,
    EncodedResponses,
    Refusal,
    Rendered,
    ResponseTemplate,
    truncated,
    udp_size_limit,
)
from rrdns.wire.answers.retransmits import RetransmitFilter
from rrdns.wire.dns import edns_options
from rrdns.wire.dns.cookies import WHOLE_BYTES
from rrdns.wire.dns.edns_options import NO_OPTIONS, CookieStatus, OptionResult
from rrdns.wire.dns.names import HEADER_BYTES
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
# How the OPT record of a query with a cookie and no other option ends before the cookie: RDLENGTH,
# option code and length (RFC 7873, section 4). BIND sends either with each query.
_CLIENT_COOKIE = b"\0\x0c\0\x0a\0\x08"
_BOTH_COOKIES = b"\0\x1c\0\x0a\0\x18"
_COOKIE_HEAD = _BOTH_COOKIES[2:]  # of the option in a response

QUICK_BYTES = 512  # datagrams and responses up to here need no slice to be made
MAX_CLIENTS = 16_384  # addresses whose buckets are remembered
EXEMPT = -1
OnDefect = Callable[[BaseException, bytes], None]


class Datagrams(Protocol):
    """A batch of received datagrams, whose responses take their places in the same buffer."""

    buffer: Any
    lengths: Any  # of the datagrams
    sizes: Any  # of the responses; 0: none
    addresses: Any  # of the clients, in any form
    # By how many slots are used, for each slot: the slices of the buffer without the ID, by length;
    # where its length and its size are; where its datagram begins; where its address is; the slice
    # of the buffer with the address, the port and the ID.
    rows_of: Any


class Responder:
    """Responds to the queries of one UDP loop, batch by batch."""

    __slots__ = (
        "_address",
        "_answers",
        "_cells",
        "_exempt",
        "_limiter",
        "_network",
        "_now",
        "_on_defect",
        "_places",
        "_table",
        "_turns",
        "_unix",
        "retransmits",
    )

    def __init__(
        self,
        answers: CurrentTable,
        address: slice,
        limits: RateLimitState | None = None,
        on_defect: OnDefect = lambda *_: None,
    ) -> None:
        """Take what to respond from; `address` is where the sources have their addresses."""
        self._answers = answers
        self._table = answers.table
        counters = self._table.counters
        self._cells = counters.segment.cells
        self._turns = counters.rotation.turns()
        self._now, self._unix = 0.0, 0
        self._on_defect = on_defect
        self.retransmits = RetransmitFilter()
        self._address = address
        size = address.stop - address.start
        known = limits.limits if limits is not None else RateLimits()
        self._network = slice(address.start, address.start + known.prefix_bytes(size))
        self._exempt = PrefixSet(known.exempt, size)
        self._limiter = RateLimiter(known, limits.buckets) if limits is not None else None
        self._places: dict[object, int] = {}  # in the buckets, by address; or EXEMPT

    def respond(  # noqa: C901 - one function on purpose
        self, datagrams: Datagrams, count: int, now: float, unix_time: float
    ) -> bool:
        """Put the responses to a batch in place; return whether some queries get none.

        This is the whole way of a query that is in the packet cache. It is one function, because
        a call for each query would cost as much as its turn and its count together.
        """
        self._table = table = self._answers.table
        self._now, self._unix = now, int(unix_time)
        retransmits, turns, limiter = self.retransmits, self._turns, self._limiter
        if now >= retransmits.ends:
            retransmits.begin_window(now)
        watches = now >= retransmits.busy_until
        buffer, lengths, sizes = datagrams.buffer, datagrams.lengths, datagrams.sizes
        addresses, counters, cells = datagrams.addresses, turns.counters, self._cells
        get, place_of, has_gaps = table.packet_cache.get, self._places.get, False
        if limiter is not None:
            buckets, costs, bursts, allow = (
                limiter.buckets,
                limiter.costs,
                limiter.bursts,
                limiter.allow,
            )
        try:
            for tails, length_at, size_at, data, address, source in datagrams.rows_of[count]:
                length, end, has_no_limit = lengths[length_at], b"", limiter is None
                tail = buffer[
                    tails[length] if length <= QUICK_BYTES else slice(data + 2, data + length)
                ]
                found = get(tail)
                if found is None or found[5] is not None:
                    found, end, has_no_limit = self._select(tail, buffer[source], found)
                    if found is None:
                        sizes[size_at] = 0
                        has_gaps = True
                        continue
                bodies, slot, members, size, response_class, _, entry = found
                if not has_no_limit:
                    place = place_of(client := addresses[address])
                    if place is None:
                        place = self._place(client, buffer[source])
                    # What `RateLimiter.allow` does, without a call while the bucket has room.
                    if place >= 0:
                        tat = buckets[place + response_class]
                        if tat < now:
                            tat = now
                        tat += costs[response_class]
                        if tat <= now + bursts[response_class]:
                            buckets[place + response_class] = tat
                        else:
                            allow(place, response_class, now)  # takes the penalty
                            body = self._limited(entry, place, end)
                            sizes[size_at] = 2 + len(body) if body else 0
                            buffer[data + 2 : data + 2 + len(body)] = body
                            has_gaps = has_gaps or not body
                            continue
                if slot < 0:
                    cells[members[0]] += 1
                    body = bodies[0]
                elif watches and (turn := retransmits.find(buffer[source], slot, now)) is not None:
                    cells[slot] += 1
                    body = bodies[turn % size]
                else:
                    if not turns.held:
                        turns.hold()
                    # No other thread gets in between these two lines: see RotationCounters.
                    turn = counters[slot]
                    counters[slot] = turn + 1
                    if watches:
                        retransmits.remember(buffer[source], slot, turn, now)
                    turn %= size
                    cells[members[turn]] += 1
                    body = bodies[turn]
                if end:
                    body += end
                sizes[size_at] = length = 2 + len(body)
                tail = tails[length] if length <= QUICK_BYTES else slice(data + 2, data + length)
                buffer[tail] = body
        finally:
            turns.release()
        return has_gaps

    def _place(self, client: object, source: bytes) -> int:
        """Return the place of a client's network in the buckets, or EXEMPT; remember it."""
        place = EXEMPT
        if self._limiter is not None and not self._exempt.covers(source[self._address]):
            place = self._limiter.place(source[self._network])
        if len(self._places) >= MAX_CLIENTS:
            self._places.clear()
        self._places[client] = place
        return place

    def _select(
        self, tail: bytes, source: bytes, found: CacheEntry | None
    ) -> tuple[CacheEntry | None, bytes, bool]:
        """Return the responses to a query that is not cached, or not the same for all clients.

        With them come the end of each, and whether the rate limit does not count it.
        """
        try:
            return self._selected(tail, source, found)
        except Exception as error:  # noqa: BLE001 - a defect costs this response, not the loop
            self._on_defect(error, source[-2:] + tail)
            self._table.counters.count_unanswered()
            return None, b"", False

    def _selected(
        self, tail: bytes, source: bytes, found: CacheEntry | None
    ) -> tuple[CacheEntry | None, bytes, bool]:
        address, keys = source[self._address], self._table.server_info.cookie_keys
        cookie, has_no_limit, key = b"", self._limiter is None, tail
        if found is None and keys is not None and (size := _cookie_bytes(tail)):
            cookie, key = tail[-size:], tail[:-size]
            found = self._table.packet_cache.get(key)
        if found is None:
            found = self._recased(key)
        condition = found[5] if found is not None else None
        has_cookie = condition is not None and condition.has_cookie
        if found is None or has_cookie != bool(cookie):
            return self._miss(tail, source, address)
        if condition is None:
            return found, b"", has_no_limit
        if cookie and keys is not None:
            is_known = keys.is_fresh(cookie, address, self._unix)
            if not is_known:
                is_known, cookie = keys.check(cookie, address, self._unix)
            has_no_limit = has_no_limit or is_known
        refusal = condition.refusal
        if refusal is not None and not refusal.acl.allows(address):
            return refusal.entry.unpacked(), cookie + refusal.suffix, has_no_limit
        return found, cookie + condition.suffix, has_no_limit

    def _recased(self, key: bytes) -> CacheEntry | None:
        """Return the responses to a query in mixed case (0x20), if it is cached in lower case."""
        end = key.find(b"\0", NAME_AT)
        name = key[NAME_AT:end]
        lowered = name.lower()
        if lowered == name:
            return None
        found = self._table.packet_cache.get(key[:NAME_AT] + lowered + key[end:])
        return found[-1].recased(name).unpacked() if found is not None else None

    def _miss(
        self, tail: bytes, source: bytes, address: bytes
    ) -> tuple[CacheEntry | None, bytes, bool]:
        """Return the responses to a query that is not in the packet cache."""
        if self._turns.held:
            self._turns.release()  # no other worker waits for this
        entry = find_response(source[-2:] + tail, self._table, address, self._unix)
        if entry is None:
            self._table.counters.count_unanswered()
            return None, b"", False
        has_no_limit = self._limiter is None or entry.options.cookie is CookieStatus.VALID
        return entry.unpacked(), b"", has_no_limit

    def _limited(self, entry: EncodedResponses, place: int, end: bytes) -> bytes:
        """Return what a client over its rate gets: mostly b"", sometimes a short response."""
        kind, body = entry.counter.kind, None
        if self._limiter is not None and self._limiter.should_slip(place, self._now):
            body = slip_response(entry, end)
        self._cells[kind.dropped if body is None else kind.slipped] += 1
        return body or b""


def respond(
    datagram: bytes, table: AnswerTable, address: bytes = b"", now: float = 0
) -> bytes | None:
    """Return the response to a message over TCP, taking its turn; None for no response."""
    entry = find_response(datagram, table, address, now, tcp=True)
    if entry is None:
        table.counters.count_unanswered()
        return None
    return datagram[:2] + entry.bodies[table.counters.take(entry.counter)]


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
        options = _COOKIE_HEAD + end[:WHOLE_BYTES]
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
        _cache(datagram, query, found, refusal, table)
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


def _cache(
    datagram: bytes, query: Query, found: Rendered, refusal: Rendered | None, table: AnswerTable
) -> None:
    """Cache the responses to a query without options, or with a cookie and no other option.

    They are cached for the name in lower case.
    """
    size, name = 0, query.name
    if query.edns is not None and query.edns.options:
        size = _cookie_bytes(datagram)
        whole = HEADER_BYTES + len(query.question) + OPT_BYTES + 4 + size
        if not size or table.server_info.cookie_keys is None or len(datagram) != whole:
            return
    entry, suffix = _stored(found, name, has_cookie=size > 0)
    acl = table.tree.acl_of(query.name) if refusal is not None else None
    if acl is not None and refusal is not None:
        refused = Refusal(acl, *_stored(refusal, name, has_cookie=size > 0))
        entry = entry._replace(condition=Condition(size > 0, suffix, refused))
    elif size:
        entry = entry._replace(condition=Condition(has_cookie=True, suffix=suffix))
    key = datagram[2:HEADER_BYTES] + name + datagram[HEADER_BYTES + len(name) :]
    table.cache(key[: len(key) - size], entry)


def _stored(rendered: Rendered, name: bytes, *, has_cookie: bool) -> Rendered:
    """Return responses in the form that is quickest to send again, and what follows them."""
    entry, why = rendered
    if entry.query is not None and not entry.query.question.startswith(name):
        entry = entry.recased(name)
    if has_cookie:
        return entry.with_options(_COOKIE_HEAD, WHOLE_BYTES + len(why)).flattened(), why
    return entry.with_options(why).flattened(), b""


def _cookie_bytes(query: bytes) -> int:
    """Return the length of the cookie that a query seems to end in; 0 for none."""
    if query[-30:-24] == _BOTH_COOKIES:
        return 24
    return 8 if query[-14:-8] == _CLIENT_COOKIE else 0


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
