"""docs/security.md tells the truth: bounds are the code's, tests exist, factors are measured."""

from __future__ import annotations

import importlib
import re

import pytest

from rrdns.wire.answers.response import MAX_AMPLIFICATION
from tests.differential import servers
from tests.differential.questions import questions
from tests.fuzz.corpus import corpus
from tests.net import amplification
from tests.net.documented import function_exists, message, rows
from tests.wire.sample_zones import respond

TEXT = amplification.PAGE.read_text()
BOUNDS = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| (`[^`|]+`|-) \| ([^|]+) \| `(tests/[^`|]+)` \|$", TEXT, re.MULTILINE
)
OTHER_ROWS = 2 + 2 + 2  # heads and rules of the three tables


def test_the_page_has_bounds() -> None:
    """A row that is written otherwise than the others would be passed over."""
    section = TEXT.split("## What input can make grow")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(BOUNDS) == len(lines) - OTHER_ROWS > 45


@pytest.mark.parametrize(("what", "bound", "place", "_", "_test"), BOUNDS)
def test_each_bound_is_the_codes(what: str, bound: str, place: str, _: str, _test: str) -> None:
    """The number in the row is that of the constant which it names."""
    if place == "-":
        return
    module, _, expression = place.strip("`").partition(":")
    value = eval(expression, vars(importlib.import_module(module)))
    number = re.match(r"[\d,]+", bound)
    assert number is not None, what
    assert int(number.group().replace(",", "")) == value


@pytest.mark.parametrize("name", sorted({row[4] for row in BOUNDS}))
def test_each_bound_has_its_test(name: str) -> None:
    """It is there, under the name that the row has."""
    assert function_exists(name)


def test_the_amplification_is_as_measured() -> None:
    """`python -m tests.net.amplification` writes the table."""
    assert amplification.written() == list(amplification.lines())


def test_no_answer_over_udp_is_longer_than_four_times_its_query() -> None:
    """Of every kind in the tables, the documented messages, and 20,000 questions of all sorts."""
    tables = (amplification.table(), servers.table())
    asked = [message(row) for column in ("query", "message", "asked") for row in rows(column)]
    asked += corpus("dns").values()
    asked += [b"\0\1" + question.wire for question in questions()]
    assert len(asked) > 20_000
    worst = max(
        (len(answer) / len(sent), sent)
        for sent in asked
        for table in tables
        if (answer := respond(sent, table, amplification.ADDRESS))
    )
    assert 2 < worst[0] <= MAX_AMPLIFICATION
