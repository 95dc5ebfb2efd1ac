"""What every loop that answers has: it blocks in a thread of its own, and never ends by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

HEARTBEAT = 0.25  # seconds: how soon a loop with nothing to do shows that it lives
RECOVERY = 0.01  # seconds of rest when waiting for something to do itself fails

OnError = Callable[[BaseException, bytes], None]  # with the message that met it


class Loop(Protocol):
    """What answers on sockets, in a thread of its own."""

    heartbeat: float  # changes at least twice a second while the loop lives

    def run(self) -> None:
        """Answer until `stop`."""
        ...

    def stop(self) -> None:
        """Let `run` return, within a moment."""
        ...
