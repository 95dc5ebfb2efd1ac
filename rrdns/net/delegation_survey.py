"""Query a zone's parent, rrdns itself and resolvers for the check of a delegation.

Without options, the resolvers are those of /etc/resolv.conf, and they resolve the parent and its
servers. All servers are queried at the same time, in threads, since most of the time is spent
waiting. `core.delegation` decides what the answers mean.
"""

from __future__ import annotations

import errno
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from rrdns.core.delegation.observations import (
    DNS_PORT,
    NameserverObservation,
    Observations,
    ParentObservation,
    ResolverObservation,
    Sample,
    addresses_of,
    all_addresses,
    first_nameserver,
    is_lame,
    normalized,
)
from rrdns.core.delegation.sampling import next_sample_in
from rrdns.core.dns_message import NoResponse, QueryOutcome, Response
from rrdns.core.model import Endpoint, Pool, Zone, is_inside
from rrdns.net import dns_client

MAX_PARENTS = 8  # queried servers of a parent zone; some zones have dozens
MAX_SAMPLES = 16  # queries for the boot hostname at each address of rrdns
THREADS = 16
SAMPLE_INTERVAL = 0.2  # seconds between two updates of the progress

_LOCAL = {
    errno.ENETUNREACH,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EINVAL,  # a link-local address without its link
    errno.EACCES,
    errno.EPERM,
}
S = TypeVar("S")
T = TypeVar("T")


class QueryFunction(Protocol):
    """Send one query to a server; `wire.dns.client.encode_query` has the options."""

    def __call__(
        self,
        server: Endpoint,
        name: str,
        rtype: str,
        *,
        tcp: bool = False,
        recurse: bool = True,
        checking_disabled: bool = False,
        edns: bool = False,
    ) -> QueryOutcome:
        """Return the response, or why there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """The functions that a survey calls: queries, clock, pauses and progress."""

    query: QueryFunction
    clock: Callable[[], float]
    pause: Callable[[float], bool]  # True: the survey is stopped
    stop: Callable[[], None]  # ends all pauses
    tick: Callable[[], None]  # called repeatedly, to show progress


@dataclass(frozen=True, slots=True)
class SurveyPlan:
    """The zone and the servers of a survey."""

    zone: Zone
    pool: Pool | None
    timeout: float  # seconds of watching a resolver
    resolvers: tuple[Endpoint, ...] = ()
    parents: tuple[Endpoint, ...] = ()  # empty: the servers that the resolvers find
    servers: tuple[Endpoint, ...] = ()  # empty: the addresses of the zone's nameservers


def real_environment(timeout: float, tick: Callable[[], None]) -> Environment:
    """Return the environment with real sockets, clocks and pauses."""
    stopped = threading.Event()
    return Environment(query_function(timeout), time.monotonic, stopped.wait, stopped.set, tick)


def query_function(timeout: float) -> QueryFunction:
    """Return the function that queries over real sockets."""

    def query(
        server: Endpoint, name: str, rtype: str, *, tcp: bool = False, **how: bool
    ) -> QueryOutcome:
        try:
            return dns_client.query_with_reason(
                server, name, rtype, tcp=tcp, timeout=timeout, **how
            ).response
        except ValueError as error:
            return NoResponse(str(error))
        except (OSError, EOFError) as error:
            local = getattr(error, "errno", None) in _LOCAL
            return NoResponse(dns_client.describe_error(error, timeout), is_local_error=local)

    return query


def run_survey(plan: SurveyPlan, world: Environment) -> Observations:
    """Query all servers, and return the observations."""
    with ThreadPoolExecutor(THREADS) as threads:
        try:
            return _survey(plan, world, threads)
        except BaseException:
            world.stop()  # otherwise the executor waits for the threads
            raise


def _survey(plan: SurveyPlan, world: Environment, threads: ThreadPoolExecutor) -> Observations:
    def each(observe: Callable[[S], T], subjects: Iterable[S]) -> tuple[T, ...]:
        futures = [threads.submit(observe, subject) for subject in subjects]
        while wait(futures, timeout=SAMPLE_INTERVAL).not_done:
            world.tick()
        return tuple(future.result() for future in futures)

    [(parent_zone, parents)] = each(lambda _: _parents(plan, world), [None])
    [places] = each(lambda _: _zone_servers(plan, world), [None])
    at_parents = each(lambda server: _observe_parent(server, parent_zone, plan, world), parents)
    at_servers = each(
        lambda server: _observe_nameserver(*server, plan, world), _servers(plan, places)
    )
    seen = Observations(
        zone=plan.zone,
        pool=plan.pool,
        parent_zone=parent_zone,
        parents=at_parents,
        parents_named=bool(plan.parents),
        servers=at_servers,
        unresolved=tuple(name for name, addresses in places.items() if not addresses),
    )
    at_resolvers = each(
        lambda server: _observe_resolver(server, seen, plan.timeout, world), plan.resolvers
    )
    return replace(seen, resolvers=at_resolvers)


# The servers to query


def _parents(plan: SurveyPlan, world: Environment) -> tuple[str, tuple[Endpoint, ...]]:
    """Return the name of the parent zone, and its servers: the given ones, or all."""
    above = plan.zone.name.partition(".")[2]
    for server in plan.parents:
        if zone := _zone_of(above, world.query(server, above, "SOA", recurse=False)):
            return zone, plan.parents
    if plan.parents:
        return above, plan.parents
    for resolver in plan.resolvers:
        zone = _zone_of(above, world.query(resolver, above, "SOA"))
        # The root or a top-level domain cannot be the parent of a deeper name.
        if zone and ("." in zone or "." not in above):
            return zone, tuple(_nameservers_of(zone, resolver, plan, world))[:MAX_PARENTS]
    return "", ()


def _zone_of(name: str, outcome: QueryOutcome) -> str:
    """Return the zone of a name, from an SOA record in any section."""
    records = (*outcome.answer, *outcome.authority) if isinstance(outcome, Response) else ()
    owners = (normalized(record.name) for record in records if record.type == "SOA")
    return next((owner for owner in owners if owner and is_inside(name, owner)), "")


def _nameservers_of(
    zone: str, resolver: Endpoint, plan: SurveyPlan, world: Environment
) -> Iterator[Endpoint]:
    outcome = world.query(resolver, zone, "NS")
    for name in sorted(outcome.data("NS")) if isinstance(outcome, Response) else ():
        for address in _addresses(normalized(name), plan.resolvers, world):
            yield Endpoint(address, DNS_PORT)


def _addresses(name: str, resolvers: Iterable[Endpoint], world: Environment) -> tuple[str, ...]:
    """Return the addresses of a name from the first resolver that has any, IPv4 before IPv6."""
    for resolver in resolvers:
        for rtype in ("A", "AAAA"):
            outcome = world.query(resolver, name, rtype)
            if isinstance(outcome, Response) and outcome.data(rtype):
                return outcome.data(rtype)
    return ()


def _zone_servers(plan: SurveyPlan, world: Environment) -> dict[str, tuple[str, ...]]:
    """Return the addresses of each nameserver, from the config or from a resolver."""
    return {
        server.name: server.addresses or _addresses(server.name, plan.resolvers, world)
        for server in plan.zone.nameservers
        if not plan.servers and (server.addresses or plan.resolvers)
    }


def _servers(plan: SurveyPlan, places: Mapping[str, tuple[str, ...]]) -> list[tuple[Endpoint, str]]:
    """Return the addresses where rrdns should answer, each with its nameserver's name."""
    given = [(server, "") for server in plan.servers]
    resolved = [
        (Endpoint(address, DNS_PORT), name)
        for name, addresses in places.items()
        for address in addresses
    ]
    return given or resolved


# The observations


def _observe_parent(
    server: Endpoint, parent_zone: str, plan: SurveyPlan, world: Environment
) -> ParentObservation:
    zone = plan.zone.name
    delegation = world.query(server, zone, "NS", recurse=False)
    if isinstance(delegation, NoResponse):
        return ParentObservation(server, delegation, delegation, delegation)
    apex = world.query(server, parent_zone, "SOA", recurse=False)
    own = first_nameserver(apex)
    return ParentObservation(
        server,
        apex=apex,
        delegation=delegation,
        ds=world.query(server, zone, "DS", recurse=False),
        address=world.query(server, plan.pool.hostname, "A", recurse=False) if plan.pool else None,
        own=world.query(server, own, "A", recurse=False) if own else None,
    )


def _observe_nameserver(
    server: Endpoint, name: str, plan: SurveyPlan, world: Environment
) -> NameserverObservation:
    zone = plan.zone.name
    soa = world.query(server, zone, "SOA", recurse=False)
    tcp = world.query(server, zone, "SOA", recurse=False, tcp=True)
    if is_lame(soa):
        return NameserverObservation(server, name, soa, ns=soa, tcp=tcp, edns=soa)
    return NameserverObservation(
        server,
        name,
        soa,
        ns=world.query(server, zone, "NS", recurse=False),
        tcp=tcp,
        edns=world.query(server, zone, "SOA", recurse=False, edns=True),
        samples=_samples(server, plan.pool, world),
    )


def _samples(server: Endpoint, pool: Pool | None, world: Environment) -> tuple[Sample, ...]:
    """Query rrdns often enough that each address is first, if it rotates."""
    times = min(2 * len(pool.members) + 2, MAX_SAMPLES) if pool else 0
    return tuple(_sample(server, pool.hostname, world) for _ in range(times) if pool)


def _sample(server: Endpoint, hostname: str, world: Environment) -> Sample:
    outcome = world.query(server, hostname, "A")
    return Sample(world.clock(), outcome)


def _observe_resolver(
    server: Endpoint, seen: Observations, timeout: float, world: Environment
) -> ResolverObservation:
    """Query a resolver; `seen` has the observations of the parents and rrdns."""
    soa = world.query(server, seen.zone.name, "SOA")
    if seen.pool is None:
        return ResolverObservation(server, soa)
    if isinstance(soa, NoResponse):
        return ResolverObservation(server, soa, (Sample(world.clock(), soa),))
    samples = _watch(server, seen.servers, seen.pool, timeout, world)
    if addresses_of(samples[-1].outcome):
        return ResolverObservation(server, soa, samples)
    own = next(filter(None, (first_nameserver(parent.apex) for parent in seen.parents)), "")
    return ResolverObservation(
        server,
        soa,
        samples,
        unchecked=world.query(server, seen.pool.hostname, "A", checking_disabled=True),
        parent=world.query(server, own, "A") if own else None,
    )


def _watch(
    server: Endpoint,
    at_servers: Sequence[NameserverObservation],
    pool: Pool,
    timeout: float,
    world: Environment,
) -> tuple[Sample, ...]:
    """Query a resolver for the boot hostname until its caching and rotation are clear."""
    direct = {address for seen in at_servers for address in all_addresses(seen.samples)}
    choices = len(direct or pool.members)
    samples: list[Sample] = []
    while (pause := next_sample_in(samples, choices, timeout)) is not None:
        if pause:
            if world.pause(pause):
                break
            _advance_rotation(at_servers, pool, choices, world)
        samples.append(_sample(server, pool.hostname, world))
    return tuple(samples)


def _advance_rotation(
    at_servers: Sequence[NameserverObservation], pool: Pool, choices: int, world: Environment
) -> None:
    """Advance the rotation randomly: resolvers queried in step would always get the same answer."""
    for seen in at_servers:
        if seen.samples:
            for _ in range(secrets.randbelow(choices)):
                world.query(seen.server, pool.hostname, "A")
