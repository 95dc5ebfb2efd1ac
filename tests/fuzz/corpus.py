"""The inputs that are kept: what was found to matter, beside the seeds.

tests/corpus has a file for each target, with one input a line as a Python literal behind
its name, so that what was found can be read, searched and reviewed. The names begin with
"reaches" (it reaches code that nothing before it does; `tests.fuzz.keep` writes these) or
with "found" (it once broke something).
"""

from __future__ import annotations

import ast
from pathlib import Path

from tests.peers import ROOT

FOLDER = ROOT / "tests" / "corpus"
SEPARATOR = ": "


def corpus(target: str) -> dict[str, bytes]:
    """Return the inputs kept for a target, by their names."""
    kept: dict[str, bytes] = {}
    for line in path_of(target).read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, separator, literal = line.partition(SEPARATOR)
        data = ast.literal_eval(literal)
        if not separator or name in kept or not isinstance(data, bytes):
            raise ValueError(f"{target}: {line[:80]}")
        kept[name] = data
    return kept


def keep(target: str, kept: dict[str, bytes]) -> None:
    """Write a target's file anew."""
    lines = [line_for(name, data) for name, data in kept.items()]
    path_of(target).write_text("\n".join(lines) + "\n")


def path_of(target: str) -> Path:
    """Return the file with a target's inputs."""
    return FOLDER / f"{target}.txt"


def line_for(name: str, data: bytes) -> str:
    """Return the line that keeps an input."""
    return f"{name}{SEPARATOR}{data!r}"
