"""An event loop whose clock jumps to the next thing that is due, so that tests never sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while there is something to do, and jumps when there is not."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Return the virtual time, in seconds since the loop was made."""
        return self._now

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]  # of BaseEventLoop
        # A timer that was cancelled still stands in the heap; jumping to it would miss the next.
        due = [timer.when() for timer in scheduled if not timer.cancelled()]
        if not ready and due:
            self._now = max(self._now, min(due))
        super()._run_once()  # type: ignore[misc]  # of BaseEventLoop


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time; for code that does no I/O."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
