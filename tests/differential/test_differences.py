"""rrdns answers as Knot DNS and NSD do, but for what docs/differences.md explains."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.__main__ import PAGE, find
from tests.differential.questions import COUNT, questions
from tests.peers import peer

pytestmark = pytest.mark.peers


@pytest.mark.long
def test_every_difference_to_other_servers_is_explained(tmp_path: Path) -> None:
    """And every explanation is still needed; the page says what was found."""
    peer("knotd")
    peer("nsd")
    findings = find(tmp_path)
    assert not findings.unexplained[:10], "a defect of ours, or a rule for rules.py"
    assert not findings.unused, "these rules explain nothing any more"
    assert PAGE.read_text() == findings.page(COUNT), "`make differences` writes the page anew"


def test_the_questions_are_always_the_same() -> None:
    """So that what one run finds, the next one finds."""
    first = list(questions(500))
    assert first == list(questions(500))
    assert len({question.wire for question in first}) > 400
