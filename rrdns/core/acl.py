"""Decide whether an address is in one of several networks.

For nearly all addresses the first byte decides.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable

ANY_ADDRESS = ("0.0.0.0/0", "::/0")
NONE, ALL, SOME = range(3)
_FAMILIES = (4, 16)  # bytes of an address


class PrefixSet:
    """The networks of one address family."""

    __slots__ = ("_firsts", "_lasts", "by_first_byte")

    def __init__(self, networks: Iterable[str], address_bytes: int) -> None:
        """Take networks of either family, and keep those whose addresses have so many bytes."""
        ours = _merged(networks, address_bytes)
        self._firsts = [one.network_address.packed for one in ours]
        self._lasts = [one.broadcast_address.packed for one in ours]
        # How much of the addresses that begin with a byte is in the networks.
        self.by_first_byte = bytes(self._extent(first, address_bytes - 1) for first in range(256))

    @property
    def covers_all(self) -> bool:
        """Return whether no address is outside."""
        return self.by_first_byte == bytes([ALL]) * 256

    def covers(self, address: bytes) -> bool:
        """Return whether an address is in one of the networks."""
        extent = self.by_first_byte[address[0]]
        if extent != SOME:
            return extent == ALL
        return self._is_within(address, address)

    def _is_within(self, low: bytes, high: bytes) -> bool:
        """Return whether the addresses from `low` to `high` are in one of the networks."""
        at = bisect_right(self._firsts, low) - 1
        return at >= 0 and high <= self._lasts[at]

    def _extent(self, first: int, rest: int) -> int:
        low, high = bytes([first]) + bytes(rest), bytes([first]) + b"\xff" * rest
        if self._is_within(low, high):
            return ALL
        begins = any(one[0] == first for one in self._firsts)
        return SOME if begins else NONE


def _merged(
    networks: Iterable[str], address_bytes: int
) -> list[ipaddress.IPv4Network] | list[ipaddress.IPv6Network]:
    """Return the networks of a family in order, none of them within another."""
    known = [ipaddress.ip_network(network) for network in networks]
    if address_bytes == _FAMILIES[0]:
        ours = (one for one in known if isinstance(one, ipaddress.IPv4Network))
        return list(ipaddress.collapse_addresses(ours))
    others = (one for one in known if isinstance(one, ipaddress.IPv6Network))
    return list(ipaddress.collapse_addresses(others))


class AccessList:
    """The clients that may ask for something."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str]) -> None:
        """Take networks of both families."""
        known = tuple(networks)
        self._networks = {size: PrefixSet(known, size) for size in _FAMILIES}

    @property
    def allows_all(self) -> bool:
        """Return whether there is no address outside."""
        return all(networks.covers_all for networks in self._networks.values())

    def allows(self, address: bytes) -> bool:
        """Return whether an address, as it stands in a packet, belongs to it."""
        networks = self._networks.get(len(address))
        return networks is not None and networks.covers(address)


def client_key(address: bytes) -> bytes:
    """Return what counts as one client: an IPv4 address, or an IPv6 /64 (RFC 6177)."""
    return address[:8]


def client_key_of(host: str) -> bytes:
    """Return the client key of an address in text; empty if it is not an address."""
    try:
        return client_key(ipaddress.ip_address(host.partition("%")[0]).packed)
    except ValueError:
        return b""
