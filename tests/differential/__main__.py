"""Write docs/differences.md: `python -m tests.differential`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.differential.compare import Findings, compare
from tests.differential.questions import COUNT, questions
from tests.differential.servers import SERVERS, ask
from tests.peers import ROOT

PAGE = ROOT / "docs" / "differences.md"


def find(directory: Path) -> Findings:
    """Ask all servers all questions, and compare."""
    every = list(questions())
    messages = [question.wire for question in every]
    answers = {}
    for name, serve in SERVERS.items():
        place = directory / name
        place.mkdir()
        with serve(place) as port:
            answers[name] = ask(port, messages)
    return compare(every, answers.pop("rrdns"), answers)


def main() -> int:
    """Write the page; say what it does not explain."""
    with tempfile.TemporaryDirectory() as directory:
        findings = find(Path(directory))
    PAGE.write_text(findings.page(COUNT))
    for line in (*findings.unexplained, *findings.unused):
        sys.stderr.write(f"{line}\n")
    return 1 if findings.unexplained or findings.unused else 0


if __name__ == "__main__":
    sys.exit(main())
