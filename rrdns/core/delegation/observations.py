"""The observations about a zone's delegation, and the findings that are possible.

`net.delegation_survey` queries the servers and fills in the observations. `check_parent`,
`check_nameserver` and `check_resolver` return the findings about servers of their kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rrdns.core.dns_message import QueryOutcome, ResourceRecord, Response
from rrdns.core.model import Endpoint, Pool, Zone

DNS_PORT = 53


class Role(StrEnum):
    """The role in which a server is queried."""

    PARENT = "parent"
    NAMESERVER = "nameserver"  # rrdns itself
    RESOLVER = "resolver"


class FindingCode(StrEnum):
    """The kinds of findings; scripts use these codes."""

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
    """A problem, and its remedy."""

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
    """A server's answer for the boot hostname at one time."""

    at: float  # seconds on any clock
    outcome: QueryOutcome


@dataclass(frozen=True, slots=True)
class ParentObservation:
    """The answers of a server of the parent zone to queries without recursion."""

    server: Endpoint
    apex: QueryOutcome  # SOA of the parent zone
    delegation: QueryOutcome  # NS of the zone
    ds: QueryOutcome
    address: QueryOutcome | None = None  # A of the boot hostname, if there is one
    own: QueryOutcome | None = None  # A of the parent zone's first nameserver


@dataclass(frozen=True, slots=True)
class NameserverObservation:
    """The answers at an address where rrdns should answer."""

    server: Endpoint
    name: str  # of the nameserver; empty if only its address is known
    soa: QueryOutcome
    ns: QueryOutcome
    tcp: QueryOutcome  # SOA again
    edns: QueryOutcome  # SOA again
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class ResolverObservation:
    """The answers of a resolver to queries like those of a target or a DHCP server."""

    server: Endpoint
    soa: QueryOutcome
    samples: tuple[Sample, ...] = ()
    # Only if it has no address: A with CD set, and A of the parent zone's first nameserver.
    unchecked: QueryOutcome | None = None
    parent: QueryOutcome | None = None


@dataclass(frozen=True, slots=True)
class Observations:
    """All observations about one zone."""

    zone: Zone
    pool: Pool | None = None
    parent_zone: str = ""  # empty: not found
    parents: tuple[ParentObservation, ...] = ()
    parents_named: bool = True  # by the admin, not found by a resolver
    servers: tuple[NameserverObservation, ...] = ()
    resolvers: tuple[ResolverObservation, ...] = ()
    unresolved: tuple[str, ...] = ()  # nameservers without a known address


def display_name(server: Endpoint, name: str = "") -> str:
    """Return a server's name for a sentence: its address, with the port if it is not 53."""
    address = server.host if server.port == DNS_PORT else str(server)
    return f"{address} ({name})" if name else address


def normalized(name: str) -> str:
    """Return a name in lower case, without the final dot, as in the config."""
    return name.lower().removesuffix(".")


def of_type(records: Iterable[ResourceRecord], rtype: str, owner: str) -> Iterator[ResourceRecord]:
    """Return the records of a type that a name owns."""
    return (
        record for record in records if record.type == rtype and normalized(record.name) == owner
    )


def first_nameserver(outcome: QueryOutcome) -> str:
    """Return the nameserver in an SOA record, or "" without one."""
    soa = outcome.data("SOA") if isinstance(outcome, Response) else ()
    return normalized(soa[0].split()[0]) if soa else ""


def addresses_of(outcome: QueryOutcome | None) -> tuple[str, ...]:
    """Return the IPv4 addresses of an answer in their order, also those of an alias."""
    return outcome.data("A") if isinstance(outcome, Response) else ()


def ttl_of(outcome: QueryOutcome) -> int | None:
    """Return the TTL of an answer's addresses, or None without addresses."""
    records = outcome.answer if isinstance(outcome, Response) else ()
    return max((record.ttl for record in records if record.type == "A"), default=None)


def first_addresses(samples: Iterable[Sample]) -> set[str]:
    """Return the first addresses of answers, which targets use."""
    return {addresses_of(sample.outcome)[0] for sample in samples if addresses_of(sample.outcome)}


def all_addresses(samples: Iterable[Sample]) -> set[str]:
    """Return all addresses of answers."""
    return {address for sample in samples for address in addresses_of(sample.outcome)}


def join_sorted(texts: Iterable[str]) -> str:
    """Return texts as a sorted list for a sentence."""
    return ", ".join(sorted(texts))


def describe_failure(outcome: QueryOutcome) -> str:
    """Return a server's wrong reaction as the end of a sentence."""
    if not isinstance(outcome, Response):
        return f"does not answer ({outcome.reason})"
    if outcome.rcode != "NOERROR":
        return f"answers {outcome.rcode}{because(outcome)}"
    how = "without authority" if "aa" not in outcome.flags else "without records"
    return f"answers {how}{because(outcome)}"


def because(outcome: QueryOutcome) -> str:
    """Return the extended errors of an answer as the end of a sentence; may be empty."""
    errors = outcome.extended_errors if isinstance(outcome, Response) else ()
    return f", extended error {'; '.join(str(error) for error in errors)}" if errors else ""


def is_lame(outcome: QueryOutcome) -> bool:
    """Return whether an answer shows that its server is not authoritative for the zone."""
    return not (
        isinstance(outcome, Response) and outcome.rcode == "NOERROR" and "aa" in outcome.flags
    )
