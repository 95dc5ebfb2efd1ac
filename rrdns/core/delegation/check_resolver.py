"""Find problems of the boot hostname at a resolver, which is where targets resolve it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from rrdns.core.delegation.check_nameserver import soa_differs
from rrdns.core.delegation.observations import (
    Finding,
    FindingCode,
    Hint,
    Note,
    Observations,
    ResolverObservation,
    Sample,
    addresses_of,
    all_addresses,
    because,
    describe_failure,
    display_name,
    first_addresses,
    first_nameserver,
    join_sorted,
    of_type,
    ttl_of,
)
from rrdns.core.delegation.sampling import fresh_answers, is_conclusive, is_overcached
from rrdns.core.dns_message import NoResponse, QueryOutcome, Response
from rrdns.core.model import Pool, Zone

_ELSEWHERE = (
    "look for a zone, a record or a hosts file with that name at the resolver and at the servers "
    "that it queries; remove it"
)
_FLUSH = "then flush it from the resolver's cache"


def check(seen: ResolverObservation, survey: Observations) -> list[Finding]:
    """Return the findings about one resolver."""
    return list(_find(seen, survey))


def inconclusive_note(seen: ResolverObservation, survey: Observations) -> Note | None:
    """Return a note if it is not clear whether a resolver rotates, or None."""
    choices = len(_direct(survey))
    if not seen.samples or survey.pool is None or is_conclusive(seen.samples, choices):
        return None
    took = seen.samples[-1].at - seen.samples[0].at
    return Note(
        f"the check saw no rotation through {display_name(seen.server)} within {took:.0f} s, "
        "and cannot exclude it",
        Hint.LONGER_TIMEOUT,
    )


def _find(seen: ResolverObservation, survey: Observations) -> Iterator[Finding]:
    if survey.pool is None or not seen.samples:
        yield from _zone_only(seen, survey.zone)
        return
    last = seen.samples[-1].outcome
    if broken := _broken(seen, last, survey, survey.pool):
        yield broken
        return
    strangers = all_addresses(seen.samples) - {member.address for member in survey.pool.members}
    if strangers:
        yield Finding(
            FindingCode.ANSWERED_ELSEWHERE,
            f"{display_name(seen.server)} answers {survey.pool.hostname} with "
            f"{join_sorted(strangers)}, but no member has that address: the answer is not from "
            "rrdns",
            _ELSEWHERE,
        )
        return
    if isinstance(seen.soa, Response):
        yield from _soa(seen, seen.soa, survey.zone)
    yield from _some_stripped(seen, survey)
    yield from _ttl(seen, survey.pool)
    yield from _rotation(seen, survey, survey.pool)


def _zone_only(seen: ResolverObservation, zone: Zone) -> Iterator[Finding]:
    """Check the SOA if the zone has no boot hostname."""
    if isinstance(seen.soa, NoResponse):
        yield _silent(seen, seen.soa)
    elif list(of_type(seen.soa.answer, "SOA", zone.name)):
        yield from _soa(seen, seen.soa, zone)
    else:
        yield _fails(seen, zone.name, seen.soa)


def _broken(
    seen: ResolverObservation, last: QueryOutcome, survey: Observations, pool: Pool
) -> Finding | None:
    """Return why the resolver has no address for the hostname."""
    if isinstance(last, NoResponse):
        return _silent(seen, last)
    if addresses_of(last):
        return None
    where = display_name(seen.server)
    if last.rcode == "REFUSED" and not _knows(seen, survey.zone):
        return Finding(
            FindingCode.RESOLVER_REFUSES,
            f"{where} refuses to resolve for this host{because(last)}",
            "allow this host to query it (access-control, allow-recursion), or check the resolver "
            "that your DHCP servers and targets use",
        )
    if seen.unchecked is not None and addresses_of(seen.unchecked):
        return Finding(
            FindingCode.NOT_VALIDATED,
            f"{where} rejects the answers for {pool.hostname} in its DNSSEC validation "
            f"({last.rcode}{because(last)}; without validation it has them): the parent "
            "does not prove that the zone is unsigned",
            f'Unbound: domain-insecure: "{survey.zone.name}"; BIND: validate-except '
            f'{{ "{survey.zone.name}"; }}; and no DS record at the parent',
        )
    if _knows(seen, survey.zone):
        return _stripped(seen, survey.zone, f"it {_lacks(last)} for {pool.hostname}{because(last)}")
    if _strips_glue(seen, survey):
        name = first_nameserver(survey.parents[0].apex)
        return _stripped(seen, survey.zone, f"even {name} has none, so it cannot find rrdns")
    if last.rcode == "NXDOMAIN":
        return Finding(
            FindingCode.NAME_UNKNOWN,
            f"{where} answers that {pool.hostname} does not exist{because(last)}: it does not "
            "follow the delegation",
            f"check that the zone it queries delegates {survey.zone.name}, {_FLUSH}",
            Hint.PRINT_RECORDS,
        )
    return _fails(seen, pool.hostname, last)


def _silent(seen: ResolverObservation, no_response: NoResponse) -> Finding:
    return Finding(
        FindingCode.RESOLVER_SILENT,
        f"the resolver {display_name(seen.server)} does not answer: {no_response.reason}",
        "check that it runs, allows this host, and can reach rrdns over UDP and TCP port 53",
    )


def _fails(seen: ResolverObservation, name: str, outcome: QueryOutcome) -> Finding:
    return Finding(
        FindingCode.RESOLVER_FAILS,
        f"{display_name(seen.server)} cannot resolve {name}: it {describe_failure(outcome)}",
        "check that it finds the delegation and can reach rrdns over UDP and TCP port 53",
        Hint.QUERY_RRDNS,
    )


def _knows(seen: ResolverObservation, zone: Zone) -> bool:
    """Return whether the resolver finds the zone as rrdns has it."""
    records = seen.soa.answer if isinstance(seen.soa, Response) else ()
    soa = list(of_type(records, "SOA", zone.name))
    return bool(soa) and first_nameserver(seen.soa) == zone.nameservers[0].name


def _soa(seen: ResolverObservation, reply: Response, zone: Zone) -> Iterator[Finding]:
    left = max((record.ttl for record in of_type(reply.answer, "SOA", zone.name)), default=0)
    remedy = (
        "remove a copy of the zone at the resolver, if there is one; its cached answers of rrdns "
        f"expire in {left} s"
    )
    yield from soa_differs(reply, zone, display_name(seen.server), remedy)


def _some_stripped(seen: ResolverObservation, survey: Observations) -> Iterator[Finding]:
    private = {address for address in _direct(survey) if ip_address(address).is_private}
    if private and not private & all_addresses(seen.samples):
        yield _stripped(seen, survey.zone, f"only {join_sorted(all_addresses(seen.samples))}")


def _stripped(seen: ResolverObservation, zone: Zone, what: str) -> Finding:
    return Finding(
        FindingCode.PRIVATE_STRIPPED,
        f"{display_name(seen.server)} removes private addresses from its answers: {what}",
        f'Unbound: private-domain: "{zone.name}"; dnsmasq: rebind-domain-ok=/{zone.name}/; BIND: '
        f'deny-answer-addresses {{ ... }} except-from {{ "{zone.name}"; }}',
    )


def _lacks(reply: Response) -> str:
    return "has none" if reply.rcode == "NOERROR" else f"answers {reply.rcode}"


def _strips_glue(seen: ResolverObservation, survey: Observations) -> bool:
    """Return whether the resolver has no address even for the parent's own nameserver."""
    own = {address for parent in survey.parents for address in addresses_of(parent.own)}
    empty = isinstance(seen.parent, Response) and not addresses_of(seen.parent)
    return empty and any(ip_address(address).is_private for address in own)


def _direct(survey: Observations) -> set[str]:
    """Return the addresses in rrdns' answers; all members' if rrdns did not answer."""
    seen = {address for server in survey.servers for address in all_addresses(server.samples)}
    members = survey.pool.members if survey.pool is not None else ()
    return seen or {member.address for member in members}


def _ttl(seen: ResolverObservation, pool: Pool) -> Iterator[Finding]:
    longest = max((ttl_of(sample.outcome) or 0 for sample in seen.samples), default=0)
    if longest > pool.ttl:
        yield Finding(
            FindingCode.TTL_CLAMPED,
            f"{display_name(seen.server)} answers {pool.hostname} with TTL {longest} s instead of "
            f"{pool.ttl} s: a dead server stays in its answers for that time",
            "set cache-min-ttl (Unbound) or min-cache-ttl (BIND, dnsmasq) to 0, and do not serve "
            "expired answers (serve-expired, stale-answer-enable, use-stale-cache)",
        )
    elif _stuck(seen.samples, pool):
        yield Finding(
            FindingCode.TTL_FROZEN,
            f"{display_name(seen.server)} returned the same answer for "
            f"{_took(seen.samples):.0f} s, with a TTL that does not count down; it caches the "
            "answer for longer than its TTL, or sorts the addresses",
            "make it respect the TTL; look for a cache in between, or a sort list",
        )


def _rotation(seen: ResolverObservation, survey: Observations, pool: Pool) -> Iterator[Finding]:
    choices = len(_direct(survey))
    frozen = (
        choices > 1
        and len(first_addresses(seen.samples)) == 1
        and is_conclusive(seen.samples, choices)
    )
    if frozen and not _stuck(seen.samples, pool):
        yield Finding(
            FindingCode.ROTATION_FROZEN,
            f"{display_name(seen.server)} had {join_sorted(first_addresses(seen.samples))} "
            f"first in each of {len(seen.samples)} answers, {fresh_answers(seen.samples)} of them "
            "new ones: every target boots from that server",
            "switch off sorting there (Windows: netmask ordering, `dnscmd /Config "
            "/LocalNetPriority 0`; BIND: sortlist, rrset-order), or set answers = 1 in the pool: "
            "then there is nothing to sort",
        )


def _stuck(samples: tuple[Sample, ...], pool: Pool) -> bool:
    return len(all_addresses(samples)) > 1 and is_overcached(samples, pool.ttl)


def _took(samples: tuple[Sample, ...]) -> float:
    return samples[-1].at - samples[0].at
