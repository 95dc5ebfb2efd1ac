"""What takes long shows how far it is, on a terminal and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from rrdns.cli.terminal import progress
from rrdns.cli.terminal.progress import counting


class Terminal(io.StringIO):
    """Standard error of somebody who watches."""

    def isatty(self) -> bool:
        return True


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return what is written to standard error from now on."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    return terminal


def test_what_takes_long_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is gone again at the end."""
    terminal = a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "SHOWN_AFTER", -1.0)
    assert list(counting(range(30), "answers", 30)) == list(range(30))
    said = terminal.getvalue()
    assert "answers" in said
    assert "30/30" in said
    assert said.rstrip().endswith("\x1b[2K")  # the line is wiped


def test_what_is_quick_or_piped_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flash of a bar would only disturb."""
    terminal = a_terminal(monkeypatch)
    assert list(counting(range(3), "answers", 3)) == [0, 1, 2]
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "SHOWN_AFTER", -1.0)
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    assert list(counting(iter("ab"), "entries")) == ["a", "b"]
    assert terminal.getvalue() == ""
