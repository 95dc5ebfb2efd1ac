"""Every difference to other servers, with its reason: docs/differences.md as data.

A rule explains one aspect of the answers to the questions that it is about. One that
explains nothing any more has to go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.differential import questions as ask
from tests.differential.questions import Question
from tests.differential.views import AUTHORITATIVE, RATIONED, View

BOTH = ("knot", "nsd")
_LOOKED_UP = ("NODATA", "NXDOMAIN", "REFUSED")
_ANY_CLASS = 255
_UNREADABLE = (
    "cut off in the question",
    "two questions",
    "more questions promised",
    "a pointer to itself",
    "a pointer forwards",
    "a pointer in a loop",
    "an unknown label type",
    "a name of more than 255 octets",
)
_RECORDS = ("an answer in the query", "an authority in the query", "an additional record")
_BAD_OPTS = (
    "OPT twice",
    "OPT outside the additional section",
    "half an option",
    "an option that overruns",
    "bytes behind the message",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A question, and what rrdns and a peer answered."""

    question: Question
    ours: View
    theirs: View


@dataclass(frozen=True, slots=True)
class Rule:
    """A difference that is meant."""

    about: str  # the questions that it is about
    peers: tuple[str, ...]
    aspect: str
    ours: tuple[str, ...]  # what we may say there; empty: anything
    theirs: tuple[str, ...]
    holds: Callable[[Case], bool]
    why: str

    def explains(self, peer: str, aspect: str, both: tuple[str, str], case: Case) -> bool:
        """Tell whether this is the reason why an aspect differs."""
        ours, theirs = both
        return (
            peer in self.peers
            and f"{aspect} ".startswith(f"{self.aspect} ")
            and (not self.ours or ours in self.ours)
            and (not self.theirs or theirs in self.theirs)
            and self.holds(case)
        )


def _types(*rtypes: int) -> Callable[[Case], bool]:
    return lambda case: case.question.rtype in rtypes


def _damage(*kinds: str) -> Callable[[Case], bool]:
    return lambda case: case.question.damage in kinds


def _opcode(*opcodes: int) -> Callable[[Case], bool]:
    return lambda case: case.question.opcode in opcodes


def _option(*options: str) -> Callable[[Case], bool]:
    return lambda case: (
        case.question.edns is not None
        and any(option in case.question.edns.options for option in options)
    )


def _large(case: Case) -> bool:
    return case.question.rtype == ask.A and case.question.name.lower().startswith("large.")


def _rclass(case: Case) -> bool:
    return case.question.rclass == _ANY_CLASS


def _other_class(case: Case) -> bool:
    return case.question.rclass not in (ask.IN, _ANY_CLASS)


def _version(case: Case) -> bool:
    return case.question.edns is not None and case.question.edns.version > 0


def _rcode(case: Case) -> bool:
    return bool(case.question.flags & 15)


def _payload_of_one(case: Case) -> bool:
    return case.question.edns is not None and case.question.edns.payload == 1


def _they_err(case: Case) -> bool:
    return case.theirs["kind"] not in AUTHORITATIVE


RULES = (
    Rule(
        "refusals and errors, asked with EDNS",
        BOTH,
        "option 15",
        ("-",),
        ("yes",),
        lambda case: case.question.edns is not None or case.question.damage == "OPT with a name",
        "RFC 8914, section 2: an extended error is optional; ours would contain no more than the "
        "RCODE",
    ),
    Rule(
        "names outside the zones, asked with EDNS",
        ("knot",),
        "option 15",
        ("yes",),
        ("-",),
        lambda case: case.question.where == "outside",
        "RFC 8914, section 4.21: the error shows that the server is not authoritative for the name",
    ),
    Rule(
        "client subnets",
        BOTH,
        "option 8",
        ("yes",),
        ("-",),
        _option("subnet"),
        "RFC 7871, section 7.2.1: with scope 0 a cache uses the answer for all clients; theirs "
        "ignores the option",
    ),
    Rule(
        "cookies",
        ("knot",),
        "option 10",
        ("yes",),
        ("-",),
        _option("cookie"),
        "RFC 7873: theirs has cookies in a module, which refuses clients without a cookie",
    ),
    Rule(
        "malformed client subnets",
        BOTH,
        "kind",
        ("FORMERR",),
        (),
        _option("subnet cut off", "subnet with a scope", "subnet of no family"),
        "RFC 7871, section 7.1.2: FORMERR; theirs does not check it",
    ),
    Rule(
        "malformed cookies",
        BOTH,
        "kind",
        ("FORMERR",),
        (),
        _option("short cookie", "long cookie"),
        "RFC 7873, section 5.2.2: FORMERR; theirs does not check it",
    ),
    Rule(
        "many addresses, without cookie",
        BOTH,
        "answer",
        (),
        (),
        _large,
        "an answer over UDP has at most four times the bytes of its query (docs/answers.md)",
    ),
    Rule(
        "EDNS version 1 or more, with options",
        ("knot",),
        "option 3",
        ("-",),
        ("yes",),
        _version,
        "RFC 6891, section 6.1.3: the meaning of options in that version is unknown",
    ),
    Rule(
        "no question, with a cookie",
        ("knot",),
        "kind",
        ("NOERROR, empty",),
        ("FORMERR",),
        _damage("no question"),
        "RFC 7873, section 5.4: a query for a cookie needs no question",
    ),
    Rule(
        "opcode NOTIFY, with options",
        ("nsd",),
        "option",
        ("yes",),
        ("-",),
        _opcode(4),
        "theirs has no OPT record there",
    ),
    Rule(
        "bytes behind the message, with options",
        ("nsd",),
        "option",
        ("-",),
        ("yes",),
        _damage("bytes behind the message"),
        "theirs answers as if the message were valid",
    ),
    Rule(
        "type ANY",
        BOTH,
        "answer",
        (),
        (),
        _types(ask.ANY),
        "RFC 8482, section 4.2: HINFO; theirs is a record set of the name (section 4.1), and "
        "addresses that a resolver cached from it would not rotate",
    ),
    Rule(
        "type ANY at the top of a zone",
        ("knot",),
        "additional",
        ("-",),
        (),
        _types(ask.ANY),
        "theirs answers with the NS records and their glue",
    ),
    Rule(
        "types OPT, TKEY and TSIG",
        BOTH,
        "kind",
        ("FORMERR",),
        _LOOKED_UP,
        _types(ask.OPT, ask.TKEY, ask.TSIG),
        "RFC 6891, section 6.1.1; RFC 8945, section 4.1; RFC 2930, section 2: no name has "
        "records of these types; theirs looks them up like any type",
    ),
    Rule(
        "types MAILA and MAILB",
        BOTH,
        "kind",
        ("NOTIMP",),
        _LOOKED_UP,
        _types(ask.MAILA, ask.MAILB),
        "RFC 1035, section 3.2.3: obsolete question types; theirs looks them up like any type",
    ),
    Rule(
        "type 0",
        ("knot",),
        "kind",
        ("NODATA", "NXDOMAIN", "REFUSED"),
        ("NOTIMP",),
        _types(0),
        "RFC 6895, section 3.1: 0 is reserved; RFC 3597, section 5: an unknown type is looked up",
    ),
    Rule(
        "full transfers over UDP",
        BOTH,
        "kind",
        ("REFUSED",),
        ("NOTIMP", RATIONED),
        _types(ask.AXFR),
        "RFC 5936, sections 2.2.1 and 4.2: undefined over UDP, and refused over TCP; rrdns answers "
        "the same over both",
    ),
    Rule(
        "incremental transfers",
        BOTH,
        "kind",
        ("REFUSED", "FORMERR"),
        ("NOTAUTH", "NOTIMP"),
        _types(ask.IXFR),
        "RFC 5936, section 2.2.1: rrdns refuses transfers; theirs first reports that a record "
        "is missing, which RFC 1995 requires",
    ),
    Rule(
        "class ANY, name in a zone",
        BOTH,
        "kind",
        ("REFUSED",),
        (
            *AUTHORITATIVE,
            "answer without AA",
            "NOERROR, empty",
            "NXDOMAIN, empty",
            "NOTIMP",
            "NOTAUTH",
        ),
        _rclass,
        "rrdns serves only class IN; RFC 1035, section 6.2: an answer to class ANY should never "
        "be authoritative, and a boot answer always is",
    ),
    Rule(
        "opcodes NOTIFY and UPDATE",
        BOTH,
        "kind",
        ("NOTIMP",),
        ("NOTAUTH", "FORMERR", "REFUSED", "NXDOMAIN, empty", "NXDOMAIN"),
        _opcode(4, 5),
        "RFC 1035, section 4.1.1: rrdns is not a secondary and accepts no updates, so it "
        "implements neither opcode",
    ),
    Rule(
        "other opcodes, with EDNS version 1 or more",
        ("knot",),
        "kind",
        ("NOTIMP",),
        ("BADVERS",),
        lambda case: case.question.opcode > 0 and _version(case),
        "RFC 6891, section 6.1.3, and RFC 1035, section 4.1.1: two errors in one query; a server "
        "may report either",
    ),
    Rule(
        "other opcodes, class not IN",
        ("knot",),
        "kind",
        ("NOTIMP",),
        ("REFUSED",),
        lambda case: case.question.opcode > 0 and case.question.rclass != ask.IN,
        "RFC 1035, section 4.1.1: two errors in one query; the meaning of the class depends on "
        "the opcode",
    ),
    Rule(
        "no readable question",
        ("knot",),
        "kind",
        ("FORMERR",),
        ("silence",),
        _damage(*_UNREADABLE),
        "RFC 1035, section 4.1.1, and RFC 9619, section 4: with FORMERR the client has the error "
        "at once, without a timeout; the answer is shorter than the query",
    ),
    Rule(
        "no question, EDNS version 1 or more",
        ("knot",),
        "kind",
        ("FORMERR",),
        ("BADVERS",),
        lambda case: case.question.damage == "no question" and _version(case),
        "RFC 9619, section 4, and RFC 6891, section 6.1.3: two errors in one query; a server may "
        "report either",
    ),
    Rule(
        "no question",
        ("nsd",),
        "kind",
        ("FORMERR",),
        ("NOERROR, empty", "BADVERS"),
        _damage("no question"),
        "RFC 9619, section 4: a query has one question; RFC 7873, section 5.4, allows none only "
        "in a query for a cookie",
    ),
    Rule(
        "OPT with a name",
        ("knot",),
        "kind",
        ("FORMERR",),
        (),
        _damage("OPT with a name"),
        "RFC 6891, section 6.1.2: its name must be the root; theirs does not check it",
    ),
    Rule(
        "malformed behind the question",
        ("knot",),
        "OPT",
        (),
        ("-",),
        lambda case: case.question.damage in _BAD_OPTS and case.theirs["kind"] == "FORMERR",
        "RFC 6891, section 7: the response to a query with OPT has OPT; ours has it if one could "
        "be read",
    ),
    Rule(
        "a payload size of 1",
        ("knot",),
        "kind",
        (),
        ("FORMERR",),
        _payload_of_one,
        "RFC 6891, section 6.2.3: a size below 512 means 512; theirs treats this size as an error",
    ),
    Rule(
        "a payload size of 1",
        ("knot",),
        "OPT",
        (),
        ("-",),
        _payload_of_one,
        "RFC 6891, section 7: the response to a query with OPT has OPT",
    ),
    Rule(
        "signed with an unknown key",
        ("knot",),
        "kind",
        ("NOTAUTH",),
        ("REFUSED", "NOTIMP"),
        _damage("signed with an unknown key"),
        "RFC 8945, section 5.2.1: the response to an unknown key is NOTAUTH with BADKEY; theirs "
        "looks for the zone first",
    ),
    Rule(
        "signed with an unknown key",
        ("knot",),
        "signature",
        ("TSIG",),
        ("-",),
        _damage("signed with an unknown key"),
        "RFC 8945, section 5.2.1: BADKEY is in a TSIG record",
    ),
    Rule(
        "an RCODE in the query",
        ("nsd",),
        "kind",
        (),
        (RATIONED,),
        _rcode,
        "RFC 1035, section 4.1.1: the field is for responses, and rrdns ignores it in a query; "
        "theirs treats the query as malformed",
    ),
    Rule(
        "records in a query",
        ("nsd",),
        "kind",
        (),
        (RATIONED,),
        _damage(*_RECORDS),
        "RFC 9619, section 3, has rules only for questions; rrdns ignores records that a query "
        "does not need (docs/answers.md); theirs treats the query as malformed",
    ),
    Rule(
        "bytes behind the message",
        ("nsd",),
        "kind",
        ("FORMERR",),
        (),
        _damage("bytes behind the message"),
        "RFC 1035, section 4.1: a message ends with its last record; theirs ignores a few bytes",
    ),
    Rule(
        "class not IN",
        ("nsd",),
        "question",
        (),
        ("-",),
        lambda case: _other_class(case) and case.theirs["kind"] == "REFUSED",
        "every error response has the question, as far as it could be read; iPXE drops an answer "
        "without its question",
    ),
    Rule(
        "opcode NOTIFY",
        ("nsd",),
        "question",
        (),
        ("-",),
        _opcode(4),
        "every error response has the question, as far as it could be read, so that the client can "
        "match it",
    ),
    Rule(
        "opcode NOTIFY",
        ("nsd",),
        "OPT",
        (),
        ("-",),
        _opcode(4),
        "RFC 6891, section 7: the response to a query with OPT has OPT",
    ),
    Rule(
        "incremental transfers with OPT in the wrong section",
        ("nsd",),
        "OPT",
        (),
        ("-",),
        lambda case: case.question.rtype == ask.IXFR and "OPT" in case.question.damage,
        "RFC 6891, section 7: the response to a query with OPT has OPT",
    ),
    Rule(
        "signed with an unknown key",
        ("nsd",),
        "question",
        (),
        ("-",),
        _damage("signed with an unknown key"),
        "RFC 8945, section 5.3.2: an error response has the question, as any response",
    ),
    Rule(
        "EDNS version 1 or more, with DO",
        ("nsd",),
        "OPT",
        (),
        ("version 0, 1232 octets, flags 0000",),
        _version,
        "RFC 6891, section 6.1.3, does not mention DO for BADVERS; RFC 3225, section 3: it is "
        "copied",
    ),
    Rule(
        "header bits in errors",
        ("nsd",),
        "flags",
        (),
        (),
        _they_err,
        "RFC 1035, section 4.1.1, and RFC 4035, section 3.1.6: RD is copied, all else is clear; "
        "theirs leaves the bits of the query in some errors",
    ),
)


def explanation(peer: str, aspect: str, both: tuple[str, str], case: Case) -> Rule | None:
    """Return the first rule that explains a difference."""
    return next((rule for rule in RULES if rule.explains(peer, aspect, both, case)), None)
