"""Write to the terminal: text and tables for people, JSON for scripts.

rich uses colours only on a terminal, and not if NO_COLOR is set.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rrdns.cli.terminal.durations import clock_time, format_duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 200  # columns without a terminal: grep needs the table uncut


def console() -> Console:
    """Return rich's console for standard output."""
    from rich.console import Console

    stream = sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def print_rich(*things: RenderableType) -> None:
    """Write texts and tables, each on separate lines."""
    out = console()
    # Captured, since rich exits the process itself when the reader has closed the pipe.
    with out.capture() as shown:
        for thing in things:
            out.print(thing)
    _write("".join(f"{line.rstrip()}\n" for line in shown.get().splitlines()))


def print_json(value: Any) -> None:
    """Write a value for scripts."""
    _write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    """Write a value as one line of JSON."""
    _write(json.dumps(value, ensure_ascii=False) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()  # report a closed pipe here, not when the interpreter exits


def printable(text: object) -> str:
    """Return a text of another system (a reason, a server's error) without control characters."""
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text)
    )


def relative_time(text: str | None, now: float) -> str:
    """Return a time of the API as local time, with its distance from `now`."""
    from rrdns.timeformat import from_rfc3339

    if text is None:
        return ""
    at = from_rfc3339(text)
    away = at - now
    distance = f"in {format_duration(away)}" if away > 0 else f"{format_duration(-away)} ago"
    return f"{clock_time(at, now)} ({distance})"
