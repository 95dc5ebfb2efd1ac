"""What the UDP and TCP loops have in common: each blocks in its own thread and never ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

HEARTBEAT = 0.25  # seconds: how soon a loop with nothing to do shows that it lives
RECOVERY = 0.01  # seconds of rest when waiting for something to do itself fails

OnError = Callable[[BaseException, bytes], None]  # with the message that caused it


class Loop(Protocol):
    """Responds on sockets, in its own thread."""

    heartbeat: float  # changes at least twice a second while the loop lives

    def run(self) -> None:
        """Answer until `stop`."""
        ...

    def stop(self) -> None:
        """Let `run` return, within a moment."""
        ...
