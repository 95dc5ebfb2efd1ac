"""Build the report of a delegation check: findings, servers without findings, and notes."""

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
    """A server that was queried, with its findings, or a text if there are none."""

    role: Role
    server: str
    ok_text: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a delegation check."""

    servers: tuple[ServerResult, ...]
    notes: tuple[Note, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return all findings."""
        return tuple(finding for server in self.servers for finding in server.findings)


def build_report(survey: Observations) -> Report:
    """Return the report of a survey."""
    survey, unreachable = _without_unreachable(survey)
    resolvers = list(_resolvers(survey))
    reached = bool(resolvers) and not any(resolver.findings for resolver in resolvers)
    parents = list(_parents(survey, needed=survey.parents_named or not reached))
    return Report(
        servers=(*parents, *_servers(survey), *resolvers),
        notes=(*unreachable, *_notes(survey, parents, resolvers)),
    )


def _without_unreachable(survey: Observations) -> tuple[Observations, list[Note]]:
    """Leave out servers that this host cannot query, if others of their kind answer.

    For example, a host without IPv6 cannot query IPv6 addresses. If the admin did not name the
    parent's servers, silent ones are left out, too: a firewall may block some of them.
    """
    parents, no_parents = _reachable(
        survey.parents,
        [parent.delegation for parent in survey.parents],
        silent_too=not survey.parents_named,
    )
    servers, no_servers = _reachable(survey.servers, [server.soa for server in survey.servers])
    resolvers, no_resolvers = _reachable(
        survey.resolvers, [resolver.soa for resolver in survey.resolvers]
    )
    kept = replace(survey, parents=parents, servers=servers, resolvers=resolvers)
    return kept, no_parents + no_servers + no_resolvers


S = TypeVar("S", ParentObservation, NameserverObservation, ResolverObservation)


def _reachable(
    seen: tuple[S, ...], outcomes: Sequence[QueryOutcome], *, silent_too: bool = False
) -> tuple[tuple[S, ...], list[Note]]:
    """Return the servers that this host can query, and a note for each other one."""
    pairs = list(zip(seen, outcomes, strict=True))
    unreachable = [
        (server, outcome)
        for server, outcome in pairs
        if isinstance(outcome, NoResponse) and (outcome.is_local_error or silent_too)
    ]
    if len(unreachable) == len(seen):
        return seen, []
    notes = [
        Note(f"{display_name(server.server)} cannot be queried from here: {outcome.reason}")
        for server, outcome in unreachable
    ]
    return tuple(pair[0] for pair in pairs if pair not in unreachable), notes


def _parents(survey: Observations, *, needed: bool) -> Iterator[ServerResult]:
    for seen in survey.parents:
        findings = check_parent.check(seen, survey)
        if not needed and [finding.code for finding in findings] == [FindingCode.NO_DELEGATION]:
            # Resolvers may have the zone in their config: then no parent needs to delegate it.
            ok_text = "no delegation, and the resolvers do not need one"
            yield ServerResult(Role.PARENT, display_name(seen.server), ok_text)
        else:
            ok_text = "" if findings else _delegates(seen, survey)
            yield ServerResult(Role.PARENT, display_name(seen.server), ok_text, tuple(findings))


def _delegates(seen: ParentObservation, survey: Observations) -> str:
    names = check_parent.delegated_to(seen, survey.zone.name)
    return f"{survey.parent_zone} delegates {survey.zone.name} to {join_sorted(names)}"


def _servers(survey: Observations) -> Iterator[ServerResult]:
    for name in survey.unresolved:
        finding = check_nameserver.unresolved(name, survey)
        yield ServerResult(Role.NAMESERVER, name, "", (finding,))
    for seen in survey.servers:
        findings = check_nameserver.check(seen, survey)
        ok_text = "" if findings else _authoritative(seen)
        yield ServerResult(
            Role.NAMESERVER, display_name(seen.server, seen.name), ok_text, tuple(findings)
        )


def _authoritative(seen: NameserverObservation) -> str:
    answers = f"; {_answers(seen.samples)}" if seen.samples else ""
    return f"authoritative over UDP and TCP, with EDNS{answers}"


def _resolvers(survey: Observations) -> Iterator[ServerResult]:
    for seen in survey.resolvers:
        findings = check_resolver.check(seen, survey)
        ok_text = _answers(seen.samples) if seen.samples else "it finds the zone"
        yield ServerResult(
            Role.RESOLVER, display_name(seen.server), "" if findings else ok_text, tuple(findings)
        )


def _answers(samples: Sequence[Sample]) -> str:
    """Return a text about the answers: their addresses, TTL and rotation."""
    count = len(addresses_of(samples[-1].outcome))
    longest = max(ttl_of(sample.outcome) or 0 for sample in samples)
    plural = "address" if count == 1 else "addresses"
    return f"{count} {plural}, TTL {longest} s at most{_rotation(samples)}"


def _rotation(samples: Sequence[Sample]) -> str:
    if len(first_addresses(samples)) < 2:
        return ""
    at_once = len(first_addresses(samples[:INITIAL_SAMPLES])) > 1
    return ", the first one changes" + ("" if at_once else " with each new answer")


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
    for seen, result in zip(survey.resolvers, resolvers, strict=True):
        if not result.findings and (note := check_resolver.inconclusive_note(seen, survey)):
            yield note
