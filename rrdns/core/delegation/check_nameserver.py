"""Find what is wrong where rrdns itself should answer: at the addresses of its nameservers."""

from __future__ import annotations

from collections.abc import Iterator

from rrdns.core.acl import EVERYBODY
from rrdns.core.delegation.observations import (
    Fault,
    Finding,
    Look,
    ServerSeen,
    Survey,
    addresses_of,
    bare,
    every_address,
    firsts,
    is_lame,
    listed,
    of_type,
    said,
    shown,
    ttl_of,
)
from rrdns.core.dns_message import Heard, Reply, Silence
from rrdns.core.model import Pool, Zone

_SOA_FIELDS = ("nameserver", "hostmaster", "serial", "refresh", "retry", "expire")
_RELOAD = "give every rrdns of the zone the same config, and make it read it (SIGHUP, or a restart)"


def find(seen: ServerSeen, survey: Survey) -> list[Finding]:
    """Return what is wrong at one address of a nameserver."""
    return list(_find(seen, survey))


def unresolved(name: str, survey: Survey) -> Finding:
    """Say that nobody tells the address of a nameserver."""
    return Finding(
        Fault.UNRESOLVED,
        f"no resolver knows the address of {name}, a nameserver of {survey.zone.name}",
        f"enter an address record for {name} in its own zone",
    )


def _find(seen: ServerSeen, survey: Survey) -> Iterator[Finding]:
    if isinstance(seen.soa, Silence):
        yield _silent(seen, seen.soa)
        return
    if is_lame(seen.soa) or not list(of_type(seen.soa.answer, "SOA", survey.zone.name)):
        yield _lame(seen, seen.soa, survey.zone)
        return
    yield from _not_rrdns(seen, seen.soa)
    yield from _transports(seen)
    yield from soa_differs(seen.soa, survey.zone, shown(seen.server, seen.name), _RELOAD)
    yield from _ns_differs(seen, survey.zone)
    if survey.pool is not None and seen.looks:
        yield from _answers(seen, survey.pool)


def _silent(seen: ServerSeen, silence: Silence) -> Finding:
    where = shown(seen.server, seen.name)
    if isinstance(seen.tcp, Reply):
        return Finding(
            Fault.SILENT,
            f"{where} answers over TCP, and not over UDP: {silence.why}",
            "let UDP port 53 pass to it, and its answers back",
        )
    return Finding(
        Fault.SILENT,
        f"{where} does not answer: {silence.why}",
        "see that rrdns runs there, and that UDP and TCP port 53 pass to it",
    )


def _lame(seen: ServerSeen, reply: Reply, zone: Zone) -> Finding:
    limited = reply.rcode == "REFUSED" and zone.allow_query != EVERYBODY
    hint = "; allow_query of the zone has to let this host ask" if limited else ""
    return Finding(
        Fault.LAME,
        f"{shown(seen.server, seen.name)} is lame: for {zone.name} it {said(reply)}",
        f"give the rrdns there the zone {zone.name}, or take it out of the nameservers{hint}",
    )


def _not_rrdns(seen: ServerSeen, reply: Reply) -> Iterator[Finding]:
    if "ra" in reply.flags:
        yield Finding(
            Fault.NOT_RRDNS,
            f"{shown(seen.server, seen.name)} offers recursion (RA), which rrdns never does: "
            "another server answers there, or something on the way",
            "let the delegation lead to rrdns itself, with no other DNS server in between",
        )


def _transports(seen: ServerSeen) -> Iterator[Finding]:
    where = shown(seen.server, seen.name)
    if isinstance(seen.tcp, Silence):
        yield Finding(
            Fault.NO_TCP,
            f"{where} does not answer over TCP: {seen.tcp.why}",
            "let TCP port 53 pass to it: resolvers use TCP when an answer is lost or cut",
        )
    if isinstance(seen.edns, Silence) or seen.edns.rcode != "NOERROR":
        yield Finding(
            Fault.NO_EDNS,
            f"{where} answers plain questions, and not those with EDNS: it {said(seen.edns)}",
            "let datagrams with EDNS pass: firewalls that inspect DNS drop what they do not know",
        )


def soa_differs(reply: Reply, zone: Zone, where: str, mend: str) -> Iterator[Finding]:
    """Compare an SOA record with the config; MINIMUM follows the pools and is left out."""
    wanted = (
        zone.nameservers[0].name,
        zone.hostmaster,
        *(str(number) for number in (zone.serial, zone.refresh, zone.retry, zone.expire)),
    )
    for record in of_type(reply.answer, "SOA", zone.name):
        told = tuple(bare(word) for word in record.data.split())[: len(wanted)]
        different = [
            f"{name} {one}, in the config {other}"
            for name, one, other in zip(_SOA_FIELDS, told, wanted, strict=False)
            if one != other
        ]
        if different:
            yield Finding(
                Fault.SOA_MISMATCH,
                f"the SOA of {zone.name} at {where} differs: {'; '.join(different)}",
                mend,
            )


def _ns_differs(seen: ServerSeen, zone: Zone) -> Iterator[Finding]:
    wanted = {server.name for server in zone.nameservers}
    told = _ns(seen.ns, zone)
    if told != wanted:
        yield Finding(
            Fault.NS_MISMATCH,
            f"{shown(seen.server, seen.name)} says that the nameservers of {zone.name} are "
            f"{listed(told) or 'none'}; the config names {listed(wanted)}",
            _RELOAD,
        )


def _ns(heard: Heard, zone: Zone) -> set[str]:
    records = heard.answer if isinstance(heard, Reply) else ()
    return {bare(record.data) for record in of_type(records, "NS", zone.name)}


def _answers(seen: ServerSeen, pool: Pool) -> Iterator[Finding]:
    where, last = shown(seen.server, seen.name), seen.looks[-1].heard
    if not addresses_of(last):
        yield Finding(
            Fault.NO_ADDRESS,
            f"{where} has no address for {pool.hostname}: it {said(last)}",
            "`rrdns status` tells who is out, and why",
        )
        return
    strangers = every_address(seen.looks) - {member.address for member in pool.members}
    if strangers:
        yield Finding(
            Fault.MEMBERS_MISMATCH,
            f"{where} answers {listed(strangers)}, which no member of pool {pool.name} has",
            _RELOAD,
        )
    if ttl_of(last) != pool.ttl:
        yield Finding(
            Fault.TTL_MISMATCH,
            f"{where} answers with TTL {ttl_of(last)} s; the config says {pool.ttl} s",
            _RELOAD,
        )
    if is_frozen(seen.looks):
        yield Finding(
            Fault.ROTATION_FROZEN,
            f"{where} had {listed(firsts(seen.looks))} first in each of {len(seen.looks)} answers",
            "see what answers there: rrdns puts another address first each time",
        )


def is_frozen(looks: tuple[Look, ...]) -> bool:
    """Tell whether one of several addresses stood first in each answer."""
    return len(firsts(looks)) == 1 and len(every_address(looks)) > 1
