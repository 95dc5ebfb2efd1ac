"""One answer in all the forms that askers need: with and without EDNS, one body per turn.

What is the same for everybody is encoded once; an asker adds only its own question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rrdns.core.acl import Audience
from rrdns.core.rotation import at_turn
from rrdns.shm.rotation_counter import Rotation
from rrdns.wire.dns import records
from rrdns.wire.dns.query import AA, HEADER_BYTES, QR, RD, TC, Edns, Query, Rcode

LEAST_PAYLOAD = 512  # what every asker can take (RFC 1035, section 2.3.4)
TCP_PAYLOAD = 65535
MOST_KEPT_BYTES = 2048  # of answers to one exact query
# An answer over UDP may have so many bytes for one of the query's: whoever sends queries in
# another's name gains no more by us.
MOST_AMPLIFICATION = 4

_PLAIN, _WITH_OPT, _WITH_DO = range(3)
_OPTS = (b"", records.opt_record(wants_dnssec=False), records.opt_record(wants_dnssec=True))
OPT_BYTES = len(_OPTS[_WITH_OPT])

Section = tuple[int, bytes]  # how many records, and they
EMPTY: Section = (0, b"")


class Joined:
    """Answers that are put together when they are sent."""

    __slots__ = ("_bodies", "_head")

    def __init__(self, head: bytes, bodies: tuple[bytes, ...]) -> None:
        self._head = head
        self._bodies = bodies

    def __len__(self) -> int:
        return len(self._bodies)

    def __getitem__(self, turn: int) -> bytes:
        return self._head + self._bodies[turn]


class Extended:
    """Answers that end in an OPT record without options, with options put into it."""

    __slots__ = ("_answers", "_end")

    def __init__(self, answers: Bodies, options: bytes) -> None:
        self._answers = answers
        self._end = len(options).to_bytes(2, "big") + options

    def __len__(self) -> int:
        return len(self._answers)

    def __getitem__(self, turn: int) -> bytes:
        return self._answers[turn][:-2] + self._end


class Fewer:
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
        return self._head + b"".join(at_turn(self._turning, turn, self._most)) + self._opt


Bodies = tuple[bytes, ...] | Joined | Extended | Fewer


class Entry(NamedTuple):
    """The answers to one exact message, each without the two bytes of its ID."""

    answers: Bodies  # one per turn, all of one length
    rotation: Rotation
    length: int  # of a whole answer, ID included

    def tail(self, turn: int) -> bytes:
        """Return the answer of a turn, behind its ID."""
        return self.answers[turn % len(self.answers)]

    def kept(self) -> Entry:
        """Return the same in the form in which it is quickest to send again.

        Large pools stay as they are, or a memo full of them would need much memory.
        """
        many = len(self.answers)
        if many * self.length > MOST_KEPT_BYTES:
            return self
        return self._replace(answers=tuple(self.answers[turn] for turn in range(many)))

    def extended(self, options: bytes) -> Entry:
        """Return the same with options in the OPT record that these answers end in."""
        answers, rotation, length = self
        return Entry(Extended(answers, options), rotation, length + len(options))


class Proven(Entry):
    """The answers to an asker that has shown to be where it says it is (RFC 7873)."""

    __slots__ = ()


class Guarded(NamedTuple):
    """The answers to one exact message where it matters who asks."""

    entry: Entry
    refusal: Entry
    why: bytes  # option of the refusal; none in an answer without OPT
    audience: Audience
    entry_why: bytes = b""  # option of the other answer

    def of(self, address: bytes) -> tuple[Entry, bytes]:
        """Return an asker's answers, and an option that goes with them."""
        if self.audience.has(address):
            return self.entry, self.entry_why
        return self.refusal, self.why

    def kept(self) -> Guarded:
        """Return the same in the form in which it is quickest to send again."""
        return self._replace(entry=self.entry.kept())


class Explained(NamedTuple):
    """The answers to one exact message, and the option that tells why they are an error."""

    entry: Entry
    why: bytes

    def of(self, _address: bytes) -> tuple[Entry, bytes]:
        """Return the answers, and the option that goes with them."""
        return self.entry, self.why

    def whole(self) -> Entry:
        """Return the answers with the option in them."""
        return self.entry.extended(self.why)


Kept = Entry | Explained | Guarded


class Turning(NamedTuple):
    """Records that take turns in standing first."""

    records: tuple[bytes, ...]
    most: int  # of them in one answer


class Reply:
    """The answer to a kind of question."""

    __slots__ = (
        "_additional",
        "_answer",
        "_authority",
        "_flags",
        "_forms",
        "_turning",
        "rotation",
        "why",
    )

    def __init__(
        self,
        rotation: Rotation,
        *,
        rcode: Rcode = Rcode.NOERROR,
        aa: bool = True,
        answer: Section = EMPTY,
        authority: Section = EMPTY,
        additional: Section = EMPTY,
        turning: Turning | None = None,
        why: bytes = b"",
    ) -> None:
        self.rotation = rotation
        self.why = why  # the option of an extended error, for queries with OPT
        self._flags = QR | (AA if aa else 0) | rcode
        self._answer = answer
        self._authority = authority
        self._additional = additional
        self._turning = turning
        self._forms: list[_Form | None] = [None, None, None]

    def entry(self, query: Query, most: int) -> Entry:
        """Return the answers to a query, each in at most `most` bytes."""
        kind = _form_of(query.edns)
        form = self._forms[kind] or self._encode(kind)
        head = (form.lead_rd if query.flags & RD else form.lead) + query.question
        length = 2 + len(head) + form.body_bytes
        if length > most:
            return self._shorter(query, kind, most)
        return Entry(Joined(head, form.bodies), self.rotation, length)

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

    def _shorter(self, query: Query, kind: int, most: int) -> Entry:
        """Return the answer without its additional records, or else nothing but TC.

        What is only additional may be left out unsaid (RFC 2181, section 9).
        """
        if self._turning is not None:
            return self._fewer(query, kind, most, self._turning)
        body = self._answer[1] + self._authority[1] + _OPTS[kind]
        if HEADER_BYTES + len(query.question) + len(body) > most:
            return cut_off(query, self.rotation, self._flags)
        flags = self._flags | (query.flags & RD)
        counts = _counts(self._answer[0], self._authority[0], kind != _PLAIN)
        head = flags.to_bytes(2, "big") + counts + query.question
        return Entry((head + body,), self.rotation, 2 + len(head) + len(body))

    def _fewer(self, query: Query, kind: int, most: int, turning: Turning) -> Entry:
        """Return the answers with as many addresses as there is room for, and no TC.

        They are a choice from the members anyway, and firmware takes the first.
        """
        fixed = HEADER_BYTES + len(query.question) + len(_OPTS[kind])
        count = max((most - fixed) // records.A_RECORD_BYTES, 1)
        flags = self._flags | (query.flags & RD)
        head = flags.to_bytes(2, "big") + _counts(count, 0, kind != _PLAIN) + query.question
        answers = Fewer(head, turning.records, count, _OPTS[kind])
        return Entry(answers, self.rotation, fixed + count * records.A_RECORD_BYTES)


class _Form(NamedTuple):
    """A reply for one kind of asker."""

    lead: bytes  # flags and counts
    lead_rd: bytes  # the same for a query with RD
    bodies: tuple[bytes, ...]
    body_bytes: int


def room(edns: Edns | None, query_bytes: int) -> int:
    """Return how many bytes an asker gets over UDP (RFC 6891, section 6.2.3)."""
    most = MOST_AMPLIFICATION * query_bytes
    if edns is None:
        return min(LEAST_PAYLOAD, most)
    return min(max(LEAST_PAYLOAD, min(edns.payload, records.OUR_PAYLOAD)), most)


def cut_off(query: Query, rotation: Rotation, flags: int = QR) -> Entry:
    """Return the answer that has nothing but TC: the asker shall come over TCP."""
    kind = _form_of(query.edns)
    head = (flags | TC | (query.flags & RD)).to_bytes(2, "big") + _counts(0, 0, kind != _PLAIN)
    answer = head + query.question + _OPTS[kind]
    return Entry((answer,), rotation, 2 + len(answer))


def _form_of(edns: Edns | None) -> int:
    return _PLAIN if edns is None else _WITH_DO if edns.wants_dnssec else _WITH_OPT


def most_addresses(name: bytes) -> int:
    """Return how many A records fit the smallest answer, with OPT, for a name."""
    left = LEAST_PAYLOAD - HEADER_BYTES - len(name) - 4 - OPT_BYTES
    return left // records.A_RECORD_BYTES


def _turns(turning: Sequence[bytes], most: int, opt: bytes) -> list[bytes]:
    return [b"".join(at_turn(turning, turn, most)) + opt for turn in range(len(turning))]


def _counts(answers: int, authorities: int, additionals: int) -> bytes:
    numbers = (1, answers, authorities, additionals)
    return b"".join(number.to_bytes(2, "big") for number in numbers)
