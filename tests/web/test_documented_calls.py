"""docs/api.md is true: every call in it is made as it stands there, and answered as it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from rrdns.timeformat import from_rfc3339
from rrdns.web.api.endpoints import ENDPOINTS
from tests.peers import ROOT, peer
from tests.web.guarded import a_watched_farm

PAGE = (ROOT / "docs/api.md").read_text()
BLOCKS = re.findall(r"^```(console|json|text)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| `([A-Z]+) (/\S*)` \| (\w+) \| (.+) \|$", re.MULTILINE)


@pytest.mark.peers
def test_each_call_is_answered_as_the_page_says(tmp_path: Path) -> None:
    """In the order of the page, with curl, by an operator."""
    peer("curl")
    with a_watched_farm(tmp_path, first_host=221) as (rrdns, servers):
        addresses = {f"10.0.0.1{n}": server.address for n, server in enumerate(servers.values(), 1)}
        variables = {"RRDNS_URL": f"http://127.0.0.1:{rrdns.api_port}", "RRDNS_TOKEN": "ops"}
        (_, prelude), *blocks = BLOCKS
        define = next(line for line in prelude.splitlines() if line.startswith("call()"))
        checked = 0
        for commands, answers in _in_groups(blocks):
            assert len(answers) == len(commands), commands
            for command, (kind, expected) in zip(commands, answers, strict=True):
                found = _run(f"{define}\n{command}", variables)
                for example, real in addresses.items():
                    found = found.replace(real, example)
                _check(kind, expected, found)
                checked += 1
        assert checked == PAGE.count("\ncall ")


def test_every_call_is_in_the_table() -> None:
    """With the role that it needs, and what it does."""
    expected = {(c.method, c.path, c.needs or "nothing", c.summary) for c in ENDPOINTS}
    assert set(ROW.findall(PAGE)) == expected


def test_the_comparison_finds_what_differs() -> None:
    """Else the test above would show nothing."""
    for expected, found in (({"a": 1}, {"a": 2}), ({"a": 1}, {}), ([1], [1, 2]), ("x...", "y")):
        assert list(_differences(expected, found, "it"))
    moment = "2026-01-31T22:00:00.000Z"
    assert not list(_differences({"a": ["...", moment]}, {"a": ["b", moment], "c": 1}, "it"))


def _in_groups(
    blocks: Sequence[tuple[str, str]],
) -> Iterator[tuple[list[str], list[tuple[str, str]]]]:
    """Return the commands of each console block with the answers that follow it."""
    commands: list[str] = []
    answers: list[tuple[str, str]] = []
    for kind, text in blocks:
        if kind == "console":
            if commands:
                yield commands, answers
            commands, answers = text.splitlines(), []
        else:
            answers.append((kind, text))
    yield commands, answers


def _run(script: str, variables: dict[str, str]) -> str:
    done = subprocess.run(
        [peer("bash"), "-c", script],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _check(kind: str, expected: str, found: str) -> None:
    if kind == "text":
        for line in expected.splitlines():
            assert any(fnmatchcase(one, line) for one in found.splitlines()), (line, found)
    else:
        assert list(_differences(json.loads(expected), json.loads(found), "answer")) == []


def _differences(expected: Any, found: Any, place: str) -> Iterator[str]:
    """Return where an answer differs from a shortened one; moments and "..." stand for others."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            if name in found:
                yield from _differences(value, found[name], f"{place}.{name}")
            else:
                yield f"{place}.{name} is not there"
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif not _is_alike(expected, found):
        yield f"{place} is {found!r}, not {expected!r}"


def _is_alike(expected: Any, found: Any) -> bool:
    if not (isinstance(expected, str) and isinstance(found, str)):
        return bool(expected == found)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", expected):
        return from_rfc3339(found) > 0
    parts = (re.escape(part) for part in expected.split("..."))
    return re.fullmatch(".*".join(parts), found) is not None
