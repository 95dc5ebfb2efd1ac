"""Templates: fields, lists within lists, and mistakes with their line."""

from __future__ import annotations

import pytest

from rrdns.export.errors import TemplateInvalid
from rrdns.export.file.template import Item, fill

FIELDS: Item = {
    "who": "rrdns",
    "pools": [
        {"pool": "a", "members": [{"address": "10.0.0.1"}, {"address": "10.0.0.2"}]},
        {"pool": "b", "members": []},
    ],
}


def test_lists_repeat_their_lines_with_the_fields_around_them() -> None:
    """An inner line sees the fields of every list that it stands in."""
    text = "# $who\n%each pools\n  %each members\n$pool ${address}:69 $$x\n  %end\n%end\nend"
    assert fill("t", text, FIELDS) == "# rrdns\na 10.0.0.1:69 $x\na 10.0.0.2:69 $x\nend"


def test_a_doubled_percent_sign_begins_a_line_with_one() -> None:
    """What looks like an instruction can still be written."""
    assert fill("t", "%%each 100% of $who\n", FIELDS) == "%each 100% of rrdns\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\n$nobody\n", "template t, line 2: there is no field $nobody here"),
        ("a $pools\n", "template t, line 1: there is no field $pools here"),
        ("5 $\n", "template t, line 1: a lone $; a dollar is written $$"),
        ("%each nobody\n%end\n", "template t, line 1: there is no list 'nobody' here"),
        ("%each who\n%end\n", "template t, line 1: there is no list 'who' here"),
        ("\n%each pools\n", "template t, line 2: an %each without its %end"),
        ("%end\n", "template t, line 1: an %end without its %each"),
        ("%eac pools\n", "template t, line 1: '%eac pools' is no %each LIST and no %end"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, sentence: str) -> None:
    """Whoever writes a template is told where it is wrong, and how."""
    with pytest.raises(TemplateInvalid) as caught:
        fill("t", text, FIELDS)
    assert str(caught.value) == sentence
