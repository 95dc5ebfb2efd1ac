"""What a survey sees of a healthy delegation, and replies to change it with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rrdns.core.delegation.observations import (
    NameserverObservation,
    Observations,
    ParentObservation,
    ResolverObservation,
    Sample,
)
from rrdns.core.dns_message import NoResponse, QueryOutcome, ResourceRecord, Response
from rrdns.core.model import BootFile, Endpoint, Member, Nameserver, Pool, ProbeSpec, Zone

NAME = "boot.pvs.example.test"
ADDRESSES = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
NS1 = Nameserver("ns1.pvs.example.test", ("192.0.2.53",))
ZONE = Zone("pvs.example.test", (NS1,), "hostmaster.example.test")
POOL = Pool(
    "boot",
    NAME,
    tuple(Member(f"pvs-{n}", address) for n, address in enumerate(ADDRESSES, 1)),
    ProbeSpec((BootFile("ARDBP32.BIN"),)),
)
AT_PARENT, AT_RRDNS = Endpoint("192.0.2.1", 53), Endpoint("192.0.2.53", 53)
AT_RESOLVER = Endpoint("192.0.2.3", 53)
QUIET = NoResponse("no answer within 2 s, 3 times")

NS = "pvs.example.test. 3600 NS ns1.pvs.example.test."
GLUE = "ns1.pvs.example.test. 3600 A 192.0.2.53"
SOA = (
    "pvs.example.test. 3600 SOA ns1.pvs.example.test. hostmaster.example.test. 1 3600 600 1209600 5"
)
PARENT_SOA = "example.test. 3600 SOA dc1.example.test. h.example.test. 7 3600 600 1209600 5"


def records(lines: Iterable[str]) -> tuple[ResourceRecord, ...]:
    """Return records written as `name ttl type data`."""
    parts = (line.split(" ", 3) for line in lines)
    return tuple(ResourceRecord(name, int(ttl), rtype, data) for name, ttl, rtype, data in parts)


def reply(
    *answer: str,
    authority: Iterable[str] = (),
    additional: Iterable[str] = (),
    rcode: str = "NOERROR",
    flags: tuple[str, ...] = ("aa",),
) -> Response:
    """Return a reply with these records."""
    sections = records(answer), records(authority), records(additional)
    return Response(rcode, flags, *sections, payload_bytes=100)


def referral(*names: str, glue: Iterable[str] = ()) -> Response:
    """Return what a parent says of the zone."""
    return reply(authority=names or (NS,), additional=glue or (GLUE,), flags=())


def addresses(*order: str, ttl: int = 5, flags: tuple[str, ...] = ("rd", "ra")) -> Response:
    """Return an answer for the boot hostname."""
    return reply(*(f"{NAME}. {ttl} A {one}" for one in order), flags=flags)


def turned(by: int, ttl: int = 5, among: tuple[str, ...] = ADDRESSES) -> Response:
    """Return an answer whose order was turned so often."""
    at = by % len(among)
    return addresses(*among[at:], *among[:at], ttl=ttl)


def looks(*outcome: QueryOutcome, at: Iterable[float] = ()) -> tuple[Sample, ...]:
    """Return looks at these times, or at once."""
    times = tuple(at) or (0.0,) * len(outcome)
    return tuple(Sample(time, one) for time, one in zip(times, outcome, strict=True))


TURNING = looks(turned(0), turned(1), turned(2))
PARENT = ParentObservation(
    AT_PARENT,
    apex=reply(PARENT_SOA),
    delegation=referral(),
    ds=reply(authority=(PARENT_SOA,)),
    address=referral(),
    own=reply("dc1.example.test. 3600 A 10.0.0.1"),
)
SERVER = NameserverObservation(
    AT_RRDNS,
    NS1.name,
    soa=reply(SOA),
    ns=reply(NS),
    tcp=reply(SOA),
    edns=reply(SOA),
    samples=TURNING,
)
RESOLVER = ResolverObservation(
    AT_RESOLVER,
    soa=reply(SOA, flags=("ra",)),
    samples=looks(turned(0), turned(1), turned(2), at=(0.0, 0.1, 6.2)),
)
SURVEY = Observations(
    ZONE, POOL, "example.test", (PARENT,), servers=(SERVER,), resolvers=(RESOLVER,)
)


def at_parent(**changes: Any) -> Observations:
    """Return the healthy survey with something else at the parent."""
    return replace(SURVEY, parents=(replace(PARENT, **changes),))


def at_server(**changes: Any) -> Observations:
    """Return the healthy survey with something else at rrdns."""
    return replace(SURVEY, servers=(replace(SERVER, **changes),))


def at_resolver(**changes: Any) -> Observations:
    """Return the healthy survey with something else at the resolver."""
    return replace(SURVEY, resolvers=(replace(RESOLVER, **changes),))
