"""Decide which connections may stay open, and which goes first.

Each question is answered in the same time, however many connections there are: whoever opens
thousands shares an interpreter with those who only ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """How much of this host TCP clients may use; times in seconds."""

    connections: int = 512  # in all: one more drops the one that has been idle the longest
    per_address: int = 64  # from one IPv4 address or IPv6 /64; likewise
    idle: float = 10.0  # between two whole queries; a byte now and then does not count
    lifetime: float = 300.0  # of a connection, however busy it is
    unsent_bytes: int = 65_536  # of answers not fetched, before no more queries are read


@dataclass(slots=True, eq=False)
class TrackedConnection:
    """An open connection: whose it is, and when it did something; times in seconds."""

    client_key: bytes  # what counts as one address: see `networks.holder_of`
    opened_at: float
    last_query_at: float  # when its last whole query came; at first when it began


G = TypeVar("G", bound=TrackedConnection)


class ConnectionTable(Generic[G]):
    """The open connections, in the orders in which they go."""

    def __init__(self, limits: TcpLimits) -> None:
        self._limits = limits
        self._by_age: OrderedDict[G, None] = OrderedDict()  # the oldest first
        self._by_rest: OrderedDict[G, None] = OrderedDict()  # the longest idle first
        self._of: dict[bytes, OrderedDict[G, None]] = {}  # by address; the longest idle first
        # At each place the addresses that have so many; first who has asked, come or gone the
        # longest ago. The last is never empty but where nothing is open.
        self._addresses: list[OrderedDict[bytes, None]] = [OrderedDict()]

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._by_age)

    def __iter__(self) -> Iterator[G]:
        """Give the open connections, the oldest first."""
        return iter(self._by_age)

    def __contains__(self, connection: G) -> bool:
        """Tell whether a connection is one of the open ones."""
        return connection in self._by_age

    def eviction_candidate(self, source: bytes) -> G | None:
        """Return the connection that has to go before another of this address comes in.

        It is the longest idle one of this address, or of the address that has most: whoever
        floods drops its own, and a client with one connection keeps it.
        """
        own = self._of.get(source)
        if own is not None and len(own) >= self._limits.per_address:
            return next(iter(own))
        if len(self) >= self._limits.connections:
            return next(iter(self._of[next(iter(self._addresses[-1]))]))
        return None

    def add(self, connection: G) -> None:
        """Take a connection in."""
        own = self._of.setdefault(connection.client_key, OrderedDict())
        own[connection] = self._by_age[connection] = self._by_rest[connection] = None
        self._count(connection.client_key, len(own) - 1, len(own))

    def remove(self, connection: G) -> None:
        """Forget a connection."""
        own = self._of[connection.client_key]
        del own[connection], self._by_age[connection], self._by_rest[connection]
        self._count(connection.client_key, len(own) + 1, len(own))
        if not own:
            del self._of[connection.client_key]

    def touch(self, connection: G, now: float) -> None:
        """Note that a connection has asked something: of its kind it is the last to go now."""
        connection.last_query_at = now
        own = self._of[connection.client_key]
        own.move_to_end(connection)
        self._by_rest.move_to_end(connection)
        self._addresses[len(own)].move_to_end(connection.client_key)

    def expired(self, now: float) -> list[G]:
        """Return the connections that have been open or idle too long."""
        limits, found = self._limits, []
        for connection in self._by_rest:
            if now - connection.last_query_at < limits.idle:
                break
            found.append(connection)
        for connection in self._by_age:
            if now - connection.opened_at < limits.lifetime:
                break
            found.append(connection)
        return found

    def _count(self, source: bytes, before: int, after: int) -> None:
        """Note that an address has one connection more, or one less."""
        addresses = self._addresses
        if before:
            del addresses[before][source]
        if after:
            if after == len(addresses):
                addresses.append(OrderedDict())
            addresses[after][source] = None
        while len(addresses) > 1 and not addresses[-1]:
            addresses.pop()
