"""Ask a zone's parent, rrdns itself and resolvers what the check of a delegation has to know.

Whom to ask is found where nobody names it: resolvers in /etc/resolv.conf, the parent and its
servers through them. Everything is asked at once, in threads, since most of the time is spent
waiting; what it means is decided in `core.delegation_report`.
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
    Look,
    ParentSeen,
    ResolverSeen,
    ServerSeen,
    Survey,
    addresses_of,
    bare,
    every_address,
    first_nameserver,
    is_lame,
)
from rrdns.core.delegation.sampling import next_look
from rrdns.core.dns_message import Heard, Reply, Silence
from rrdns.core.model import Endpoint, Pool, Zone, is_inside
from rrdns.net import dns_client

MOST_PARENTS = 8  # servers of a parent zone that are asked; some have dozens
MOST_LOOKS = 16  # at rrdns itself, at once
THREADS = 16
TICK = 0.2  # seconds between two signs of life

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


class Ask(Protocol):
    """Ask a server one question; see `wire.client.ask` for how."""

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
    ) -> Heard:
        """Return what it says."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What a survey does outside of itself."""

    ask: Ask
    clock: Callable[[], float]
    pause: Callable[[float], bool]  # True: do not go on
    stop: Callable[[], None]  # whoever pauses
    tick: Callable[[], None]  # called now and then, to show that it goes on


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask whom."""

    zone: Zone
    pool: Pool | None
    patience: float  # seconds that watching a resolver may take
    resolvers: tuple[Endpoint, ...] = ()
    parents: tuple[Endpoint, ...] = ()  # none: those that the resolvers tell
    servers: tuple[Endpoint, ...] = ()  # none: at the addresses of the zone's nameservers


def real_world(timeout: float, tick: Callable[[], None]) -> World:
    """Return the world of real sockets, clocks and pauses."""
    ending = threading.Event()
    return World(asking(timeout), time.monotonic, ending.wait, ending.set, tick)


def asking(timeout: float) -> Ask:
    """Return how to ask over real sockets."""

    def ask(server: Endpoint, name: str, rtype: str, *, tcp: bool = False, **how: bool) -> Heard:
        try:
            return dns_client.ask_with_reason(
                server, name, rtype, tcp=tcp, timeout=timeout, **how
            ).reply
        except ValueError as error:
            return Silence(str(error))
        except (OSError, EOFError) as error:
            local = getattr(error, "errno", None) in _LOCAL
            return Silence(dns_client.reason(error, timeout), local=local)

    return ask


def survey(plan: Plan, world: World) -> Survey:
    """Ask everybody, and return what was seen."""
    with ThreadPoolExecutor(THREADS) as threads:
        try:
            return _survey(plan, world, threads)
        except BaseException:
            world.stop()  # else the threads would be waited for
            raise


def _survey(plan: Plan, world: World, threads: ThreadPoolExecutor) -> Survey:
    def each(see: Callable[[S], T], whom: Iterable[S]) -> tuple[T, ...]:
        futures = [threads.submit(see, one) for one in whom]
        while wait(futures, timeout=TICK).not_done:
            world.tick()
        return tuple(future.result() for future in futures)

    [(parent_zone, parents)] = each(lambda _: _parents(plan, world), [None])
    [places] = each(lambda _: _places(plan, world), [None])
    at_parents = each(lambda one: _see_parent(one, parent_zone, plan, world), parents)
    at_servers = each(lambda one: _see_server(*one, plan, world), _servers(plan, places))
    seen = Survey(
        zone=plan.zone,
        pool=plan.pool,
        parent_zone=parent_zone,
        parents=at_parents,
        parents_named=bool(plan.parents),
        servers=at_servers,
        unresolved=tuple(name for name, addresses in places.items() if not addresses),
    )
    at_resolvers = each(lambda one: _see_resolver(one, seen, plan.patience, world), plan.resolvers)
    return replace(seen, resolvers=at_resolvers)


# Whom to ask


def _parents(plan: Plan, world: World) -> tuple[str, tuple[Endpoint, ...]]:
    """Return the name of the parent zone, and its servers: those that are named, or all."""
    above = plan.zone.name.partition(".")[2]
    for server in plan.parents:
        if zone := _zone_of(above, world.ask(server, above, "SOA", recurse=False)):
            return zone, plan.parents
    if plan.parents:
        return above, plan.parents
    for resolver in plan.resolvers:
        zone = _zone_of(above, world.ask(resolver, above, "SOA"))
        # The root or a top-level domain for a name deeper down: nobody there knows of it.
        if zone and ("." in zone or "." not in above):
            return zone, tuple(_holders(zone, resolver, plan, world))[:MOST_PARENTS]
    return "", ()


def _zone_of(name: str, heard: Heard) -> str:
    """Return the zone that a name is in, as an SOA record in any section tells it."""
    records = (*heard.answer, *heard.authority) if isinstance(heard, Reply) else ()
    owners = (bare(record.name) for record in records if record.type == "SOA")
    return next((owner for owner in owners if owner and is_inside(name, owner)), "")


def _holders(zone: str, resolver: Endpoint, plan: Plan, world: World) -> Iterator[Endpoint]:
    heard = world.ask(resolver, zone, "NS")
    for name in sorted(heard.data("NS")) if isinstance(heard, Reply) else ():
        for address in _addresses(bare(name), plan.resolvers, world):
            yield Endpoint(address, DNS_PORT)


def _addresses(name: str, resolvers: Iterable[Endpoint], world: World) -> tuple[str, ...]:
    """Return the addresses of a name, IPv4 before IPv6, from the first resolver that knows any."""
    for resolver in resolvers:
        for rtype in ("A", "AAAA"):
            heard = world.ask(resolver, name, rtype)
            if isinstance(heard, Reply) and heard.data(rtype):
                return heard.data(rtype)
    return ()


def _places(plan: Plan, world: World) -> dict[str, tuple[str, ...]]:
    """Return the addresses of each nameserver, from the config or else from a resolver."""
    return {
        server.name: server.addresses or _addresses(server.name, plan.resolvers, world)
        for server in plan.zone.nameservers
        if not plan.servers and (server.addresses or plan.resolvers)
    }


def _servers(plan: Plan, places: Mapping[str, tuple[str, ...]]) -> list[tuple[Endpoint, str]]:
    """Return where rrdns should answer, and the nameserver's name there."""
    named = [(server, "") for server in plan.servers]
    found = [(Endpoint(one, DNS_PORT), name) for name, all_ in places.items() for one in all_]
    return named or found


# What they say


def _see_parent(server: Endpoint, parent_zone: str, plan: Plan, world: World) -> ParentSeen:
    zone = plan.zone.name
    delegation = world.ask(server, zone, "NS", recurse=False)
    if isinstance(delegation, Silence):
        return ParentSeen(server, delegation, delegation, delegation)
    apex = world.ask(server, parent_zone, "SOA", recurse=False)
    own = first_nameserver(apex)
    return ParentSeen(
        server,
        apex=apex,
        delegation=delegation,
        ds=world.ask(server, zone, "DS", recurse=False),
        address=world.ask(server, plan.pool.hostname, "A", recurse=False) if plan.pool else None,
        own=world.ask(server, own, "A", recurse=False) if own else None,
    )


def _see_server(server: Endpoint, name: str, plan: Plan, world: World) -> ServerSeen:
    zone = plan.zone.name
    soa = world.ask(server, zone, "SOA", recurse=False)
    tcp = world.ask(server, zone, "SOA", recurse=False, tcp=True)
    if is_lame(soa):
        return ServerSeen(server, name, soa, ns=soa, tcp=tcp, edns=soa)
    return ServerSeen(
        server,
        name,
        soa,
        ns=world.ask(server, zone, "NS", recurse=False),
        tcp=tcp,
        edns=world.ask(server, zone, "SOA", recurse=False, edns=True),
        looks=_looks(server, plan.pool, world),
    )


def _looks(server: Endpoint, pool: Pool | None, world: World) -> tuple[Look, ...]:
    """Ask rrdns so often that each address comes first, where it turns."""
    times = min(2 * len(pool.members) + 2, MOST_LOOKS) if pool else 0
    return tuple(_look(server, pool.hostname, world) for _ in range(times) if pool)


def _look(server: Endpoint, hostname: str, world: World) -> Look:
    heard = world.ask(server, hostname, "A")
    return Look(world.clock(), heard)


def _see_resolver(server: Endpoint, seen: Survey, patience: float, world: World) -> ResolverSeen:
    """Ask a resolver; `seen` is what the parents and rrdns said before."""
    soa = world.ask(server, seen.zone.name, "SOA")
    if seen.pool is None:
        return ResolverSeen(server, soa)
    if isinstance(soa, Silence):
        return ResolverSeen(server, soa, (Look(world.clock(), soa),))
    looks = _watch(server, seen.servers, seen.pool, patience, world)
    if addresses_of(looks[-1].heard):
        return ResolverSeen(server, soa, looks)
    own = next(filter(None, (first_nameserver(parent.apex) for parent in seen.parents)), "")
    return ResolverSeen(
        server,
        soa,
        looks,
        unchecked=world.ask(server, seen.pool.hostname, "A", checking_disabled=True),
        parent=world.ask(server, own, "A") if own else None,
    )


def _watch(
    server: Endpoint,
    at_servers: Sequence[ServerSeen],
    pool: Pool,
    patience: float,
    world: World,
) -> tuple[Look, ...]:
    """Look at the boot hostname through a resolver until it has shown what it does with it."""
    direct = {address for seen in at_servers for address in every_address(seen.looks)}
    choices = len(direct or pool.members)
    looks: list[Look] = []
    while (pause := next_look(looks, choices, patience)) is not None:
        if pause:
            if world.pause(pause):
                break
            _shuffle(at_servers, pool, choices, world)
        looks.append(_look(server, pool.hostname, world))
    return tuple(looks)


def _shuffle(at_servers: Sequence[ServerSeen], pool: Pool, choices: int, world: World) -> None:
    """Move the turn on by chance: askers in step with each other would always see the same."""
    for seen in at_servers:
        if seen.looks:
            for _ in range(secrets.randbelow(choices)):
                world.ask(seen.server, pool.hostname, "A")
