"""Respond to queries: the packet cache, the access list, the rate limit, the turn and the count.

`Responder` is the way of a query over UDP. A response that is not in the packet cache comes from
`find_response`, which is the way of a query over TCP, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rrdns.core.acl import PrefixSet
from rrdns.core.rate_limit import RateLimiter, RateLimits, RateLimitState
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.answers.resolve import find_response, slip_response
from rrdns.wire.answers.response import (
    NAME_AT,
    CacheEntry,
    EncodedResponses,
)
from rrdns.wire.answers.retransmits import RetransmitFilter
from rrdns.wire.dns.cookies import cookie_bytes
from rrdns.wire.dns.edns_options import CookieStatus

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
        may_have_cookie = keys is not None and tail[9:10] != b"\0"  # ARCOUNT
        if found is None and may_have_cookie and (size := cookie_bytes(tail)):
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
