"""Tell short-lived sockets when they can be read, for less than the loop's own readers cost.

The loop makes a handle, a selector key and a context for each reader: a good part of what a
light probe costs. Here the loop watches one epoll object, and that watches the sockets: all
that are ready together are served in one turn of the loop.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from weakref import WeakKeyDictionary

Callback = Callable[[], None]


class EpollReaders:
    """Readers behind an epoll object of their own, which lives as long as the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        loop.add_reader(self._epoll.fileno(), self._serve)

    def add(self, fd: int, callback: Callback) -> None:
        """Call back whenever the socket is readable."""
        self._epoll.register(fd, select.EPOLLIN)
        self._callbacks[fd] = callback

    def remove(self, fd: int) -> None:
        """Stop calling back."""
        del self._callbacks[fd]
        self._epoll.unregister(fd)

    def _serve(self) -> None:
        # What one callback breaks off, the next turn takes up: epoll tells the level.
        for fd, _ in self._epoll.poll(0):
            self._callbacks[fd]()


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, EpollReaders] = WeakKeyDictionary()


def readers_of(loop: asyncio.AbstractEventLoop) -> EpollReaders:
    """Return the loop's readers, the same at each call."""
    found = _known.get(loop)
    if found is None:
        found = _known[loop] = EpollReaders(loop)
    return found
