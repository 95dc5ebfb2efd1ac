"""Set up the log: one line per change, as JSON for machines or in colour for people."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor


class Out:
    """A stream whose failures are nobody's: a full disk or a reader that is gone costs lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if that can be done."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Let go of what was written, if that can be done."""
        with suppress(OSError):
            self._stream.flush()


def set_up(format_: str, level: str = "info", process: str = "") -> None:
    """Configure structlog for this process; lines go to standard output."""
    renderer: Processor
    if format_ == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    else:
        renderer = structlog.processors.JSONRenderer()
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Out(sys.stdout))),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    if process:
        structlog.contextvars.bind_contextvars(process=process)


def get_log(**bound: Any) -> FilteringBoundLogger:
    """Return a logger that adds `bound` to each of its lines."""
    return cast("FilteringBoundLogger", structlog.get_logger(**bound))
