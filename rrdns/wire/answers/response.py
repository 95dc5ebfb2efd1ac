"""One answer in all the forms that askers need: with and without EDNS, one body per turn.

What is the same for everybody is encoded once; an asker adds only its own question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rrdns.core.acl import AccessList
from rrdns.core.rotation import rotated
from rrdns.shm.rotation_counter import RotationCounter
from rrdns.wire.dns import records
from rrdns.wire.dns.query import AA, HEADER_BYTES, QR, RD, TC, Edns, Query, Rcode

MIN_PAYLOAD = 512  # what every asker can take (RFC 1035, section 2.3.4)
TCP_PAYLOAD = 65535
MAX_CACHED_BYTES = 2048  # of answers to one exact query
# An answer over UDP may have so many bytes for one of the query's: whoever sends queries in
# another's name gains no more by us.
MAX_AMPLIFICATION = 4

_PLAIN, _WITH_OPT, _WITH_DO = range(3)
_OPTS = (b"", records.opt_record(wants_dnssec=False), records.opt_record(wants_dnssec=True))
OPT_BYTES = len(_OPTS[_WITH_OPT])

Section = tuple[int, bytes]  # how many records, and they
EMPTY: Section = (0, b"")


class PrefixedBodies:
    """Answers that are put together when they are sent."""

    __slots__ = ("_bodies", "_head")

    def __init__(self, head: bytes, bodies: tuple[bytes, ...]) -> None:
        self._head = head
        self._bodies = bodies

    def __len__(self) -> int:
        return len(self._bodies)

    def __getitem__(self, turn: int) -> bytes:
        return self._head + self._bodies[turn]


class BodiesWithOptions:
    """Answers that end in an OPT record without options, with options put into it."""

    __slots__ = ("_answers", "_end")

    def __init__(self, answers: Bodies, options: bytes) -> None:
        self._answers = answers
        self._end = len(options).to_bytes(2, "big") + options

    def __len__(self) -> int:
        return len(self._answers)

    def __getitem__(self, turn: int) -> bytes:
        return self._answers[turn][:-2] + self._end


class PartialBodies:
    """Answers with fewer addresses than others get, made when they are sent."""

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


Bodies = tuple[bytes, ...] | PrefixedBodies | BodiesWithOptions | PartialBodies


class EncodedResponses(NamedTuple):
    """The answers to one exact message, each without the two bytes of its ID."""

    answers: Bodies  # one per turn, all of one length
    rotation: RotationCounter
    length: int  # of a whole answer, ID included

    def body(self, turn: int) -> bytes:
        """Return the answer of a turn, behind its ID."""
        return self.answers[turn % len(self.answers)]

    def flattened(self) -> EncodedResponses:
        """Return the same in the form in which it is quickest to send again.

        Large pools stay as they are, or a memo full of them would need much memory.
        """
        many = len(self.answers)
        if many * self.length > MAX_CACHED_BYTES:
            return self
        return self._replace(answers=tuple(self.answers[turn] for turn in range(many)))

    def with_options(self, options: bytes) -> EncodedResponses:
        """Return the same with options in the OPT record that these answers end in."""
        answers, rotation, length = self
        return EncodedResponses(
            BodiesWithOptions(answers, options), rotation, length + len(options)
        )


class CookieVerified(EncodedResponses):
    """The answers to an asker that has shown to be where it says it is (RFC 7873)."""

    __slots__ = ()


class AccessControlled(NamedTuple):
    """The answers to one exact message where it matters who asks."""

    entry: EncodedResponses
    refusal: EncodedResponses
    why: bytes  # option of the refusal; none in an answer without OPT
    acl: AccessList
    entry_why: bytes = b""  # option of the other answer

    def of(self, address: bytes) -> tuple[EncodedResponses, bytes]:
        """Return an asker's answers, and an option that goes with them."""
        if self.acl.allows(address):
            return self.entry, self.entry_why
        return self.refusal, self.why

    def kept(self) -> AccessControlled:
        """Return the same in the form in which it is quickest to send again."""
        return self._replace(entry=self.entry.flattened())


class WithExtendedError(NamedTuple):
    """The answers to one exact message, and the option that tells why they are an error."""

    entry: EncodedResponses
    why: bytes

    def of(self, _address: bytes) -> tuple[EncodedResponses, bytes]:
        """Return the answers, and the option that goes with them."""
        return self.entry, self.why

    def whole(self) -> EncodedResponses:
        """Return the answers with the option in them."""
        return self.entry.with_options(self.why)


CacheEntry = EncodedResponses | WithExtendedError | AccessControlled


class RotatingRecords(NamedTuple):
    """Records that take turns in standing first."""

    records: tuple[bytes, ...]
    max_addresses: int  # of them in one answer


class ResponseTemplate:
    """The answer to a kind of question."""

    __slots__ = (
        "_additional",
        "_answer",
        "_authority",
        "_flags",
        "_forms",
        "_turning",
        "extended_error",
        "rotation",
    )

    def __init__(
        self,
        rotation: RotationCounter,
        *,
        rcode: Rcode = Rcode.NOERROR,
        aa: bool = True,
        answer: Section = EMPTY,
        authority: Section = EMPTY,
        additional: Section = EMPTY,
        turning: RotatingRecords | None = None,
        why: bytes = b"",
    ) -> None:
        self.rotation = rotation
        self.extended_error = why  # the option of an extended error, for queries with OPT
        self._flags = QR | (AA if aa else 0) | rcode
        self._answer = answer
        self._authority = authority
        self._additional = additional
        self._turning = turning
        self._forms: list[_Form | None] = [None, None, None]

    def render(self, query: Query, most: int) -> EncodedResponses:
        """Return the answers to a query, each in at most `most` bytes."""
        kind = _form_of(query.edns)
        form = self._forms[kind] or self._encode(kind)
        head = (form.lead_rd if query.flags & RD else form.lead) + query.question
        length = 2 + len(head) + form.body_bytes
        if length > most:
            return self._shorter(query, kind, most)
        return EncodedResponses(PrefixedBodies(head, form.bodies), self.rotation, length)

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
        """Return the answer without its additional records, or else nothing but TC.

        What is only additional may be left out unsaid (RFC 2181, section 9).
        """
        if self._turning is not None:
            return self._fewer(query, kind, most, self._turning)
        body = self._answer[1] + self._authority[1] + _OPTS[kind]
        if HEADER_BYTES + len(query.question) + len(body) > most:
            return truncated(query, self.rotation, self._flags)
        flags = self._flags | (query.flags & RD)
        counts = _counts(self._answer[0], self._authority[0], kind != _PLAIN)
        head = flags.to_bytes(2, "big") + counts + query.question
        return EncodedResponses((head + body,), self.rotation, 2 + len(head) + len(body))

    def _fewer(
        self, query: Query, kind: int, most: int, turning: RotatingRecords
    ) -> EncodedResponses:
        """Return the answers with as many addresses as there is room for, and no TC.

        They are a choice from the members anyway, and firmware takes the first.
        """
        fixed = HEADER_BYTES + len(query.question) + len(_OPTS[kind])
        count = max((most - fixed) // records.A_RECORD_BYTES, 1)
        flags = self._flags | (query.flags & RD)
        head = flags.to_bytes(2, "big") + _counts(count, 0, kind != _PLAIN) + query.question
        answers = PartialBodies(head, turning.records, count, _OPTS[kind])
        return EncodedResponses(answers, self.rotation, fixed + count * records.A_RECORD_BYTES)


class _Form(NamedTuple):
    """A reply for one kind of asker."""

    lead: bytes  # flags and counts
    lead_rd: bytes  # the same for a query with RD
    bodies: tuple[bytes, ...]
    body_bytes: int


def udp_size_limit(edns: Edns | None, query_bytes: int) -> int:
    """Return how many bytes an asker gets over UDP (RFC 6891, section 6.2.3)."""
    most = MAX_AMPLIFICATION * query_bytes
    if edns is None:
        return min(MIN_PAYLOAD, most)
    return min(max(MIN_PAYLOAD, min(edns.payload, records.MAX_UDP_PAYLOAD)), most)


def truncated(query: Query, rotation: RotationCounter, flags: int = QR) -> EncodedResponses:
    """Return the answer that has nothing but TC: the asker shall come over TCP."""
    kind = _form_of(query.edns)
    head = (flags | TC | (query.flags & RD)).to_bytes(2, "big") + _counts(0, 0, kind != _PLAIN)
    answer = head + query.question + _OPTS[kind]
    return EncodedResponses((answer,), rotation, 2 + len(answer))


def _form_of(edns: Edns | None) -> int:
    return _PLAIN if edns is None else _WITH_DO if edns.wants_dnssec else _WITH_OPT


def max_addresses(name: bytes) -> int:
    """Return how many A records fit the smallest answer, with OPT, for a name."""
    left = MIN_PAYLOAD - HEADER_BYTES - len(name) - 4 - OPT_BYTES
    return left // records.A_RECORD_BYTES


def _turns(turning: Sequence[bytes], most: int, opt: bytes) -> list[bytes]:
    return [b"".join(rotated(turning, turn, most)) + opt for turn in range(len(turning))]


def _counts(answers: int, authorities: int, additionals: int) -> bytes:
    numbers = (1, answers, authorities, additionals)
    return b"".join(number.to_bytes(2, "big") for number in numbers)
