"""Find problems at the addresses of the zone's nameservers, where rrdns itself should answer."""

from __future__ import annotations

from collections.abc import Iterator

from rrdns.core.acl import ANY_ADDRESS
from rrdns.core.delegation.observations import (
    Finding,
    FindingCode,
    Hint,
    NameserverObservation,
    Observations,
    Sample,
    addresses_of,
    all_addresses,
    describe_failure,
    display_name,
    first_addresses,
    is_lame,
    join_sorted,
    normalized,
    of_type,
    ttl_of,
)
from rrdns.core.dns_message import NoResponse, QueryOutcome, Response
from rrdns.core.model import Pool, Zone

_SOA_FIELDS = ("nameserver", "hostmaster", "serial", "refresh", "retry", "expire")
_RELOAD = "give every rrdns of the zone the same config, and reload it (SIGHUP, or a restart)"


def check(seen: NameserverObservation, survey: Observations) -> list[Finding]:
    """Return the findings about one address of a nameserver."""
    return list(_find(seen, survey))


def unresolved(name: str, survey: Observations) -> Finding:
    """Return the finding that a nameserver's address is unknown."""
    return Finding(
        FindingCode.UNRESOLVED,
        f"no resolver has an address of {name}, a nameserver of {survey.zone.name}",
        f"add an address record for {name} to its zone",
    )


def _find(seen: NameserverObservation, survey: Observations) -> Iterator[Finding]:
    if isinstance(seen.soa, NoResponse):
        yield _silent(seen, seen.soa)
        return
    if is_lame(seen.soa) or not list(of_type(seen.soa.answer, "SOA", survey.zone.name)):
        yield _lame(seen, seen.soa, survey.zone)
        return
    yield from _not_rrdns(seen, seen.soa)
    yield from _transports(seen)
    yield from soa_differs(seen.soa, survey.zone, display_name(seen.server, seen.name), _RELOAD)
    yield from _ns_differs(seen, survey.zone)
    if survey.pool is not None and seen.samples:
        yield from _answers(seen, survey.pool)


def _silent(seen: NameserverObservation, no_response: NoResponse) -> Finding:
    where = display_name(seen.server, seen.name)
    if isinstance(seen.tcp, Response):
        return Finding(
            FindingCode.SILENT,
            f"{where} answers over TCP, but not over UDP: {no_response.reason}",
            "allow UDP port 53 in firewalls, in both directions",
        )
    return Finding(
        FindingCode.SILENT,
        f"{where} does not answer: {no_response.reason}",
        "check that rrdns runs there, and that firewalls allow UDP and TCP port 53",
    )


def _lame(seen: NameserverObservation, reply: Response, zone: Zone) -> Finding:
    limited = reply.rcode == "REFUSED" and zone.allow_query != ANY_ADDRESS
    hint = "; allow_query of the zone must contain this host" if limited else ""
    return Finding(
        FindingCode.LAME,
        f"{display_name(seen.server, seen.name)} is lame: for {zone.name} it "
        f"{describe_failure(reply)}",
        f"add the zone {zone.name} to that rrdns, or remove it from the nameservers{hint}",
    )


def _not_rrdns(seen: NameserverObservation, reply: Response) -> Iterator[Finding]:
    if "ra" in reply.flags:
        yield Finding(
            FindingCode.NOT_RRDNS,
            f"{display_name(seen.server, seen.name)} offers recursion (RA), which rrdns never "
            "does: another server answers there, or a device on the way",
            "delegate to rrdns itself, without another DNS server in between",
        )


def _transports(seen: NameserverObservation) -> Iterator[Finding]:
    where = display_name(seen.server, seen.name)
    if isinstance(seen.tcp, NoResponse):
        yield Finding(
            FindingCode.NO_TCP,
            f"{where} does not answer over TCP: {seen.tcp.reason}",
            "allow TCP port 53 in firewalls: resolvers use TCP if an answer is lost or truncated",
        )
    if isinstance(seen.edns, NoResponse) or seen.edns.rcode != "NOERROR":
        yield Finding(
            FindingCode.NO_EDNS,
            f"{where} answers plain queries, but not queries with EDNS: it "
            f"{describe_failure(seen.edns)}",
            "allow queries with EDNS: some firewalls that inspect DNS drop them",
        )


def soa_differs(reply: Response, zone: Zone, where: str, remedy: str) -> Iterator[Finding]:
    """Compare an SOA record with the config, except MINIMUM, which depends on the pools."""
    configured = (
        zone.nameservers[0].name,
        zone.hostmaster,
        *(str(number) for number in (zone.serial, zone.refresh, zone.retry, zone.expire)),
    )
    for record in of_type(reply.answer, "SOA", zone.name):
        values = tuple(normalized(word) for word in record.data.split())[: len(configured)]
        different = [
            f"{name} {value}, in the config {other}"
            for name, value, other in zip(_SOA_FIELDS, values, configured, strict=False)
            if value != other
        ]
        if different:
            yield Finding(
                FindingCode.SOA_MISMATCH,
                f"the SOA of {zone.name} at {where} differs: {'; '.join(different)}",
                remedy,
            )


def _ns_differs(seen: NameserverObservation, zone: Zone) -> Iterator[Finding]:
    configured = {server.name for server in zone.nameservers}
    names = _ns(seen.ns, zone)
    if names != configured:
        yield Finding(
            FindingCode.NS_MISMATCH,
            f"{display_name(seen.server, seen.name)} has these nameservers for {zone.name}: "
            f"{join_sorted(names) or 'none'}; the config has {join_sorted(configured)}",
            _RELOAD,
        )


def _ns(outcome: QueryOutcome, zone: Zone) -> set[str]:
    records = outcome.answer if isinstance(outcome, Response) else ()
    return {normalized(record.data) for record in of_type(records, "NS", zone.name)}


def _answers(seen: NameserverObservation, pool: Pool) -> Iterator[Finding]:
    where, last = display_name(seen.server, seen.name), seen.samples[-1].outcome
    if not addresses_of(last):
        yield Finding(
            FindingCode.NO_ADDRESS,
            f"{where} has no address for {pool.hostname}: it {describe_failure(last)}",
            "bring a member into rotation",
            Hint.SHOW_MEMBERS,
        )
        return
    strangers = all_addresses(seen.samples) - {member.address for member in pool.members}
    if strangers:
        yield Finding(
            FindingCode.MEMBERS_MISMATCH,
            f"{where} answers with {join_sorted(strangers)}; pool {pool.name} has no such member",
            _RELOAD,
        )
    if ttl_of(last) != pool.ttl:
        yield Finding(
            FindingCode.TTL_MISMATCH,
            f"{where} answers with TTL {ttl_of(last)} s; the config has {pool.ttl} s",
            _RELOAD,
        )
    if is_frozen(seen.samples):
        yield Finding(
            FindingCode.ROTATION_FROZEN,
            f"{where} had {join_sorted(first_addresses(seen.samples))} first in each of "
            f"{len(seen.samples)} answers",
            "check which server answers there: rrdns puts another address first each time",
        )


def is_frozen(samples: tuple[Sample, ...]) -> bool:
    """Return whether the same of several addresses was first in each answer."""
    return len(first_addresses(samples)) == 1 and len(all_addresses(samples)) > 1
