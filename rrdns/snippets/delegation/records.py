"""The values of a delegation: a zone of rrdns, its parent, nameservers and hostnames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rrdns.core.model import Nameserver, is_inside
from rrdns.errors import RrdnsError


@dataclass(eq=False)
class NameserverAddressMissing(RrdnsError):
    """A text needs the address of a nameserver, and the config has none."""

    message = (
        "the config has no address of {nameserver}; add "
        'address = "..." to that name in the nameservers of {zone}'
    )
    nameserver: str
    zone: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """A zone of rrdns with the values that its parent and resolvers need."""

    zone: str
    parent: str
    nameservers: tuple[Nameserver, ...]
    hostnames: tuple[str, ...] = ()  # of the zone's pools

    @property
    def child(self) -> str:
        """Return the zone's name as its parent writes it, such as `pvs`."""
        return self.zone.removesuffix(f".{self.parent}")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of all nameservers, in the order of the config."""
        return tuple(address for server in self.nameservers for address in server.addresses)

    @property
    def without_address(self) -> tuple[str, ...]:
        """Return the nameservers without an address in the config."""
        return tuple(server.name for server in self.nameservers if not server.addresses)

    @property
    def external_nameservers(self) -> tuple[Nameserver, ...]:
        """Return the nameservers with names outside of the zone: they need no glue."""
        return tuple(server for server in self.nameservers if not is_inside(server.name, self.zone))

    @property
    def records(self) -> tuple[tuple[str, str, str], ...]:
        """Return (owner, type, data) of the records for the parent zone: NS and glue."""
        names = [(self.zone, "NS", f"{server.name}.") for server in self.nameservers]
        inside = (server for server in self.nameservers if is_inside(server.name, self.zone))
        return (*names, *address_records(inside))


def address_records(servers: Iterable[Nameserver]) -> tuple[tuple[str, str, str], ...]:
    """Return (owner, type, data) of the addresses of nameservers."""
    return tuple(
        (server.name, "AAAA" if ":" in address else "A", address)
        for server in servers
        for address in server.addresses
    )


def parent_of(zone: str) -> str:
    """Return the name directly above a zone's; for a name without a dot the root, ""."""
    return zone.partition(".")[2]
