"""The names that exist: zone tops, hostnames, nameservers, and what lies between them.

There are no wildcards (RFC 4592) and no delegations below a zone of ours, so a name is
either in the tree or it does not exist, and nothing exists below a leaf (RFC 8020).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from rrdns.core.acl import Audience
from rrdns.core.model import Zone
from rrdns.core.snapshot import Rota, Snapshot
from rrdns.shm.rotation_counter import Ledger
from rrdns.wire.answers.response import Reply
from rrdns.wire.dns import records
from rrdns.wire.dns.query import TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_NS, TYPE_SOA

TOP_OFFSET = 12  # where a zone's name begins in a message that asks for the zone's top


@dataclass(frozen=True, slots=True)
class Top:
    """A zone as its answers need it."""

    zone: Zone
    name: bytes  # lower case, on the wire
    minimum: int  # of the SOA: no "no" may outlive an address
    audience: Audience | None = None  # None: everybody

    def authority(self, offset: int) -> tuple[int, bytes]:
        """Return the SOA under a "no", for a question in which the zone's name is at `offset`."""
        ttl = min(self.zone.ttl, self.minimum)  # RFC 2308, section 3
        record = records.soa(self.zone, self.minimum, ttl)
        return 1, records.encode([record], self.zone.name, offset)


class Node:
    """A name that exists; a type that it has no reply for is NODATA."""

    __slots__ = ("replies", "top")

    def __init__(self, top: Top, replies: dict[int, Reply | None] | None = None) -> None:
        self.top = top
        self.replies = replies or {}  # by type; None: say nothing at all


@dataclass(slots=True)
class Tree:
    """Zones and names, by lower-case wire name."""

    tops: dict[bytes, Top] = field(default_factory=dict)
    nodes: dict[bytes, Node] = field(default_factory=dict)
    is_guarded: bool = False  # a zone has an audience

    def copy(self) -> Tree:
        """Return a tree of the same zones in which other names can be put."""
        return replace(self, nodes=dict(self.nodes))

    def audience_of(self, name: bytes) -> Audience | None:
        """Return who may ask for a name; None is everybody."""
        top = self.top_of(name) if self.is_guarded else None
        return top.audience if top else None

    def top_of(self, name: bytes) -> Top | None:
        """Return the deepest zone that a name is in."""
        tops, at = self.tops, 0
        while True:
            top = tops.get(name[at:])
            if top is not None or not name[at]:
                return top
            at += name[at] + 1

    def top_above(self, name: bytes) -> Top | None:
        """Return the zone on the parent's side of a zone's top, if it is ours too."""
        return self.top_of(name[name[0] + 1 :]) if name[0] else None


def plant(snapshot: Snapshot, pools: Mapping[str, Reply | None], ledger: Ledger) -> Tree:
    """Return the tree of a snapshot; `pools` holds each pool's reply, None for silence."""
    tree = Tree()
    for zone in snapshot.zones:
        name = records.wire_name(zone.name)
        audience = Audience(zone.allow_query)
        known = None if audience.is_everybody else audience
        tree.tops[name] = Top(zone, name, zone.negative_ttl, known)
    tree.is_guarded = any(top.audience for top in tree.tops.values())
    _lower_minimums(tree, snapshot.rotas.values())
    _add_nameservers(tree, snapshot.zones, ledger)
    hostnames = set()
    for rota in snapshot.rotas.values():
        name = records.wire_name(rota.hostname)
        node = _grow(tree, name)
        if node is not None:
            # Whatever else bears the name: a nameserver's AAAA would lure targets away.
            node.replies = {TYPE_A: pools[rota.pool]}
            hostnames.add(name)
    for top in tree.tops.values():
        _add_top(tree, _top_node(tree, top), hostnames, ledger)
    _answer_any(tree, ledger)
    return tree


def _answer_any(tree: Tree, ledger: Ledger) -> None:
    """Let every name that has records answer ANY with one of ours (RFC 8482, section 4.2).

    One of its own RRsets would do as well, but A records in a resolver's cache from there
    would stand outside the rotation.
    """
    replies = {
        name: Reply(ledger.kind("any/noerror"), answer=(1, records.no_any_record(top.zone.ttl)))
        for name, top in tree.tops.items()
    }
    for node in tree.nodes.values():
        if node.replies:
            node.replies[TYPE_ANY] = replies[node.top.name]


def _lower_minimums(tree: Tree, rotas: Iterable[Rota]) -> None:
    """Let no negative answer of a zone outlive an address in it (RFC 2308, section 4)."""
    for rota in rotas:
        top = tree.top_of(records.wire_name(rota.hostname))
        if top is not None and rota.ttl < top.minimum:
            tree.tops[top.name] = replace(top, minimum=rota.ttl)


def _add_nameservers(tree: Tree, zones: Iterable[Zone], ledger: Ledger) -> None:
    """Give the nameservers that are in a zone of ours their addresses."""
    addresses: dict[bytes, dict[str, None]] = {}
    for zone in zones:
        for nameserver in zone.nameservers:
            found = addresses.setdefault(records.wire_name(nameserver.name), {})
            found.update(dict.fromkeys(nameserver.addresses))
    for name, found in addresses.items():
        node = _grow(tree, name)
        if node is None:
            continue
        for rtype, mark in ((TYPE_A, "."), (TYPE_AAAA, ":")):
            ours = records.address_records((one for one in found if mark in one), node.top.zone.ttl)
            if ours:
                answer = (len(ours), b"".join(ours))
                node.replies[rtype] = Reply(ledger.kind("nameserver/noerror"), answer=answer)


def _top_node(tree: Tree, top: Top) -> Node:
    return tree.nodes.setdefault(top.name, Node(top))


def _grow(tree: Tree, name: bytes) -> Node | None:
    """Return the node of a name, with all that lies between it and its zone's top (RFC 4592)."""
    top = tree.top_of(name)
    if top is None:
        return None
    at = 0
    while True:
        tree.nodes.setdefault(name[at:], Node(top))
        if name[at:] == top.name:
            return tree.nodes[name]
        at += name[at] + 1


def _add_top(tree: Tree, node: Node, hostnames: Container[bytes], ledger: Ledger) -> None:
    """Give a zone's top its SOA and NS."""
    top, zone = node.top, node.top.zone
    soa = records.encode([records.soa(zone, top.minimum, zone.ttl)], zone.name, TOP_OFFSET)
    node.replies[TYPE_SOA] = Reply(ledger.kind("soa/noerror"), answer=(1, soa))
    names = records.nameservers(zone)
    glue = [
        record
        for nameserver in zone.nameservers
        if _has_glue(tree, top, records.wire_name(nameserver.name), hostnames)
        for record in records.glue(nameserver.name, nameserver.addresses, zone.ttl)
    ]
    alone = records.encode(names, zone.name, TOP_OFFSET)
    both = records.encode([*names, *glue], zone.name, TOP_OFFSET)
    node.replies[TYPE_NS] = Reply(
        ledger.kind("ns/noerror"),
        answer=(len(names), alone),
        additional=(len(glue), both[len(alone) :]),
    )


def _has_glue(tree: Tree, top: Top, name: bytes, hostnames: Container[bytes]) -> bool:
    """Tell whether a nameserver's addresses belong under this zone's NS records."""
    return tree.top_of(name) is top and name not in hostnames
