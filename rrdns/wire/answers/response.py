"""One response in all the forms that clients need: with and without EDNS, one body per turn.

What is the same for all clients is encoded once. A query adds only its question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rrdns.core.acl import AccessList
from rrdns.core.rotation import rotated
from rrdns.shm.counters import RotationCounter
from rrdns.wire.dns import records
from rrdns.wire.dns.cookies import COOKIE_HEAD, WHOLE_BYTES, cookie_bytes
from rrdns.wire.dns.edns_options import NO_OPTIONS, OptionResult
from rrdns.wire.dns.names import HEADER_BYTES
from rrdns.wire.dns.query import AA, QR, RD, TC, Edns, Query, Rcode

MIN_PAYLOAD = 512  # bytes that every client can take (RFC 1035, section 2.3.4)
TCP_PAYLOAD = 65535
MAX_CACHED_BYTES = 2048  # of responses to one exact query
# A response over UDP may have so many bytes for each byte of the query: a client that sends queries
# with a forged source gains no more by rrdns.
MAX_AMPLIFICATION = 4

_PLAIN, _WITH_OPT, _WITH_DO = range(3)
_OPTS = (b"", records.opt_record(wants_dnssec=False), records.opt_record(wants_dnssec=True))
OPT_BYTES = len(_OPTS[_WITH_OPT])
NAME_AT = HEADER_BYTES - 2  # where the name of a question begins in a message without its ID

Section = tuple[int, bytes]  # how many records, and they
EMPTY: Section = (0, b"")


class PrefixedBodies:
    """Responses that are put together when they are sent."""

    __slots__ = ("_bodies", "_head")

    def __init__(self, head: bytes, bodies: tuple[bytes, ...]) -> None:
        self._head = head
        self._bodies = bodies

    def __len__(self) -> int:
        return len(self._bodies)

    def __getitem__(self, turn: int) -> bytes:
        return self._head + self._bodies[turn]


class BodiesWithOptions:
    """Responses that end in an OPT record without options, with another end."""

    __slots__ = ("_bodies", "_end")

    def __init__(self, bodies: Bodies, end: bytes) -> None:
        self._bodies = bodies
        self._end = end

    def __len__(self) -> int:
        return len(self._bodies)

    def __getitem__(self, turn: int) -> bytes:
        return self._bodies[turn][:-2] + self._end


class PartialBodies:
    """Responses with fewer addresses than others get, made when they are sent."""

    __slots__ = ("_head", "_most", "_opt", "_turning")

    def __init__(self, head: bytes, turning: Sequence[bytes], most: int, opt: bytes) -> None:
        self._head = head
        self._turning = turning
        self._most = most
        self._opt = opt

    def __len__(self) -> int:
        return len(self._turning)

    def __getitem__(self, turn: int) -> bytes:
        return self._head + b"".join(rotated(self._turning, turn, self._most)) + self._opt


class RecasedBodies:
    """Responses in which the name of the question is written in other case."""

    __slots__ = ("_bodies", "_end", "_name")

    def __init__(self, bodies: Bodies, name: bytes) -> None:
        self._bodies = bodies
        self._name = name
        self._end = NAME_AT + len(name)

    def __len__(self) -> int:
        return len(self._bodies)

    def __getitem__(self, turn: int) -> bytes:
        body = self._bodies[turn]
        return body[:NAME_AT] + self._name + body[self._end :]


Bodies = tuple[bytes, ...] | PrefixedBodies | BodiesWithOptions | PartialBodies | RecasedBodies


class EncodedResponses(NamedTuple):
    """The responses to a query, each without the two bytes of its ID, and who gets them."""

    bodies: Bodies  # one per turn, all of one length
    counter: RotationCounter
    query: Query | None = None  # None: no question that a client could ask again
    condition: Condition | None = None  # None: every client gets these responses
    options: OptionResult = NO_OPTIONS  # what the EDNS options of the query asked for

    @property
    def length(self) -> int:
        """Return the length of a whole response, ID included."""
        return 2 + len(self.bodies[0])

    def unpacked(self) -> CacheEntry:
        """Return what a hit needs, as a tuple that is unpacked quickly."""
        _, slot, cells, size, response_class = self.counter
        return self.bodies, slot, cells, size, response_class, self.condition, self

    def body(self, turn: int) -> bytes:
        """Return the response of a turn, behind its ID."""
        return self.bodies[turn % len(self.bodies)]

    def flattened(self) -> EncodedResponses:
        """Return the same in the form that is quickest to send again.

        Large pools stay as they are, or a cache full of them would need much memory.
        """
        many = len(self.bodies)
        if many * self.length > MAX_CACHED_BYTES:
            return self
        return self._replace(bodies=tuple(self.bodies[turn] for turn in range(many)))

    def with_options(self, options: bytes, size: int = 0) -> EncodedResponses:
        """Return the same with options in the OPT record at the end.

        `size`: how many bytes of options follow behind these.
        """
        if not options:
            return self
        bodies, counter, query, condition, asked = self
        length = (len(options) + size).to_bytes(2, "big")
        bodies = BodiesWithOptions(bodies, length + options)
        return EncodedResponses(bodies, counter, query, condition, asked)

    def recased(self, name: bytes) -> EncodedResponses:
        """Return the same for a query with the same name in other case."""
        query, condition = self.query, self.condition
        query = query and query._replace(question=name + query.question[len(name) :])
        if condition is not None and condition.refusal is not None:
            refused = condition.refusal.entry.recased(name)
            condition = condition._replace(refusal=condition.refusal._replace(entry=refused))
        bodies = RecasedBodies(self.bodies, name)
        return self._replace(bodies=bodies, query=query, condition=condition)


CacheEntry = tuple[  # see `EncodedResponses.unpacked`
    Bodies, int, tuple[int, ...], int, int, "Condition | None", EncodedResponses
]
Rendered = tuple[EncodedResponses, bytes]  # with the option that belongs at the end of each


class Refusal(NamedTuple):
    """The responses for clients that an access list does not allow."""

    acl: AccessList
    entry: EncodedResponses
    suffix: bytes


class Condition(NamedTuple):
    """What the responses to a cached query depend on, besides its bytes."""

    has_cookie: bool  # the key is without the cookie, and a cookie follows the bodies
    suffix: bytes  # what follows the cookie
    refusal: Refusal | None = None


class RotatingRecords(NamedTuple):
    """Records that take turns in standing first."""

    records: tuple[bytes, ...]
    max_addresses: int  # in one response


class ResponseTemplate:
    """The response to a kind of question."""

    __slots__ = (
        "_additional",
        "_answer",
        "_authority",
        "_flags",
        "_forms",
        "_turning",
        "counter",
        "extended_error",
    )

    def __init__(
        self,
        counter: RotationCounter,
        *,
        rcode: Rcode = Rcode.NOERROR,
        aa: bool = True,
        answer: Section = EMPTY,
        authority: Section = EMPTY,
        additional: Section = EMPTY,
        turning: RotatingRecords | None = None,
        why: bytes = b"",
    ) -> None:
        self.counter = counter
        self.extended_error = why  # the option of an extended error, for queries with OPT
        self._flags = QR | (AA if aa else 0) | rcode
        self._answer = answer
        self._authority = authority
        self._additional = additional
        self._turning = turning
        self._forms: list[_Form | None] = [None, None, None]

    def render(self, query: Query, most: int) -> Rendered:
        """Return the responses to a query, each in at most `most` bytes, without its options."""
        why = self.extended_error if query.edns is not None else b""
        return self._render(query, most - len(why)), why

    def _render(self, query: Query, most: int) -> EncodedResponses:
        kind = _form_of(query.edns)
        form = self._forms[kind] or self._encode(kind)
        head = (form.lead_rd if query.flags & RD else form.lead) + query.question
        if 2 + len(head) + form.body_bytes > most:
            return self._shorter(query, kind, most)
        return EncodedResponses(PrefixedBodies(head, form.bodies), self.counter, query)

    def _encode(self, kind: int) -> _Form:
        additionals = self._additional[0] + (kind != _PLAIN)
        if self._turning is None:
            rest = self._authority[1] + self._additional[1] + _OPTS[kind]
            bodies: tuple[bytes, ...] = (self._answer[1] + rest,)
            counts = _counts(self._answer[0], self._authority[0], additionals)
        else:
            turning, most = self._turning
            bodies = tuple(_turns(turning, most, _OPTS[kind]))
            counts = _counts(min(most, len(turning)), 0, additionals)
        form = _Form(
            lead=self._flags.to_bytes(2, "big") + counts,
            lead_rd=(self._flags | RD).to_bytes(2, "big") + counts,
            bodies=bodies,
            body_bytes=len(bodies[0]),
        )
        self._forms[kind] = form
        return form

    def _shorter(self, query: Query, kind: int, most: int) -> EncodedResponses:
        """Return the response without its additional records, or with nothing but TC.

        Additional records may be left out without TC (RFC 2181, section 9).
        """
        if self._turning is not None:
            return self._fewer(query, kind, most, self._turning)
        body = self._answer[1] + self._authority[1] + _OPTS[kind]
        if HEADER_BYTES + len(query.question) + len(body) > most:
            return truncated(query, self.counter, self._flags)
        flags = self._flags | (query.flags & RD)
        counts = _counts(self._answer[0], self._authority[0], kind != _PLAIN)
        head = flags.to_bytes(2, "big") + counts + query.question
        return EncodedResponses((head + body,), self.counter, query)

    def _fewer(
        self, query: Query, kind: int, most: int, turning: RotatingRecords
    ) -> EncodedResponses:
        """Return the responses with as many addresses as there is room for, and no TC.

        Firmware takes the first address anyway.
        """
        fixed = HEADER_BYTES + len(query.question) + len(_OPTS[kind])
        count = max((most - fixed) // records.A_RECORD_BYTES, 1)
        flags = self._flags | (query.flags & RD)
        head = flags.to_bytes(2, "big") + _counts(count, 0, kind != _PLAIN) + query.question
        bodies = PartialBodies(head, turning.records, count, _OPTS[kind])
        return EncodedResponses(bodies, self.counter, query)


class _Form(NamedTuple):
    """A response for one kind of client."""

    lead: bytes  # flags and counts
    lead_rd: bytes  # the same for a query with RD
    bodies: tuple[bytes, ...]
    body_bytes: int


def udp_size_limit(edns: Edns | None, query_bytes: int) -> int:
    """Return how many bytes a client gets over UDP (RFC 6891, section 6.2.3)."""
    most = MAX_AMPLIFICATION * query_bytes
    if edns is None:
        return min(MIN_PAYLOAD, most)
    return min(max(MIN_PAYLOAD, min(edns.payload, records.MAX_UDP_PAYLOAD)), most)


def truncated(query: Query, counter: RotationCounter, flags: int = QR) -> EncodedResponses:
    """Return the response that has nothing but TC: the client shall use TCP."""
    kind = _form_of(query.edns)
    head = (flags | TC | (query.flags & RD)).to_bytes(2, "big") + _counts(0, 0, kind != _PLAIN)
    return EncodedResponses((head + query.question + _OPTS[kind],), counter, query)


def _form_of(edns: Edns | None) -> int:
    return _PLAIN if edns is None else _WITH_DO if edns.wants_dnssec else _WITH_OPT


def max_addresses(name: bytes) -> int:
    """Return how many A records fit the smallest response, with OPT, for a name."""
    left = MIN_PAYLOAD - HEADER_BYTES - len(name) - 4 - OPT_BYTES
    return left // records.A_RECORD_BYTES


def _turns(turning: Sequence[bytes], most: int, opt: bytes) -> list[bytes]:
    return [b"".join(rotated(turning, turn, most)) + opt for turn in range(len(turning))]


def _counts(answers: int, authorities: int, additionals: int) -> bytes:
    numbers = (1, answers, authorities, additionals)
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def cache_entry(
    datagram: bytes,
    query: Query,
    found: Rendered,
    refusal: Rendered | None,
    acl: AccessList | None,
    *,
    uses_cookies: bool,
) -> tuple[bytes, EncodedResponses] | None:
    """Return the key and the entry of a query for the packet cache; None if it is not cached.

    It is a query without options, or with a cookie and no other option, and is cached for the name
    in lower case. `refusal` is the response to clients that `acl` does not allow.
    """
    size, name = 0, query.name
    if query.edns is not None and query.edns.options:
        size = cookie_bytes(datagram)
        whole = HEADER_BYTES + len(query.question) + OPT_BYTES + 4 + size
        if not size or not uses_cookies or len(datagram) != whole:
            return None
    entry, suffix = _stored(found, name, has_cookie=size > 0)
    if acl is not None and refusal is not None:
        refused = Refusal(acl, *_stored(refusal, name, has_cookie=size > 0))
        entry = entry._replace(condition=Condition(size > 0, suffix, refused))
    elif size:
        entry = entry._replace(condition=Condition(has_cookie=True, suffix=suffix))
    key = datagram[2:HEADER_BYTES] + name + datagram[HEADER_BYTES + len(name) :]
    return key[: len(key) - size], entry


def _stored(rendered: Rendered, name: bytes, *, has_cookie: bool) -> Rendered:
    """Return responses in the form that is quickest to send again, and what follows them."""
    entry, why = rendered
    if entry.query is not None and not entry.query.question.startswith(name):
        entry = entry.recased(name)
    if has_cookie:
        return entry.with_options(COOKIE_HEAD, WHOLE_BYTES + len(why)).flattened(), why
    return entry.with_options(why).flattened(), b""
