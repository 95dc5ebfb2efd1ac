"""Keep the last events, so that a watcher that reconnects misses none.

There is one bounded buffer and no queue per watcher: each watcher remembers the last id that it
got, and asks for the events after it. `has_gap` says whether some of those are gone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from rrdns.core.events import Event

DEFAULT_SIZE = 2048  # events kept for replay


class EventBuffer:
    """A bounded buffer of events; used from the event loop's thread only."""

    def __init__(
        self,
        size: int = DEFAULT_SIZE,
        *,
        first_id: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Ids begin at the time of start in milliseconds, so that they also rise from one
        # run to the next and a Last-Event-ID from before a restart is seen to be old.
        self._first_id = int(clock() * 1000) if first_id is None else first_id
        self._next_id = self._first_id
        self._events: deque[Event] = deque(maxlen=size)
        self._fresh = asyncio.Event()

    @property
    def last_id(self) -> int:
        """Return the id of the newest event, or the id before the first."""
        return self._next_id - 1

    def append(self, event: Event) -> Event:
        """Add an event and wake all watchers; return it with its number."""
        event = replace(event, id=self._next_id)
        self._next_id += 1
        self._events.append(event)
        fresh, self._fresh = self._fresh, asyncio.Event()
        fresh.set()
        return event

    def after(self, last_id: int) -> tuple[Event, ...]:
        """Return what is kept of the events that came after `last_id`, oldest first."""
        missed = min(max(self.last_id - last_id, 0), len(self._events))
        return tuple(self._events[index] for index in range(-missed, 0))

    def has_gap(self, last_id: int) -> bool:
        """Tell whether events after `last_id` have been lost to a watcher who saw it last.

        An id that was never given (a restart with the clock set back) counts as lost too.
        """
        oldest = self._events[0].id if self._events else self._next_id
        return last_id + 1 < oldest or last_id > self.last_id

    async def wait(self, last_id: int) -> None:
        """Return as soon as there is an event after `last_id`."""
        while self.last_id <= last_id:
            await self._fresh.wait()
