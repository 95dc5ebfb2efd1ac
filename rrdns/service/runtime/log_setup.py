"""Set up the log: one line per change, as JSON for machines or in colour for people."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from rrdns.service.runtime.log_writer import (
    FLUSH_TIMEOUT,
    DropCounters,
    ErrorStream,
    LogWriter,
    encode,
)


class _Lines:
    """What structlog hands its lines to, where they are written by a thread."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def _put(self, message: str) -> None:
        self._writer.put(encode(message))

    log = debug = info = warn = warning = msg = _put
    fatal = failure = err = error = critical = exception = _put


class _Rendered:
    """What structlog hands a line to that is wanted as text."""

    text = ""

    def warning(self, message: str) -> None:
        self.text = message


_writers: list[LogWriter] = []  # of this process


def set_up(
    format_: str, level: str = "info", process: str = "", drops: DropCounters | None = None
) -> None:
    """Configure structlog for this process; lines go to standard output.

    `drops`: where lines are counted that cannot be written; then writing never waits. Without
    it, whoever writes a line waits until it is written.
    """
    processors = [structlog.contextvars.merge_contextvars, *_processors(format_)]
    factory: Any = structlog.PrintLoggerFactory(sys.stdout)
    if drops is not None:
        writer = _write_by_threads(drops, process, format_)

        def factory(*_: object) -> _Lines:
            return _Lines(writer)

    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    if process:
        structlog.contextvars.bind_contextvars(process=process)


def get_log(**bound: Any) -> FilteringBoundLogger:
    """Return a logger that adds `bound` to each of its lines."""
    return cast("FilteringBoundLogger", structlog.get_logger(**bound))


def flush() -> None:
    """Give the last lines a moment to be written, at the end of a process."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):  # its reader may be gone, or it is closed
            stream.flush()
    end = time.monotonic() + FLUSH_TIMEOUT
    for writer in _writers:
        writer.flush(max(end - time.monotonic(), 0.0))


def _write_by_threads(drops: DropCounters, process: str, format_: str) -> LogWriter:
    """Have a thread write this process's lines, and another what goes to standard error."""

    def event(count: int, why: str) -> bytes:
        return _dropped_notice(count, why, process, format_)

    descriptors = _descriptor(sys.stdout), _descriptor(sys.stderr)
    cells = drops.cells(process)
    _writers[:] = [
        LogWriter(fd, cell, event, drops.turns) for fd, cell in zip(descriptors, cells, strict=True)
    ]
    out, err = _writers
    sys.stderr = cast("TextIO", ErrorStream(err, descriptors[1]))
    return out


def _dropped_notice(count: int, why: str, process: str, format_: str) -> bytes:
    """Return the line that tells of lines which are not there."""
    rendered = _Rendered()
    lines = f"{count:,} lines were" if count != 1 else "1 line was"
    structlog.wrap_logger(
        rendered,
        processors=_processors(format_),
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    ).warning(
        f"{lines} dropped",
        because=why,
        dropped=count,
        meanwhile="answers, probes and orders went on; `rrdns audit` shows what changed",
        process=process,
    )
    return encode(rendered.text)


def _processors(format_: str) -> list[Processor]:
    renderer: Processor
    if format_ == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stdout is not None and sys.stdout.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    else:
        renderer = structlog.processors.JSONRenderer()
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [
        structlog.processors.add_log_level,
        stamp,
        structlog.processors.format_exc_info,
        renderer,
    ]


def _descriptor(stream: TextIO | None) -> int:
    """Return where a stream goes; -1 for one that was closed when we were started."""
    # Its number may belong to a socket of ours by now.
    return -1 if stream is None else stream.fileno()


def pause() -> None:
    """End the threads that write, for as long as this process must be one thread."""
    for writer in _writers:
        writer.pause()


def go_on() -> None:
    """Write again, after a pause."""
    for writer in _writers:
        writer.go_on()


def _after_fork_in_child() -> None:
    for writer in _writers:
        writer.after_fork_in_child()


os.register_at_fork(
    before=pause,
    after_in_parent=go_on,
    after_in_child=_after_fork_in_child,
)
atexit.register(flush)
