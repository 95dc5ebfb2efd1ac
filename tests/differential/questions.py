"""Twenty thousand questions from a fixed seed: what resolvers ask, what nobody should, and rubbish.

Each question knows how it was made, so that a rule about a difference can name its cause.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from struct import pack

SEED = 4
COUNT = 20_000

A, NS, CNAME, SOA, AAAA, OPT, DS, TKEY, TSIG = 1, 2, 5, 6, 28, 41, 43, 249, 250
IXFR, AXFR, MAILB, MAILA, ANY = 251, 252, 253, 254, 255
IN, CH, NONE = 1, 3, 254
QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x400, 0x200, 0x100, 0x80, 0x40, 0x20, 0x10
NSID, ECS, COOKIE, KEEPALIVE, PADDING, UNKNOWN = 3, 8, 10, 11, 12, 65001

ZONE = "pvs.example.test"
NAMES = {
    "boot": [f"boot.{ZONE}", f"deep.site.{ZONE}", f"lone.{ZONE}", f"large.{ZONE}"],
    "nameserver": [f"ns1.{ZONE}"],
    "top": [ZONE],
    "boot top": ["apex.test"],
    "empty non-terminal": [f"site.{ZONE}"],
    "nothing": [f"nope.{ZONE}", f"a.b.c.{ZONE}", f"*.{ZONE}", f"{'x' * 63}.{ZONE}", "a.apex.test"],
    "below a leaf": [f"x.boot.{ZONE}", f"*.lone.{ZONE}", f"x.y.ns1.{ZONE}", f"b.deep.site.{ZONE}"],
    "outside": [
        "www.example.com",
        "example.test",
        "test",
        ".",
        f"not{ZONE}",
        "2.0.192.in-addr.arpa",
    ],
}
TYPES = [A] * 8 + [NS, SOA, AAAA, AAAA, CNAME, DS, ANY] * 2
RARE_TYPES = [12, 13, 15, 16, 24, 25, 33, 35, 46, 47, 48, 50, 52, 64, 65, 257]
ODD_TYPES = [0, 3, 4, OPT, TKEY, TSIG, IXFR, AXFR, MAILB, MAILA, 128, 65280, 65535]
CLASSES = [0, 2, CH, 4, NONE, 255, 256, 65535]
OPCODES = [1, 2, 3, 4, 5, 6, 7, 15]
PAYLOADS = [0, 1, 100, 511, 512, 513, 1232, 1400, 4096, 65535]
OPTIONS = {
    "nsid": (NSID, b""),
    "subnet": (ECS, b"\0\1\x18\0\xc0\0\2"),
    "cookie": (COOKIE, b"8 octets"),
    "keepalive": (KEEPALIVE, b""),
    "padding": (PADDING, bytes(40)),
    "unknown": (UNKNOWN, b"\xab\xcd"),
}
BROKEN_OPTIONS = {
    "short cookie": (COOKIE, b"short"),
    "long cookie": (COOKIE, bytes(41)),
    "subnet cut off": (ECS, b"\0\1\x18\0"),
    "subnet with a scope": (ECS, b"\0\1\x18\x18\xc0\0\2"),
    "subnet of no family": (ECS, b"\0\x09\x18\0\xc0\0\2"),
}


@dataclass(frozen=True, slots=True)
class Edns:
    """The OPT record of a question."""

    version: int = 0
    payload: int = 1232
    flags: int = 0
    rcode: int = 0  # upper bits, which a query should not have
    options: tuple[str, ...] = ()

    def wire(self, owner: bytes = b"\0") -> bytes:
        """Return the record."""
        every = {**OPTIONS, **BROKEN_OPTIONS}
        data = b"".join(
            pack("!HH", every[one][0], len(every[one][1])) + every[one][1] for one in self.options
        )
        head = pack("!HHBBHH", OPT, self.payload, self.rcode, self.version, self.flags, len(data))
        return owner + head + data


@dataclass(frozen=True, slots=True)
class Question:
    """A message, and how it was made."""

    name: str
    where: str  # the name's place among the zones
    rtype: int
    rclass: int = IN
    flags: int = 0
    opcode: int = 0
    edns: Edns | None = None
    damage: str = ""  # what is wrong with it as a message
    wire: bytes = b""  # without the ID


def questions(count: int = COUNT, seed: int = SEED) -> Iterator[Question]:
    """Return the questions; always the same ones."""
    rng = random.Random(seed)
    damages = list(DAMAGES)
    for number in range(count):
        question = _plain(rng)
        if number % 8 == 0:
            damage = damages[number // 8 % len(damages)]
            question = replace(question, opcode=0, rclass=IN, damage=damage)
            yield replace(question, wire=DAMAGES[damage](question, rng))
        else:
            yield replace(question, wire=_message(question, rng))


def _plain(rng: random.Random) -> Question:
    where = rng.choice(list(NAMES))
    return Question(
        name=_name(rng.choice(NAMES[where]), rng),
        where=where,
        rtype=_rtype(rng),
        rclass=IN if rng.random() < 0.93 else rng.choice(CLASSES),
        flags=_flags(rng),
        opcode=0 if rng.random() < 0.95 else rng.choice(OPCODES),
        edns=_edns(rng) if rng.random() < 0.5 else None,
    )


def _name(name: str, rng: random.Random) -> str:
    if rng.random() < 0.3:  # 0x20
        return "".join(rng.choice((letter.upper(), letter.lower())) for letter in name)
    return name


def _rtype(rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.7:
        return rng.choice(TYPES)
    return rng.choice(RARE_TYPES if kind < 0.85 else ODD_TYPES)


def _flags(rng: random.Random) -> int:
    if rng.random() < 0.7:
        return rng.choice((0, RD, RD | AD, CD, RD | CD))
    rare = rng.random()
    extra = QR if rare < 0.05 else rng.randrange(16) if rare < 0.15 else 0
    return rng.randrange(0x80) << 4 | extra


def _edns(rng: random.Random) -> Edns:
    common = rng.random() < 0.6
    return Edns(
        version=0 if rng.random() < 0.93 else rng.choice((1, 2, 255)),
        payload=1232 if common else rng.choice(PAYLOADS),
        flags=rng.choice((0, 0x8000)) if common else rng.choice((0x8000, 0x4000, 1, 0xFFFF)),
        rcode=0 if common else rng.choice((0, 0, 1, 255)),
        options=_options(rng),
    )


def _options(rng: random.Random) -> tuple[str, ...]:
    kind = rng.random()
    if kind < 0.5:
        return ()
    if kind < 0.9:
        return tuple(rng.sample(list(OPTIONS), rng.randint(1, 3)))
    return (rng.choice(list(BROKEN_OPTIONS)),)


def name_wire(name: str) -> bytes:
    """Return a name as it goes over the wire, case kept."""
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _asked(question: Question) -> bytes:
    return name_wire(question.name) + pack("!HH", question.rtype, question.rclass)


def _head(question: Question, *counts: int) -> bytes:
    return pack("!5H", question.flags | question.opcode << 11, *counts)


def _message(question: Question, _dice: random.Random) -> bytes:
    opt = question.edns.wire() if question.edns else b""
    return _head(question, 1, 0, 0, bool(opt)) + _asked(question) + opt


def _cut(question: Question, rng: random.Random) -> bytes:
    """Cut off in the question; what is shorter than a header has nothing to answer to."""
    whole = _head(question, 1, 0, 0, 0) + _asked(question)
    return whole[: rng.randrange(10, len(whole))]


def _runt(question: Question, rng: random.Random) -> bytes:
    return _head(question, 1, 0, 0, 0)[: rng.randrange(10)]


def _no_question(question: Question, _dice: random.Random) -> bytes:
    opt = question.edns.wire() if question.edns else b""
    return _head(question, 0, 0, 0, bool(opt)) + opt


def _two_questions(question: Question, _dice: random.Random) -> bytes:
    return _head(question, 2, 0, 0, 0) + _asked(question) * 2


def _two_promised(question: Question, rng: random.Random) -> bytes:
    return _head(question, rng.choice((2, 65535)), 0, 0, 0) + _asked(question)


def _trailing(question: Question, rng: random.Random) -> bytes:
    return _message(question, rng) + rng.randbytes(rng.randint(1, 20))


def _record_promised(question: Question, rng: random.Random) -> bytes:
    counts = [0, 0, 0]
    counts[rng.randrange(3)] = rng.choice((1, 2, 65535))
    return _head(question, 1, *counts) + _asked(question)


def _self_pointer(question: Question, _dice: random.Random) -> bytes:
    return _head(question, 1, 0, 0, 0) + b"\xc0\x0c" + pack("!HH", question.rtype, IN)


def _forward_pointer(question: Question, _dice: random.Random) -> bytes:
    asked = b"\xc0\x12" + pack("!HH", question.rtype, IN)
    return _head(question, 1, 0, 0, 0) + asked + name_wire(question.name)


def _late_pointer(question: Question, _dice: random.Random) -> bytes:
    """Return a label, then a pointer back to it: a loop."""
    return _head(question, 1, 0, 0, 0) + b"\1a\xc0\x0c" + pack("!HH", question.rtype, IN)


def _label_type(question: Question, rng: random.Random) -> bytes:
    odd = bytes([rng.choice((0x40, 0x41, 0x80, 0xBF))])
    return _head(question, 1, 0, 0, 0) + odd + _asked(question)


def _long_name(question: Question, _dice: random.Random) -> bytes:
    name = (b"\x3f" + b"l" * 63) * 4 + name_wire(question.name)
    return _head(question, 1, 0, 0, 0) + name + pack("!HH", question.rtype, IN)


def _longest_name(question: Question, _dice: random.Random) -> bytes:
    """Return a question with a name of just 255 octets, which is sound."""
    tail = name_wire(question.name)
    left = 255 - len(tail)
    name = b""
    while left:
        size = left if left <= 64 else min(64, left - 2)
        name += bytes([size - 1]) + b"l" * (size - 1)
        left -= size
    return _head(question, 1, 0, 0, 0) + name + tail + pack("!HH", question.rtype, IN)


def _opt(question: Question) -> Edns:
    return replace(question.edns or Edns(), version=0, options=())


def _two_opts(question: Question, _dice: random.Random) -> bytes:
    return _head(question, 1, 0, 0, 2) + _asked(question) + _opt(question).wire() * 2


def _named_opt(question: Question, _dice: random.Random) -> bytes:
    return _head(question, 1, 0, 0, 1) + _asked(question) + _opt(question).wire(b"\1a\0")


def _early_opt(question: Question, rng: random.Random) -> bytes:
    counts = rng.choice(((1, 0, 0), (0, 1, 0)))
    return _head(question, 1, *counts) + _asked(question) + _opt(question).wire()


def _opt_cut_off(question: Question, rng: random.Random) -> bytes:
    opt = _opt(question).wire()
    return _head(question, 1, 0, 0, 1) + _asked(question) + opt[: rng.randrange(len(opt))]


def _half_option(question: Question, _dice: random.Random) -> bytes:
    opt = _opt(question).wire()[:-2] + b"\0\3\0\3\0"
    return _head(question, 1, 0, 0, 1) + _asked(question) + opt


def _option_overruns(question: Question, _dice: random.Random) -> bytes:
    opt = _opt(question).wire()[:-2] + b"\0\5\0\3\0\xff\0"
    return _head(question, 1, 0, 0, 1) + _asked(question) + opt


def _record(owner: bytes, section: int, question: Question) -> bytes:
    counts = [0, 0, 0]
    counts[section] = 1
    record = owner + pack("!HHIH", A, IN, 1, 4) + b"\x7f\0\0\1"
    return _head(question, 1, *counts) + _asked(question) + record


def _answer_in_query(question: Question, _dice: random.Random) -> bytes:
    return _record(b"\xc0\x0c", 0, question)


def _authority_in_query(question: Question, _dice: random.Random) -> bytes:
    return _record(b"\xc0\x0c", 1, question)


def _additional_in_query(question: Question, _dice: random.Random) -> bytes:
    return _record(name_wire("a.test"), 2, question)


def _signed(question: Question, _dice: random.Random) -> bytes:
    data = name_wire("hmac-sha256") + bytes(6) + pack("!HH", 300, 32) + bytes(32) + bytes(6)
    record = name_wire("key") + pack("!HHIH", TSIG, 255, 0, len(data)) + data
    return _head(question, 1, 0, 0, 1) + _asked(question) + record


DAMAGES: dict[str, Callable[[Question, random.Random], bytes]] = {
    "a runt": _runt,
    "cut off in the question": _cut,
    "no question": _no_question,
    "two questions": _two_questions,
    "more questions promised": _two_promised,
    "bytes behind the message": _trailing,
    "records promised": _record_promised,
    "a pointer to itself": _self_pointer,
    "a pointer forwards": _forward_pointer,
    "a pointer in a loop": _late_pointer,
    "an unknown label type": _label_type,
    "a name of more than 255 octets": _long_name,
    "a name of 255 octets": _longest_name,
    "OPT twice": _two_opts,
    "OPT with a name": _named_opt,
    "OPT outside the additional section": _early_opt,
    "OPT cut off": _opt_cut_off,
    "half an option": _half_option,
    "an option that overruns": _option_overruns,
    "an answer in the query": _answer_in_query,
    "an authority in the query": _authority_in_query,
    "an additional record": _additional_in_query,
    "signed with an unknown key": _signed,
}
