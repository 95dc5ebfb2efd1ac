"""The names that exist: zone apexes, hostnames, nameservers, and the names between them.

There are no wildcards (RFC 4592) and no delegations below these zones. So a name that is not
in the tree does not exist, and nothing exists below a leaf (RFC 8020).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from rrdns.core.acl import AccessList
from rrdns.core.model import Zone
from rrdns.core.snapshot import PoolRRset, Snapshot
from rrdns.shm.counters import ResponseKind, counter_of
from rrdns.wire.answers.response import ResponseTemplate
from rrdns.wire.dns import records
from rrdns.wire.dns.query import TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_NS, TYPE_SOA

APEX_OFFSET = 12  # where a zone's name begins in a query for its apex


@dataclass(frozen=True, slots=True)
class ZoneApex:
    """A zone as its responses need it."""

    zone: Zone
    name: bytes  # lower case, on the wire
    minimum: int  # of the SOA: no negative response may outlive an address
    acl: AccessList | None = None  # None: any client

    def authority(self, offset: int) -> tuple[int, bytes]:
        """Return the SOA of a negative response to a question with the zone's name at `offset`."""
        ttl = min(self.zone.ttl, self.minimum)  # RFC 2308, section 3
        record = records.soa(self.zone, self.minimum, ttl)
        return 1, records.encode([record], self.zone.name, offset)


class Node:
    """A name that exists; a type without a response is NODATA."""

    __slots__ = ("apex", "responses")

    def __init__(
        self, top: ZoneApex, replies: dict[int, ResponseTemplate | None] | None = None
    ) -> None:
        self.apex = top
        self.responses = replies or {}  # by type; None: no response at all


@dataclass(slots=True)
class ZoneTree:
    """Zones and names, by lower-case wire name."""

    apexes: dict[bytes, ZoneApex] = field(default_factory=dict)
    nodes: dict[bytes, Node] = field(default_factory=dict)
    has_acl: bool = False  # a zone has an access list

    def copy(self) -> ZoneTree:
        """Return a tree of the same zones in which other names can be put."""
        return replace(self, nodes=dict(self.nodes))

    def acl_of(self, name: bytes) -> AccessList | None:
        """Return which clients may ask for a name; None: any client."""
        top = self.apex_of(name) if self.has_acl else None
        return top.acl if top else None

    def apex_of(self, name: bytes) -> ZoneApex | None:
        """Return the apex of the deepest zone that a name is in."""
        tops, at = self.apexes, 0
        while True:
            top = tops.get(name[at:])
            if top is not None or not name[at]:
                return top
            at += name[at] + 1

    def parent_apex(self, name: bytes) -> ZoneApex | None:
        """Return the zone on the parent's side of an apex, if it is served here too."""
        return self.apex_of(name[name[0] + 1 :]) if name[0] else None


def build_tree(snapshot: Snapshot, pools: Mapping[str, ResponseTemplate | None]) -> ZoneTree:
    """Return the tree of a snapshot; `pools` has each pool's response, None for silence."""
    tree = ZoneTree()
    for zone in snapshot.zones:
        name = records.wire_name(zone.name)
        audience = AccessList(zone.allow_query)
        known = None if audience.allows_all else audience
        tree.apexes[name] = ZoneApex(zone, name, zone.negative_ttl, known)
    tree.has_acl = any(top.acl for top in tree.apexes.values())
    _lower_minimums(tree, snapshot.rrsets.values())
    _add_nameservers(tree, snapshot.zones)
    hostnames = set()
    for rrset in snapshot.rrsets.values():
        name = records.wire_name(rrset.hostname)
        node = _add_name(tree, name)
        if node is not None:
            # Also if the name is a nameserver's: its AAAA would lure targets away.
            node.responses = {TYPE_A: pools[rrset.pool]}
            hostnames.add(name)
    for top in tree.apexes.values():
        _add_top(tree, _top_node(tree, top), hostnames)
    _answer_any(tree)
    return tree


def _answer_any(tree: ZoneTree) -> None:
    """Let every name that has records respond to ANY with HINFO (RFC 8482, section 4.2).

    One of its own RRsets would do as well, but a resolver would cache A records from there
    outside the rotation.
    """
    replies = {
        name: ResponseTemplate(
            counter_of(ResponseKind.ANY), answer=(1, records.any_hinfo_record(top.zone.ttl))
        )
        for name, top in tree.apexes.items()
    }
    for node in tree.nodes.values():
        if node.responses:
            node.responses[TYPE_ANY] = replies[node.apex.name]


def _lower_minimums(tree: ZoneTree, rrsets: Iterable[PoolRRset]) -> None:
    """Let no negative response of a zone outlive an address in it (RFC 2308, section 4)."""
    for rrset in rrsets:
        top = tree.apex_of(records.wire_name(rrset.hostname))
        if top is not None and rrset.ttl < top.minimum:
            tree.apexes[top.name] = replace(top, minimum=rrset.ttl)


def _add_nameservers(tree: ZoneTree, zones: Iterable[Zone]) -> None:
    """Add the addresses of the nameservers that are in one of the zones."""
    addresses: dict[bytes, dict[str, None]] = {}
    for zone in zones:
        for nameserver in zone.nameservers:
            found = addresses.setdefault(records.wire_name(nameserver.name), {})
            found.update(dict.fromkeys(nameserver.addresses))
    for name, found in addresses.items():
        node = _add_name(tree, name)
        if node is None:
            continue
        for rtype, mark in ((TYPE_A, "."), (TYPE_AAAA, ":")):
            ours = records.address_records(
                (one for one in found if mark in one), node.apex.zone.ttl
            )
            if ours:
                answer = (len(ours), b"".join(ours))
                node.responses[rtype] = ResponseTemplate(
                    counter_of(ResponseKind.NAMESERVER), answer=answer
                )


def _top_node(tree: ZoneTree, top: ZoneApex) -> Node:
    return tree.nodes.setdefault(top.name, Node(top))


def _add_name(tree: ZoneTree, name: bytes) -> Node | None:
    """Add the node of a name, and those between it and its zone's apex (RFC 4592)."""
    top = tree.apex_of(name)
    if top is None:
        return None
    at = 0
    while True:
        tree.nodes.setdefault(name[at:], Node(top))
        if name[at:] == top.name:
            return tree.nodes[name]
        at += name[at] + 1


def _add_top(tree: ZoneTree, node: Node, hostnames: Container[bytes]) -> None:
    """Add the SOA and NS of a zone."""
    top, zone = node.apex, node.apex.zone
    soa = records.encode([records.soa(zone, top.minimum, zone.ttl)], zone.name, APEX_OFFSET)
    node.responses[TYPE_SOA] = ResponseTemplate(counter_of(ResponseKind.SOA), answer=(1, soa))
    names = records.nameservers(zone)
    glue = [
        record
        for nameserver in zone.nameservers
        if _has_glue(tree, top, records.wire_name(nameserver.name), hostnames)
        for record in records.glue(nameserver.name, nameserver.addresses, zone.ttl)
    ]
    alone = records.encode(names, zone.name, APEX_OFFSET)
    both = records.encode([*names, *glue], zone.name, APEX_OFFSET)
    node.responses[TYPE_NS] = ResponseTemplate(
        counter_of(ResponseKind.NS),
        answer=(len(names), alone),
        additional=(len(glue), both[len(alone) :]),
    )


def _has_glue(tree: ZoneTree, top: ZoneApex, name: bytes, hostnames: Container[bytes]) -> bool:
    """Return whether a nameserver's addresses belong to this zone's NS records."""
    return tree.apex_of(name) is top and name not in hostnames
