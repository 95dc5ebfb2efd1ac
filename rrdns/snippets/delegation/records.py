"""What has to be known of a zone of rrdns to make other DNS servers ask rrdns for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rrdns.core.model import Nameserver, is_inside
from rrdns.errors import RrdnsError


@dataclass(eq=False)
class NameserverAddressMissing(RrdnsError):
    """A text needs the address of a nameserver, and the config does not have it."""

    message = (
        "the address of {nameserver} is needed, and the config does not have it; write "
        'address = "..." next to that name in the nameservers of {zone}'
    )
    nameserver: str
    zone: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """A zone of rrdns, as its parent and resolvers have to know it."""

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
        """Return the nameservers whose addresses the config does not tell."""
        return tuple(server.name for server in self.nameservers if not server.addresses)

    @property
    def external_nameservers(self) -> tuple[Nameserver, ...]:
        """Return the nameservers that are named outside of the zone: they need no glue."""
        return tuple(one for one in self.nameservers if not is_inside(one.name, self.zone))

    @property
    def records(self) -> tuple[tuple[str, str, str], ...]:
        """Return (owner, type, data) of what the parent zone gets: NS and glue."""
        names = [(self.zone, "NS", f"{server.name}.") for server in self.nameservers]
        inside = (one for one in self.nameservers if is_inside(one.name, self.zone))
        return (*names, *address_records(inside))


def address_records(servers: Iterable[Nameserver]) -> tuple[tuple[str, str, str], ...]:
    """Return (owner, type, data) of the addresses of nameservers."""
    return tuple(
        (server.name, "AAAA" if ":" in address else "A", address)
        for server in servers
        for address in server.addresses
    )


def parent_of(zone: str) -> str:
    """Return the name right above a zone's; of a name without a dot that is the root, ""."""
    return zone.partition(".")[2]
