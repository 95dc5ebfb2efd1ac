"""Call short-lived sockets when they are readable, at a lower cost than the loop's readers.

The loop makes a handle, a selector key and a context for each reader, a large part of the cost of
a light probe. Here the loop watches one epoll object, which watches the sockets. One iteration
of the loop serves all sockets that are ready.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from weakref import WeakKeyDictionary

Callback = Callable[[], None]


class EpollReaders:
    """Readers with a separate epoll object, which exists as long as the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        loop.add_reader(self._epoll.fileno(), self._serve)

    def add(self, fd: int, callback: Callback) -> None:
        """Call the callback when the socket is readable."""
        self._epoll.register(fd, select.EPOLLIN)
        self._callbacks[fd] = callback

    def remove(self, fd: int) -> None:
        """Stop calling the callback."""
        del self._callbacks[fd]
        self._epoll.unregister(fd)

    def _serve(self) -> None:
        # If a callback raises, the next iteration serves the others: epoll is level-triggered.
        for fd, _ in self._epoll.poll(0):
            self._callbacks[fd]()


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, EpollReaders] = WeakKeyDictionary()


def readers_of(loop: asyncio.AbstractEventLoop) -> EpollReaders:
    """Return the loop's readers, the same object at each call."""
    readers = _known.get(loop)
    if readers is None:
        readers = _known[loop] = EpollReaders(loop)
    return readers
