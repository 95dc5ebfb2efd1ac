"""Run a verb on a terminal of its own, as a person does."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from signal import SIG_IGN, SIGINT, default_int_handler, getsignal
from signal import signal as on_signal

# What a shell runs in its background begins with Ctrl-C ignored, and so do its children.
if getsignal(SIGINT) is SIG_IGN:
    on_signal(SIGINT, default_int_handler)


def on_a_terminal(
    *args: object,
    env: dict[str, str] | None = None,
    until: bytes | None = None,
    signal: int | None = None,
    errors: bool = False,
) -> tuple[bytes, int]:
    """Return what a verb writes, and its exit status.

    With `signal` it gets that signal once it has written `until`; with `errors` its standard
    error is the terminal too.
    """
    here, there = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rrdns", *(str(arg) for arg in args)],
        stdout=there,
        stderr=there if errors else None,
        env={**clean, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", **(env or {})},
    )
    os.close(there)
    said = b""
    with suppress(OSError):  # Linux's way to say that the other end is closed
        while chunk := os.read(here, 4096):
            said += chunk
            if signal is not None and until is not None and until in said:
                process.send_signal(signal)
                signal = None
    os.close(here)
    return said, process.wait(30)
