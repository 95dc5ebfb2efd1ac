"""Write to the terminal: text and tables for people, JSON for scripts.

Colours appear only on a terminal, and never where NO_COLOR is set (rich sees to both).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rrdns.cli.terminal.durations import clock_time, format_duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 200  # columns where no terminal sets a limit: a table is not to be cut for grep


def console() -> Console:
    """Return standard output as rich writes to it."""
    from rich.console import Console

    stream = sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def print_rich(*things: RenderableType) -> None:
    """Write texts and tables, each on lines of its own."""
    out = console()
    # Captured, since rich would end the process by itself when nobody reads on.
    with out.capture() as shown:
        for thing in things:
            out.print(thing)
    _write("".join(f"{line.rstrip()}\n" for line in shown.get().splitlines()))


def print_json(value: Any) -> None:
    """Write a value for scripts."""
    _write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    """Write a value as one line, where one follows another."""
    _write(json.dumps(value, ensure_ascii=False) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()  # a closed pipe is to be noticed here, not at the interpreter's end


def printable(text: object) -> str:
    """Return what somebody else wrote (a reason, a server's error text) fit for a terminal."""
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text)
    )


def relative_time(text: str | None, now: float) -> str:
    """Return a time of the API in words: the local time, and how far off it is."""
    from rrdns.timeformat import from_rfc3339

    if text is None:
        return ""
    at = from_rfc3339(text)
    away = at - now
    distance = f"in {format_duration(away)}" if away > 0 else f"{format_duration(-away)} ago"
    return f"{clock_time(at, now)} ({distance})"
