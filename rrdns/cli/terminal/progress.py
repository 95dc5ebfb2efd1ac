"""Show the progress of long work on a terminal; in a pipe show nothing.

Progress goes to standard error, so that the output can go to a file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Thing = TypeVar("Thing")

SHOWN_AFTER = 0.5  # seconds: shorter work needs no progress


@contextmanager
def waiting_message(what: str) -> Iterator[Callable[[], None]]:
    """Return a function to call repeatedly: it shows on a terminal how long the wait has taken."""
    began, shown = time.monotonic(), ""

    def tick() -> None:
        nonlocal shown
        took = time.monotonic() - began
        line = f"{what}: {took:.0f} s"
        if took > SHOWN_AFTER and line != shown and sys.stderr.isatty():
            shown = line
            _write(f"\r{shown}")

    try:
        yield tick
    finally:
        if shown:
            _write(f"\r{' ' * len(shown)}\r")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def counting(things: Iterable[Thing], what: str, total: int | None = None) -> Iterator[Thing]:
    """Return the things one by one, and show their number on a terminal."""
    if not sys.stderr.isatty():
        yield from things
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(
        *columns, TimeElapsedColumn(), console=Console(file=sys.stderr), transient=True
    )
    task, began = progress.add_task(what, total=total), time.monotonic()
    try:
        for thing in things:
            yield thing
            progress.advance(task)
            if not progress.live.is_started and time.monotonic() - began > SHOWN_AFTER:
                progress.start()
    finally:
        progress.stop()
