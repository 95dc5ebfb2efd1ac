"""Find every difference in the answers of two servers, and the rule that explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.differential.questions import Question
from tests.differential.rules import BOTH, RULES, Case, Rule, explanation
from tests.differential.views import RATIONED, Difference, View, difference, rationed, view

RATIONS = ("nsd",)  # these answer only some malformed messages when there are many
HEAD = """# How the answers of rrdns differ from those of Knot DNS and NSD

`tests/differential` sends {count:,} generated queries about the same zones to rrdns, Knot DNS and
NSD over UDP: names inside and outside the zones, at the apex, below leaves, and in mixed case;
all kinds of types, classes, opcodes and header bits; EDNS in many forms. One in eight is
malformed. It compares RCODE, header, question, all sections and OPT.

Every difference must have a row here. A row without a difference fails the test, too.
`make differences` writes this page. The last column is the number of queries with the difference
(Knot DNS / NSD, in their versions of Debian 12).

NSD answers only a limited number of malformed messages a second. So for NSD, FORMERR, NOTIMP and
silence count as the same answer.

| questions | aspect | rrdns | theirs | whose | why | how often |
|---|---|---|---|---|---|---|
"""


@dataclass(slots=True)
class Findings:
    """What a comparison found."""

    seen: Counter[tuple[Rule, str]] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    @property
    def unused(self) -> list[str]:
        """Return the rules that explained nothing at one of their peers."""
        return [
            f"{rule.about}, {rule.aspect}, {peer}"
            for rule in RULES
            for peer in rule.peers
            if not self.seen[rule, peer]
        ]

    def page(self, count: int) -> str:
        """Return docs/differences.md."""
        return HEAD.format(count=count) + "".join(f"{_row(rule, self.seen)}\n" for rule in RULES)


Answers = Sequence[bytes | None]


def compare(
    questions: Sequence[Question], ours: Answers, theirs: Mapping[str, Answers]
) -> Findings:
    """Compare rrdns's answers with those of its peers."""
    findings = Findings()
    for peer, answers in theirs.items():
        for question, mine, other in zip(questions, ours, answers, strict=True):
            _compare(findings, peer, question, mine, other)
    return findings


def _compare(
    findings: Findings, peer: str, question: Question, mine: bytes | None, other: bytes | None
) -> None:
    ours, theirs = view(mine), view(other)
    for aspect, both in _difference(peer, ours, theirs).items():
        case = Case(question, ours, theirs)
        rule = explanation(peer, aspect, both, case)
        if rule is None:
            findings.unexplained.append(f"{peer}, {aspect}: {both} for {question}")
        else:
            findings.seen[rule, peer] += 1


def _difference(peer: str, ours: View, theirs: View) -> Difference:
    if peer not in RATIONS:
        return difference(ours, theirs)
    theirs = rationed(theirs)
    return difference(rationed(ours) if theirs["kind"] == RATIONED else ours, theirs)


def _row(rule: Rule, seen: Counter[tuple[Rule, str]]) -> str:
    often = " / ".join(f"{seen[rule, peer]:,}" if peer in rule.peers else "-" for peer in BOTH)
    cells = (
        rule.about,
        rule.aspect,
        _words(rule.ours),
        _words(rule.theirs),
        " and ".join({"knot": "Knot DNS", "nsd": "NSD"}[peer] for peer in rule.peers),
        rule.why,
        often,
    )
    return f"| {' | '.join(cells)} |"


def _words(values: tuple[str, ...]) -> str:
    """Return what an aspect may be; where anything may be, the reason says what."""
    return ", or ".join({"-": "none"}.get(one, one) for one in values) or "any"
