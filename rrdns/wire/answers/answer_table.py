"""Every answer of a snapshot, encoded once: what a query finds is copied, not composed.

A table never changes, but for what it remembers (the packet cache) and what it counts (the
rotations). A change makes a new table that shares with the old all that is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from rrdns.core.snapshot import PoolRRset, Snapshot, SnapshotDelta, apply
from rrdns.shm.counters import ResponseCounts
from rrdns.shm.rotation_counter import NOT_SHARED, CounterRegistry, RotationCounter, SharedRotation
from rrdns.shm.segment import CounterSegment
from rrdns.wire.answers.response import (
    AccessControlled,
    CacheEntry,
    EncodedResponses,
    ResponseTemplate,
    RotatingRecords,
    max_addresses,
)
from rrdns.wire.answers.zone_tree import Node, ZoneApex, ZoneTree, build_tree
from rrdns.wire.dns import records
from rrdns.wire.dns.edns_options import OTHER, extended_error
from rrdns.wire.dns.query import TYPE_A, Rcode
from rrdns.wire.dns.server_info import DEFAULT_SERVER_INFO, ServerInfo

MAX_CACHE_ENTRIES = 4096  # in each cache
# No code of RFC 8914 says that the servers behind a name are away; the text does.
ALL_DRAINED = extended_error(OTHER, "all servers are drained")
NONE_HEALTHY = extended_error(OTHER, "no server is healthy")
CachedT = TypeVar("CachedT")


class AnswerTable:
    """All answers of one snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        turns: SharedRotation | None,
        registry: CounterRegistry,
        server_info: ServerInfo = DEFAULT_SERVER_INFO,
    ) -> None:
        self.snapshot = snapshot
        self.turns = turns
        self.registry = registry
        self.server_info = server_info
        self.packet_cache: dict[bytes, EncodedResponses] = {}  # by a UDP query without its ID
        # By one without its ID and the cookie at its end.
        self.cookie_cache: dict[bytes, CacheEntry] = {}
        # By one without its ID, where it matters who asks.
        self.acl_cache: dict[bytes, AccessControlled] = {}
        self.tree = ZoneTree()
        self._pools: dict[str, ResponseTemplate | None] = {}
        self._rotations: dict[str, RotationCounter] = {}
        self._negatives: dict[tuple[bytes, int, Rcode], ResponseTemplate] = {}
        self._errors: dict[tuple[str, bytes], ResponseTemplate] = {}

    @classmethod
    def build(
        cls,
        snapshot: Snapshot,
        turns: SharedRotation | None = None,
        before: AnswerTable | None = None,
        server_info: ServerInfo = DEFAULT_SERVER_INFO,
        pages: CounterSegment | None = None,
    ) -> AnswerTable:
        """Return the table of a snapshot.

        With `before`, turns and counts go on from there, and its server info is kept.
        Without, they are kept in `pages`, and go on from what was counted there.
        """
        if before is None:
            before = cls(Snapshot(), turns, CounterRegistry(pages), server_info)
        table: AnswerTable = before._successor(snapshot, turns)
        table._rebuild(before.snapshot.rrsets)
        return table

    def with_delta(self, change: SnapshotDelta) -> AnswerTable:
        """Return the table after a change; only the pools that changed are encoded again."""
        snapshot = apply(self.snapshot, change)
        table: AnswerTable = self._successor(snapshot, self.turns)
        if change.removed or not all(map(self._is_in_place, change.rrsets)):
            table._rebuild(self.snapshot.rrsets)
        else:
            table._copy_tree(self, change.rrsets)
        return table

    def _successor(self, snapshot: Snapshot, turns: SharedRotation | None) -> AnswerTable:
        """Return a table that has this one's pools and counts, and no names yet."""
        table = AnswerTable(snapshot, turns, self.registry, self.server_info)
        table._pools = dict(self._pools)
        table._rotations = dict(self._rotations)
        return table

    def _rebuild(self, known: Mapping[str, PoolRRset]) -> None:
        """Encode what differs from the pools that are known, and make the tree of names."""
        for pool in known.keys() - self.snapshot.rrsets.keys():
            del self._pools[pool]
            self.registry.release(self._rotations.pop(pool))
        for pool, rrset in self.snapshot.rrsets.items():
            if known.get(pool) != rrset:
                self._encode(rrset)
        self.tree = build_tree(self.snapshot, self._pools, self.registry)

    def _copy_tree(self, before: AnswerTable, rrsets: Iterable[PoolRRset]) -> None:
        """Take over the tree of the table before, but for the pools that changed in place."""
        self._negatives, self._errors = before._negatives, before._errors
        self.tree = before.tree.copy()
        for rrset in rrsets:
            self._encode(rrset)
            self._replace_response(rrset)

    def counts(self) -> ResponseCounts:
        """Return what was answered since this worker's first table."""
        return self.registry.counts()

    def negative_response(self, top: ZoneApex, name: bytes, rcode: Rcode) -> ResponseTemplate:
        """Return NODATA (NOERROR) or NXDOMAIN for a name in a zone, with its SOA."""
        offset = 12 + len(name) - len(top.name)
        key = (top.name, offset, rcode)
        reply = self._negatives.get(key)
        if reply is None:
            kind = self.registry.counter("nxdomain/nxdomain" if rcode else "nodata/noerror")
            reply = ResponseTemplate(kind, rcode=rcode, authority=top.authority(offset))
            if len(self._negatives) >= MAX_CACHE_ENTRIES:
                self._negatives.clear()
            self._negatives[key] = reply
        return reply

    def error_response(self, rcode: Rcode, kind: str = "", why: bytes = b"") -> ResponseTemplate:
        """Return the answer that says nothing but its RCODE; `kind` is what it is counted as.

        `why` is the option that explains it, the same for each answer of that kind.
        """
        counted = f"{kind or rcode.name.lower()}/{rcode.name.lower()}"
        reply = self._errors.get((counted, why))
        if reply is None:
            reply = ResponseTemplate(self.registry.counter(counted), rcode=rcode, aa=False, why=why)
            self._errors[counted, why] = reply
        return reply

    def chaos_response(self, name: bytes) -> ResponseTemplate | None:
        """Return what we tell of ourselves under a name of class CHAOS (RFC 4892)."""
        text = self.server_info.chaos().get(name)
        if text is None:
            return None
        record = records.chaos_record(text)
        return ResponseTemplate(self.registry.counter("chaos/noerror"), answer=(1, record))

    def cache(self, cache: dict[bytes, CachedT], key: bytes, entry: CachedT) -> None:
        """Keep the answers to an exact datagram; a full cache is emptied."""
        if len(cache) >= MAX_CACHE_ENTRIES:
            cache.clear()
        cache[key] = entry

    def _is_in_place(self, rrset: PoolRRset) -> bool:
        """Tell whether a pool's name and times are as they were, so that the tree may stay."""
        before = self.snapshot.rrsets.get(rrset.pool)
        return before is not None and (before.hostname, before.ttl) == (rrset.hostname, rrset.ttl)

    def _replace_response(self, rrset: PoolRRset) -> None:
        """Put a pool's new answer in the place of its old one."""
        name = records.wire_name(rrset.hostname)
        before = self.tree.nodes.get(name)
        if before is not None:
            replies = {**before.responses, TYPE_A: self._pools[rrset.pool]}
            self.tree.nodes[name] = Node(before.apex, replies)

    def _encode(self, rrset: PoolRRset) -> None:
        rotation = self._rotations[rrset.pool] = self._rotation(rrset)
        if rrset.addresses:
            turning = records.address_records(rrset.addresses, rrset.ttl)
            most = min(rrset.answers, max_addresses(records.wire_name(rrset.hostname)))
            self._pools[rrset.pool] = ResponseTemplate(
                rotation, turning=RotatingRecords(turning, most)
            )
        elif rrset.is_silent:
            self._pools[rrset.pool] = None
        else:
            kind = self.registry.counter("a/servfail")
            why = ALL_DRAINED if rrset.is_drained else NONE_HEALTHY
            self._pools[rrset.pool] = ResponseTemplate(
                kind, rcode=Rcode.SERVFAIL, aa=False, why=why
            )

    def _rotation(self, rrset: PoolRRset) -> RotationCounter:
        """Return the turns that the pool had, or new ones that go on where those were."""
        slot = NOT_SHARED if self.turns is None else rrset.counter_slot
        before = self._rotations.get(rrset.pool)
        if before is not None:
            if (before.addresses, before.slot) == (rrset.addresses, slot):
                return before
            self.registry.release(before)
        turn = before.next_turn(self.turns) if before else self._next_turn(rrset.pool, slot)
        return self.registry.pool_counter(rrset.pool, rrset.addresses, turn=turn, slot=slot)

    def _next_turn(self, pool: str, slot: int) -> int:
        """Return the turn to begin with; that of a worker alone goes on where the last one fell."""
        if self.turns is None or slot < 0:
            return self.registry.last_turn(pool)
        return self.turns.peek(slot)


class CurrentTable:
    """What the loops of a worker answer from: its present table, swapped by reference."""

    __slots__ = ("table",)

    def __init__(self, table: AnswerTable) -> None:
        self.table = table
