"""Tell what a survey of a delegation comes to: what is wrong, what is well, what stays open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rrdns.core.delegation import check_nameserver, check_parent, check_resolver
from rrdns.core.delegation.observations import (
    Finding,
    FindingCode,
    Hint,
    NameserverObservation,
    Note,
    Observations,
    ParentObservation,
    ResolverObservation,
    Role,
    Sample,
    addresses_of,
    display_name,
    first_addresses,
    join_sorted,
    ttl_of,
)
from rrdns.core.delegation.sampling import INITIAL_SAMPLES
from rrdns.core.dns_message import NoResponse, QueryOutcome


@dataclass(frozen=True, slots=True)
class ServerResult:
    """A server that was asked, what is wrong there, and else what is well."""

    role: Role
    server: str
    ok_text: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be told of a delegation."""

    servers: tuple[ServerResult, ...]
    notes: tuple[Note, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return all that is wrong."""
        return tuple(finding for one in self.servers for finding in one.findings)


def build_report(survey: Observations) -> Report:
    """Return what a survey comes to."""
    survey, unasked = _without_unasked(survey)
    resolvers = list(_resolvers(survey))
    reached = bool(resolvers) and not any(one.findings for one in resolvers)
    parents = list(_parents(survey, needed=survey.parents_named or not reached))
    return Report(
        servers=(*parents, *_servers(survey), *resolvers),
        notes=(*unasked, *_notes(survey, parents, resolvers)),
    )


def _without_unasked(survey: Observations) -> tuple[Observations, list[Note]]:
    """Leave out whom this host cannot ask, if others of its kind answer.

    Without IPv6 that is anybody there; of a parent's servers that nobody named, also those that
    are silent, as a firewall need not let this host ask all of them.
    """
    parents, no_parents = _asked(
        survey.parents,
        [one.delegation for one in survey.parents],
        silent_too=not survey.parents_named,
    )
    servers, no_servers = _asked(survey.servers, [one.soa for one in survey.servers])
    resolvers, no_resolvers = _asked(survey.resolvers, [one.soa for one in survey.resolvers])
    kept = replace(survey, parents=parents, servers=servers, resolvers=resolvers)
    return kept, no_parents + no_servers + no_resolvers


S = TypeVar("S", ParentObservation, NameserverObservation, ResolverObservation)


def _asked(
    seen: tuple[S, ...], outcome: Sequence[QueryOutcome], *, silent_too: bool = False
) -> tuple[tuple[S, ...], list[Note]]:
    """Return who could be asked, and a note for each other one."""
    pairs = list(zip(seen, outcome, strict=True))
    unasked = [
        (one, what)
        for one, what in pairs
        if isinstance(what, NoResponse) and (what.is_local_error or silent_too)
    ]
    if len(unasked) == len(seen):
        return seen, []
    notes = [
        Note(f"{display_name(one.server)} could not be asked from here: {what.reason}")
        for one, what in unasked
    ]
    return tuple(pair[0] for pair in pairs if pair not in unasked), notes


def _parents(survey: Observations, *, needed: bool) -> Iterator[ServerResult]:
    for seen in survey.parents:
        findings = check_parent.check(seen, survey)
        if not needed and [finding.code for finding in findings] == [FindingCode.NO_DELEGATION]:
            # Resolvers may have the zone in their config: then no parent has to delegate it.
            well = "no delegation, and the resolvers do without"
            yield ServerResult(Role.PARENT, display_name(seen.server), well)
        else:
            well = "" if findings else _delegates(seen, survey)
            yield ServerResult(Role.PARENT, display_name(seen.server), well, tuple(findings))


def _delegates(seen: ParentObservation, survey: Observations) -> str:
    names = check_parent.delegated_to(seen, survey.zone.name)
    return f"{survey.parent_zone} delegates {survey.zone.name} to {join_sorted(names)}"


def _servers(survey: Observations) -> Iterator[ServerResult]:
    for name in survey.unresolved:
        finding = check_nameserver.unresolved(name, survey)
        yield ServerResult(Role.NAMESERVER, name, "", (finding,))
    for seen in survey.servers:
        findings = check_nameserver.check(seen, survey)
        well = "" if findings else _authoritative(seen)
        yield ServerResult(
            Role.NAMESERVER, display_name(seen.server, seen.name), well, tuple(findings)
        )


def _authoritative(seen: NameserverObservation) -> str:
    answers = f"; {_answers(seen.samples)}" if seen.samples else ""
    return f"authoritative over UDP and TCP, with EDNS{answers}"


def _resolvers(survey: Observations) -> Iterator[ServerResult]:
    for seen in survey.resolvers:
        findings = check_resolver.check(seen, survey)
        well = _answers(seen.samples) if seen.samples else "it finds the zone"
        yield ServerResult(
            Role.RESOLVER, display_name(seen.server), "" if findings else well, tuple(findings)
        )


def _answers(looks: Sequence[Sample]) -> str:
    """Say what is answered: how many addresses, for how long, and whether they turn."""
    count = len(addresses_of(looks[-1].outcome))
    longest = max(ttl_of(look.outcome) or 0 for look in looks)
    plural = "address" if count == 1 else "addresses"
    return f"{count} {plural}, TTL {longest} s at most{_turns(looks)}"


def _turns(looks: Sequence[Sample]) -> str:
    if len(first_addresses(looks)) < 2:
        return ""
    at_once = len(first_addresses(looks[:INITIAL_SAMPLES])) > 1
    return ", the first one turns" + ("" if at_once else " with each new answer")


def _notes(
    survey: Observations, parents: list[ServerResult], resolvers: list[ServerResult]
) -> Iterator[Note]:
    if not parents:
        parent = survey.parent_zone
        found = f"no server of {parent} was found" if parent else "no parent zone was found"
        yield Note(found, Hint.OTHER_PARENT)
    if not resolvers:
        yield Note("no resolver was queried", Hint.OTHER_RESOLVER)
    if survey.pool is None:
        yield Note(f"{survey.zone.name} has no pool, so no answers were checked")
    for seen, asked in zip(survey.resolvers, resolvers, strict=True):
        if not asked.findings and (note := check_resolver.inconclusive_note(seen, survey)):
            yield note
