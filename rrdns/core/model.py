"""The values that rrdns works with: zones, pools, members, probe settings and orders.

Nothing here is checked. `rrdns.config` builds these from a file and names every mistake.
Domain names are lower-case text without the final dot; addresses are canonical text;
durations are float seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from rrdns.core.acl import ANY_ADDRESS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port to listen on or to talk to."""

    host: str  # IPv4 or IPv6
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Policy(StrEnum):
    """The order of the addresses in the answers of a pool."""

    ROUND_ROBIN = "round-robin"


class OnEmpty(StrEnum):
    """The response of a pool without a healthy member."""

    SERVE_ALL = "serve-all"  # every member that is not drained: one of them may still boot a target
    SERVFAIL = "servfail"
    SILENT = "silent"  # iPXE then tries its next DNS server


@dataclass(frozen=True, slots=True)
class Nameserver:
    """A nameserver of a zone; one whose name is inside the zone needs an address (glue)."""

    name: str
    addresses: tuple[str, ...] = ()  # IPv4 and IPv6


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone that rrdns is authoritative for."""

    name: str
    nameservers: tuple[Nameserver, ...]
    hostmaster: str  # as a domain name: hostmaster.example.test
    ttl: int = 3600  # of SOA, NS and glue, seconds
    negative_ttl: int = 5  # SOA MINIMUM (RFC 2308, section 4), seconds
    serial: int = 1  # the same on every rrdns of a zone; there are no transfers
    refresh: int = 3600
    retry: int = 600
    expire: int = 1_209_600
    allow_query: tuple[str, ...] = ANY_ADDRESS  # networks; other clients are refused


def is_inside(name: str, zone: str) -> bool:
    """Return whether a name is in a zone, or its apex."""
    return name == zone or name.endswith(f".{zone}")


class Profile(StrEnum):
    """The firmware that loads a boot file, which decides the options of a probe."""

    BIOS = "bios"  # a PXE ROM: it takes nearly everything
    IPXE = "ipxe"
    UEFI = "uefi"  # EDK2: asks twice, and is strict


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file that a member must serve, and what its content must be."""

    name: str
    size: int | None = None  # bytes
    sha256: str | None = None  # lower-case hex
    require_marker: bool = False
    profile: Profile | None = None  # None: by the name of the file


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """How the members of a pool are probed (RFC 1350); durations in seconds."""

    files: tuple[BootFile, ...]
    port: int = 69
    interval: float = 1.0  # from one start to the next
    timeout: float = 1.0  # without a response, until a probe fails
    fast_interval: float = (
        0.2  # from an end to the next start, while results contradict the standing
    )
    full_every: float = 30.0  # between two full downloads
    fall: int = 3
    rise: int = 2
    blksize: int = 1428  # RFC 2348: fits an Ethernet frame with IPv4, UDP and TFTP headers


@dataclass(frozen=True, slots=True)
class Member:
    """A PVS server of a pool."""

    name: str
    address: str  # IPv4
    backup: bool = False  # in rotation only if no other member can be
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """A hostname and the servers behind it."""

    name: str
    hostname: str
    members: tuple[Member, ...]
    probe: ProbeSpec
    ttl: int = 5
    answers: int = 4  # addresses in one answer, at most
    policy: Policy = Policy.ROUND_ROBIN
    on_empty: OnEmpty = OnEmpty.SERVE_ALL
    min_members: int = 1  # the guard refuses a drain that would leave fewer in rotation

    def member(self, name: str) -> Member | None:
        """Return the member of that name, or None."""
        return next((member for member in self.members if member.name == name), None)


JUMP = 1.0  # seconds; a smaller change of the clock is not a jump


class OrderKind(StrEnum):
    """An order that an admin can give for a member."""

    DRAIN = "drain"  # out of rotation, still probed
    FORCE_UP = "force-up"  # in rotation, even if its probes fail
    FORCE_DOWN = "force-down"  # out of rotation, even if its probes pass


@dataclass(frozen=True, slots=True)
class Override:
    """An order in force for one member of one pool; times are Unix seconds."""

    pool: str
    member: str
    order: OrderKind
    by: str  # the token's name
    since: float
    reason: str = ""
    until: float | None = None  # None: until it is resumed
    # For an order with a duration: the offset of the wall clock to the steady clock, and the boot,
    # when `until` was computed. None: `until` was given as a date.
    ahead: float | None = None
    boot: str = ""
    # The server that it is for, even if the config renames it; empty: not known.
    address: str = ""
    hostname: str = ""

    def ends_by_clock(self, ahead: float, boot: str) -> Override:
        """Return the order with its end on the wall clock as it is set now.

        A duration does not change when the clock is set. After another boot, whose length is not
        known, the last shown date counts.
        """
        if self.ahead is None or self.until is None:
            return self
        if self.boot != boot:
            return replace(self, ahead=ahead, boot=boot)
        jump = ahead - self.ahead
        return self if abs(jump) <= JUMP else replace(self, until=self.until + jump, ahead=ahead)

    def is_active(self, now: float) -> bool:
        """Return whether the order is in force at `now`."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class ScheduledOverride:
    """An order that begins later, at `override.since`."""

    override: Override
    given_at: float
    force: bool = False
    id: str = ""  # members that were ordered together share it

    @property
    def key(self) -> tuple[str, str]:
        """Return the pool and the member, which has one such order at most."""
        return self.override.pool, self.override.member
