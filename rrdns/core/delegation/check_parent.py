"""Find problems of a delegation at a server of the parent zone.

The queries are without recursion, so the server answers from its own data. If the delegation is
right, it answers with a referral to the zone's nameservers and glue (RFC 1034, section 4.3.2).
"""

from __future__ import annotations

from collections.abc import Iterator

from rrdns.core.delegation.observations import (
    Finding,
    FindingCode,
    Hint,
    Observations,
    ParentObservation,
    addresses_of,
    describe_failure,
    display_name,
    is_lame,
    join_sorted,
    normalized,
    of_type,
)
from rrdns.core.dns_message import NoResponse, QueryOutcome, ResourceRecord, Response
from rrdns.core.model import is_inside


def check(seen: ParentObservation, survey: Observations) -> list[Finding]:
    """Return the findings about one server of the parent zone."""
    return list(_find(seen, survey))


def _find(seen: ParentObservation, survey: Observations) -> Iterator[Finding]:
    if isinstance(seen.delegation, NoResponse):
        yield Finding(
            FindingCode.PARENT_SILENT,
            f"the parent's server {display_name(seen.server)} does not answer: "
            f"{seen.delegation.reason}",
            "let this host query it, or check another server of the parent zone",
            Hint.OTHER_PARENT,
        )
    elif names := delegated_to(seen, survey.zone.name):
        yield from _names(names, survey)
        yield from _glue(seen.delegation, names, survey)
        yield from _ds(seen, survey)
    else:
        yield _missing(seen, seen.delegation, survey)


def delegated_to(seen: ParentObservation, zone: str) -> set[str]:
    """Return the nameservers that a parent's server refers to, none if it does not."""
    reply = seen.delegation
    if not isinstance(reply, Response) or "aa" in reply.flags:
        return set()
    # A server that also resolves may answer from its cache of the delegation.
    records = (*reply.authority, *reply.answer)
    return {normalized(record.data) for record in of_type(records, "NS", zone)}


def _missing(seen: ParentObservation, reply: Response, survey: Observations) -> Finding:
    """Return the finding for a missing delegation: another server has the name, or none has."""
    zone, parent, server = survey.zone.name, survey.parent_zone, display_name(seen.server)
    if list(of_type(reply.answer, "NS", zone)):
        return Finding(
            FindingCode.ANSWERED_ELSEWHERE,
            f"{server} has its own zone {zone} and answers from that, not from rrdns",
            f"remove the zone {zone} there and delegate it",
            Hint.PRINT_RECORDS,
        )
    if is_lame(seen.apex):
        return Finding(
            FindingCode.PARENT_LAME,
            f"{server} does not hold the parent zone {parent}: it {describe_failure(seen.apex)}",
            f"check a server that holds {parent}",
            Hint.OTHER_PARENT,
        )
    if seen.address is not None and addresses_of(seen.address):
        own = join_sorted(addresses_of(seen.address))
        return Finding(
            FindingCode.ANSWERED_ELSEWHERE,
            f"{server} has its own records for the boot name ({own}) and no delegation",
            f"remove these records, and delegate {zone}",
            Hint.PRINT_RECORDS,
        )
    if other := _referral(reply, zone):
        return Finding(
            FindingCode.NO_DELEGATION,
            f"{server} refers to the servers of {other}, not to the servers of {zone}",
            f"add the delegation to {other}, and check a server of that zone",
            Hint.OTHER_PARENT,
        )
    how = "" if reply.rcode == "NOERROR" else f": it {describe_failure(reply)}"
    return Finding(
        FindingCode.NO_DELEGATION,
        f"{parent} at {server} does not delegate {zone}{how}",
        f"add the delegation to {parent}",
        Hint.PRINT_RECORDS,
    )


def _referral(reply: Response, zone: str) -> str:
    """Return the zone in between that a server refers to, or ""."""
    owners = (normalized(record.name) for record in reply.authority if record.type == "NS")
    return next((owner for owner in owners if owner != zone and is_inside(zone, owner)), "")


def _names(names: set[str], survey: Observations) -> Iterator[Finding]:
    configured = {server.name for server in survey.zone.nameservers}
    parts = [
        f"{word} {join_sorted(different)}"
        for word, different in (("lacks", configured - names), ("has", names - configured))
        if different
    ]
    if parts:
        yield Finding(
            FindingCode.NS_MISMATCH,
            f"the delegation {' and '.join(parts)}; the config has {join_sorted(configured)}",
            "make the NS records at the parent the same as the nameservers in the config",
        )


def _glue(reply: Response, names: set[str], survey: Observations) -> Iterator[Finding]:
    """Compare the addresses of nameservers inside the zone, which only the parent has (glue).

    A cached delegation may lack them; a referral must have them.
    """
    for server in survey.zone.nameservers:
        if server.name not in names or not is_inside(server.name, survey.zone.name):
            continue
        glue = {normalized(record.data) for record in _addresses(reply, server.name)}
        configured = set(server.addresses)
        if not glue and any(of_type(reply.authority, "NS", survey.zone.name)):
            yield Finding(
                FindingCode.GLUE_MISSING,
                f"the delegation has no address for {server.name}, which is inside the zone: "
                "resolvers cannot find it",
                f"add the address to the delegation: {join_sorted(configured)}",
                Hint.PRINT_RECORDS,
            )
        elif glue and glue != configured:
            yield Finding(
                FindingCode.GLUE_WRONG,
                f"the delegation has {join_sorted(glue)} for {server.name}; the config has "
                f"{join_sorted(configured)}",
                f"change its addresses in the delegation to {join_sorted(configured)}",
                Hint.PRINT_RECORDS,
            )


def _addresses(reply: Response, name: str) -> Iterator[ResourceRecord]:
    records = (*reply.additional, *reply.answer)
    yield from of_type(records, "A", name)
    yield from of_type(records, "AAAA", name)


def _ds(seen: ParentObservation, survey: Observations) -> Iterator[Finding]:
    if _has_ds(seen.ds, survey.zone.name):
        yield Finding(
            FindingCode.DS_PRESENT,
            f"{display_name(seen.server)} has a DS record for {survey.zone.name}, but rrdns does "
            "not sign: validating resolvers answer SERVFAIL",
            f"remove the DS record of {survey.zone.name} from the parent zone",
        )


def _has_ds(outcome: QueryOutcome, zone: str) -> bool:
    return isinstance(outcome, Response) and any(of_type(outcome.answer, "DS", zone))
