"""Templates: fields, lists within lists, wrapped comments, and mistakes with their line."""

from __future__ import annotations

import pytest

from rrdns.template import Item, TemplateMalformed, fill

FIELDS: Item = {
    "name": "rrdns",
    "nothing": "",
    "long": " ".join(["word"] * 30),
    "pools": [
        {"pool": "a", "members": [{"address": "10.0.0.1"}, {"address": "10.0.0.2"}]},
        {"pool": "b", "members": []},
    ],
}


def test_lists_repeat_their_lines_with_the_fields_around_them() -> None:
    """An inner line can use the fields of every list around it."""
    text = "# $name\n%each pools\n  %each members\n$pool ${address}:69 $$x\n  %end\n%end\nend"
    assert fill(text, FIELDS) == "# rrdns\na 10.0.0.1:69 $x\na 10.0.0.2:69 $x\nend"


def test_a_doubled_percent_sign_begins_a_line_with_one() -> None:
    """A text that looks like a directive can still be written."""
    assert fill("%%each 100% of $name\n", FIELDS) == "%each 100% of rrdns\n"


def test_a_long_comment_is_wrapped_behind_its_mark() -> None:
    """Its fields count, its indent stays, and a word is not broken at a hyphen."""
    text = "%wrap\n    // $long. It is for boot-$name\n%end\n// $long\n"
    words = ["word"] * 30
    assert fill(text, FIELDS).splitlines() == [
        f"    // {' '.join(words[:19])}",
        f"    // {' '.join(words[19:])}. It is for boot-rrdns",
        f"// {' '.join(words)}",
    ]


def test_an_empty_comment_is_left_out_where_comments_are_wrapped() -> None:
    """So a comment that only some outputs need is a field."""
    text = "%wrap\n# $nothing\n%each pools\n# of $pool\n%end\n%end\n# $nothing\n"
    assert fill(text, FIELDS) == "# of a\n# of b\n# \n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\n$other\n", "line 2: there is no field $other here"),
        ("a $pools\n", "line 1: there is no field $pools here"),
        ("5 $\n", "line 1: a lone $; write $$ for a dollar sign"),
        ("%each other\n%end\n", "line 1: there is no list 'other' here"),
        ("%each name\n%end\n", "line 1: there is no list 'name' here"),
        ("\n%each pools\n", "line 2: %each without its %end"),
        ("\n\n%wrap\n# a\n", "line 3: %wrap without its %end"),
        ("%end\n", "line 1: %end without an %each or %wrap before it"),
        (
            "%eac pools\n",
            "line 1: '%eac pools' is not a directive; those are %each LIST, %wrap and %end",
        ),
        (
            "%wrap 80\n",
            "line 1: '%wrap 80' is not a directive; those are %each LIST, %wrap and %end",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, sentence: str) -> None:
    """The author of a template reads what is wrong, and where."""
    with pytest.raises(TemplateMalformed) as caught:
        fill(text, FIELDS)
    assert str(caught.value) == sentence
