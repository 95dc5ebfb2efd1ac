"""Every response of a snapshot, encoded once.

A table never changes, except for its packet cache. A change makes a new table that shares with
the old one all that is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rrdns.core.snapshot import PoolRRset, Snapshot, SnapshotDelta, apply
from rrdns.shm.counters import SPARE_SLOT, Counters, ResponseKind, counter_of, pool_counter
from rrdns.wire.answers.response import (
    CacheEntry,
    EncodedResponses,
    ResponseTemplate,
    RotatingRecords,
    max_addresses,
)
from rrdns.wire.answers.zone_tree import Node, ZoneApex, ZoneTree, build_tree
from rrdns.wire.dns import records
from rrdns.wire.dns.edns_options import OTHER, extended_error
from rrdns.wire.dns.query import (
    TYPE_A,
    Rcode,
)
from rrdns.wire.dns.server_info import DEFAULT_SERVER_INFO, ServerInfo

MAX_CACHE_ENTRIES = 4096
# RFC 8914 has no code for the loss of all servers behind a name, so the text has the reason.
ALL_DRAINED = extended_error(OTHER, "all servers are drained")
NONE_HEALTHY = extended_error(OTHER, "no server is healthy")


class AnswerTable:
    """All responses of one snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        counters: Counters,
        server_info: ServerInfo = DEFAULT_SERVER_INFO,
    ) -> None:
        self.snapshot = snapshot
        self.counters = counters
        self.server_info = server_info
        # By a UDP query without its ID, and without the cookie at its end if it has no other
        # option: the entries of both sorts cannot be confused, see `Condition`.
        self.packet_cache: dict[bytes, CacheEntry] = {}
        self.tree = ZoneTree()
        self._pools: dict[str, ResponseTemplate | None] = {}
        self._negatives: dict[tuple[bytes, int, Rcode], ResponseTemplate] = {}
        self._errors: dict[tuple[ResponseKind, bytes], ResponseTemplate] = {}

    @classmethod
    def build(
        cls,
        snapshot: Snapshot,
        counters: Counters | None = None,
        before: AnswerTable | None = None,
        server_info: ServerInfo = DEFAULT_SERVER_INFO,
    ) -> AnswerTable:
        """Return the table of a snapshot; with `before`, its counters and server info are kept."""
        if before is None:
            before = cls(Snapshot(), counters or Counters(), server_info)
        table: AnswerTable = before._successor(snapshot)
        table._rebuild(before.snapshot.rrsets)
        return table

    def with_delta(self, change: SnapshotDelta) -> AnswerTable:
        """Return the table after a change; only the pools that changed are encoded again."""
        table: AnswerTable = self._successor(apply(self.snapshot, change))
        if change.removed or not all(map(self._is_in_place, change.rrsets)):
            table._rebuild(self.snapshot.rrsets)
        else:
            table._copy_tree(self, change.rrsets)
        return table

    def _successor(self, snapshot: Snapshot) -> AnswerTable:
        """Return a table that has this one's pools, and no names yet."""
        table = AnswerTable(snapshot, self.counters, self.server_info)
        table._pools = dict(self._pools)
        return table

    def _rebuild(self, known: Mapping[str, PoolRRset]) -> None:
        """Encode what differs from the pools that are known, and make the tree of names."""
        for pool in known.keys() - self.snapshot.rrsets.keys():
            del self._pools[pool]
        for pool, rrset in self.snapshot.rrsets.items():
            if known.get(pool) != rrset:
                self._encode(rrset)
        self.tree = build_tree(self.snapshot, self._pools)

    def _copy_tree(self, before: AnswerTable, rrsets: Iterable[PoolRRset]) -> None:
        """Take over the tree of the table before, except for the pools that changed in place."""
        self._negatives, self._errors = before._negatives, before._errors
        self.tree = before.tree.copy()
        for rrset in rrsets:
            self._encode(rrset)
            self._replace_response(rrset)

    def negative_response(self, top: ZoneApex, name: bytes, rcode: Rcode) -> ResponseTemplate:
        """Return NODATA (NOERROR) or NXDOMAIN for a name in a zone, with its SOA."""
        offset = 12 + len(name) - len(top.name)
        key = (top.name, offset, rcode)
        response = self._negatives.get(key)
        if response is None:
            counter = counter_of(ResponseKind.NXDOMAIN if rcode else ResponseKind.NODATA)
            response = ResponseTemplate(counter, rcode=rcode, authority=top.authority(offset))
            if len(self._negatives) >= MAX_CACHE_ENTRIES:
                self._negatives.clear()
            self._negatives[key] = response
        return response

    def error_response(
        self, rcode: Rcode, kind: ResponseKind | None = None, why: bytes = b""
    ) -> ResponseTemplate:
        """Return the response that has only an RCODE, of the kind that is named like that.

        `why` is the option that explains it, the same for each response of that kind.
        """
        kind = kind or ResponseKind[rcode.name]
        response = self._errors.get((kind, why))
        if response is None:
            response = ResponseTemplate(counter_of(kind), rcode=rcode, aa=False, why=why)
            self._errors[kind, why] = response
        return response

    def chaos_response(self, name: bytes) -> ResponseTemplate | None:
        """Return the response about this server for a name of class CHAOS (RFC 4892)."""
        text = self.server_info.chaos().get(name)
        if text is None:
            return None
        record = records.chaos_record(text)
        return ResponseTemplate(counter_of(ResponseKind.CHAOS), answer=(1, record))

    def cache(self, key: bytes, entry: EncodedResponses) -> None:
        """Keep the responses to a query; a full cache is emptied."""
        if len(self.packet_cache) >= MAX_CACHE_ENTRIES:
            self.packet_cache.clear()
        self.packet_cache[key] = entry.unpacked()

    def _is_in_place(self, rrset: PoolRRset) -> bool:
        """Return whether a pool's name and times are as before, so that the tree may stay."""
        before = self.snapshot.rrsets.get(rrset.pool)
        return before is not None and (before.hostname, before.ttl) == (rrset.hostname, rrset.ttl)

    def _replace_response(self, rrset: PoolRRset) -> None:
        """Replace the response of a pool in the tree."""
        name = records.wire_name(rrset.hostname)
        before = self.tree.nodes.get(name)
        if before is not None:
            responses = {**before.responses, TYPE_A: self._pools[rrset.pool]}
            self.tree.nodes[name] = Node(before.apex, responses)

    def _encode(self, rrset: PoolRRset) -> None:
        if rrset.addresses:
            missing = len(rrset.addresses) - len(rrset.member_slots)
            counter = pool_counter(rrset.counter_slot, rrset.member_slots + (SPARE_SLOT,) * missing)
            turning = records.address_records(rrset.addresses, rrset.ttl)
            most = min(rrset.answers, max_addresses(records.wire_name(rrset.hostname)))
            self._pools[rrset.pool] = ResponseTemplate(
                counter, turning=RotatingRecords(turning, most)
            )
        elif rrset.is_silent:
            self._pools[rrset.pool] = None
        else:
            why = ALL_DRAINED if rrset.is_drained else NONE_HEALTHY
            counter = counter_of(ResponseKind.A_SERVFAIL)
            self._pools[rrset.pool] = ResponseTemplate(
                counter, rcode=Rcode.SERVFAIL, aa=False, why=why
            )


class CurrentTable:
    """What the loops of a worker respond from: its present table, swapped by reference."""

    __slots__ = ("table",)

    def __init__(self, table: AnswerTable) -> None:
        self.table = table
