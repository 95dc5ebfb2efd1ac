"""What is seen of a zone's delegation from outside, and what may be wrong with it.

`net.survey` asks and fills in what was seen; `delegation_parent`, `delegation_server` and
`delegation_resolver` find what is wrong, each for the servers of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rrdns.core.dns_message import QueryOutcome, ResourceRecord, Response
from rrdns.core.model import Endpoint, Pool, Zone

DNS_PORT = 53


class Role(StrEnum):
    """What a server is asked as."""

    PARENT = "parent"
    NAMESERVER = "nameserver"  # rrdns itself
    RESOLVER = "resolver"


class FindingCode(StrEnum):
    """The kinds of findings, as scripts know them."""

    PARENT_SILENT = "parent-silent"
    PARENT_LAME = "parent-lame"
    NO_DELEGATION = "no-delegation"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    NS_MISMATCH = "ns-mismatch"
    GLUE_MISSING = "glue-missing"
    GLUE_WRONG = "glue-wrong"
    DS_PRESENT = "ds-present"
    UNRESOLVED = "nameserver-unresolved"
    SILENT = "nameserver-silent"
    LAME = "lame"
    NOT_RRDNS = "not-rrdns"
    NO_TCP = "no-tcp"
    NO_EDNS = "no-edns"
    SOA_MISMATCH = "soa-mismatch"
    NO_ADDRESS = "no-address"
    MEMBERS_MISMATCH = "members-mismatch"
    TTL_MISMATCH = "ttl-mismatch"
    ROTATION_FROZEN = "rotation-frozen"
    RESOLVER_SILENT = "resolver-silent"
    RESOLVER_REFUSES = "resolver-refuses"
    RESOLVER_FAILS = "resolver-fails"
    NAME_UNKNOWN = "name-unknown"
    NOT_VALIDATED = "validation-fails"
    PRIVATE_STRIPPED = "private-stripped"
    TTL_CLAMPED = "ttl-clamped"
    TTL_FROZEN = "ttl-frozen"


class Hint(StrEnum):
    """A next step that the command line has a command or an option for."""

    PRINT_RECORDS = "print-records"  # what to enter at the parent
    OTHER_PARENT = "other-parent"  # query another server of the parent zone
    OTHER_RESOLVER = "other-resolver"
    QUERY_RRDNS = "query-rrdns"  # query rrdns from another host
    SHOW_MEMBERS = "show-members"  # see which members are out, and why
    LONGER_TIMEOUT = "longer-timeout"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and its remedy."""

    code: FindingCode
    sentence: str
    remedy: str
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the check could not find out."""

    sentence: str
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What a server said of the boot hostname at one moment."""

    at: float  # seconds on any clock
    outcome: QueryOutcome


@dataclass(frozen=True, slots=True)
class ParentObservation:
    """What a server of the parent zone says, asked without recursion."""

    server: Endpoint
    apex: QueryOutcome  # SOA of the parent zone
    delegation: QueryOutcome  # NS of the zone
    ds: QueryOutcome
    address: QueryOutcome | None = None  # A of the boot hostname, where there is one
    own: QueryOutcome | None = None  # A of the parent zone's first nameserver


@dataclass(frozen=True, slots=True)
class NameserverObservation:
    """What is said where rrdns should answer."""

    server: Endpoint
    name: str  # of the nameserver; empty where only its address is known
    soa: QueryOutcome
    ns: QueryOutcome
    tcp: QueryOutcome  # SOA again
    edns: QueryOutcome  # SOA again
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class ResolverObservation:
    """What a resolver says, asked as a target or a DHCP server asks."""

    server: Endpoint
    soa: QueryOutcome
    samples: tuple[Sample, ...] = ()
    unchecked: QueryOutcome | None = None  # A with CD set, asked where it fails
    parent: QueryOutcome | None = (
        None  # A of the parent zone's first nameserver, asked where it fails
    )


@dataclass(frozen=True, slots=True)
class Observations:
    """All that was seen of one zone."""

    zone: Zone
    pool: Pool | None = None
    parent_zone: str = ""  # empty: not found
    parents: tuple[ParentObservation, ...] = ()
    parents_named: bool = True  # by the admin, not found by us
    servers: tuple[NameserverObservation, ...] = ()
    resolvers: tuple[ResolverObservation, ...] = ()
    unresolved: tuple[str, ...] = ()  # nameservers whose address nobody tells


def display_name(server: Endpoint, name: str = "") -> str:
    """Return how a server is called in a sentence: its address, the port only if it is odd."""
    address = server.host if server.port == DNS_PORT else str(server)
    return f"{address} ({name})" if name else address


def normalized(name: str) -> str:
    """Return a name as the config has it: lower-case, without the final dot."""
    return name.lower().removesuffix(".")


def of_type(records: Iterable[ResourceRecord], rtype: str, owner: str) -> Iterator[ResourceRecord]:
    """Return the records of a type that a name owns."""
    return (one for one in records if one.type == rtype and normalized(one.name) == owner)


def first_nameserver(heard: QueryOutcome) -> str:
    """Return the nameserver that an SOA record names; empty without one."""
    soa = heard.data("SOA") if isinstance(heard, Response) else ()
    return normalized(soa[0].split()[0]) if soa else ""


def addresses_of(heard: QueryOutcome | None) -> tuple[str, ...]:
    """Return the IPv4 addresses of an answer, in their order; a CNAME may have led to them."""
    return heard.data("A") if isinstance(heard, Response) else ()


def ttl_of(heard: QueryOutcome) -> int | None:
    """Return how long an answer's addresses may be kept; None without any."""
    records = heard.answer if isinstance(heard, Response) else ()
    return max((one.ttl for one in records if one.type == "A"), default=None)


def first_addresses(looks: Iterable[Sample]) -> set[str]:
    """Return the addresses that stood first: what a target takes."""
    return {addresses_of(look.outcome)[0] for look in looks if addresses_of(look.outcome)}


def all_addresses(looks: Iterable[Sample]) -> set[str]:
    """Return all addresses that were answered."""
    return {address for look in looks for address in addresses_of(look.outcome)}


def join_sorted(texts: Iterable[str]) -> str:
    """Return texts as a list in a sentence, in a steady order."""
    return ", ".join(sorted(texts))


def describe_failure(heard: QueryOutcome) -> str:
    """Return what a server does that is not as it should be, as a verb."""
    if not isinstance(heard, Response):
        return f"says nothing ({heard.reason})"
    if heard.rcode != "NOERROR":
        return f"answers {heard.rcode}{because(heard)}"
    how = "without authority" if "aa" not in heard.flags else "with nothing"
    return f"answers {how}{because(heard)}"


def because(heard: QueryOutcome) -> str:
    """Return the reasons that a server gives with an answer, to add to a sentence; may be empty."""
    errors = heard.extended_errors if isinstance(heard, Response) else ()
    return f", extended error {'; '.join(str(error) for error in errors)}" if errors else ""


def is_lame(heard: QueryOutcome) -> bool:
    """Tell whether an answer shows that its server is not authoritative for the zone."""
    return not (isinstance(heard, Response) and heard.rcode == "NOERROR" and "aa" in heard.flags)
