"""Faults as words, as an admin writes them."""

from __future__ import annotations

import re

import pytest

from rrdns.lab.tftpd.faults import NONE, Faults, Step, fault_names, read_faults


def test_words_name_faults_with_their_values() -> None:
    """Hyphens for underscores; a claim alone, everything else with a value."""
    words = ["silent", "slow=0.5", "ends-after=100", "error-at=data", "error-text=no", "tsize=7"]
    assert read_faults(words) == Faults(
        silent=True, slow=0.5, ends_after=100, error_at=Step.DATA, error_text="no", tsize=7
    )
    assert read_faults([]) == NONE


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("bogus", "unknown fault 'bogus'; there are: silent, reply-from=TEXT"),
        ("slow", "write the fault 'slow' as slow=0.5"),
        ("silent=yes", "write the fault 'silent' as silent"),
        ("slow=much", "slow: 'much' is not valid; write it as slow=0.5"),
        ("error-at=end", "'end' is not valid; write it as error-at=request|options|data"),
    ],
)
def test_what_is_no_fault_is_told_with_what_would_be_one(word: str, said: str) -> None:
    """One sentence."""
    with pytest.raises(ValueError, match=re.escape(said)):
        read_faults([word])


def test_every_fault_can_be_read_as_its_example_says() -> None:
    """Whatever is offered is taken."""
    for example in fault_names():
        word = example.replace("request|options|data", "options")
        assert read_faults([word]) != NONE or "first-block" in word or word == "error-code=1"
