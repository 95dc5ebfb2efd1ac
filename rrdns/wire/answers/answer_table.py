"""Every answer of a snapshot, encoded once: what a query finds is copied, not composed.

A table never changes, but for what it remembers (the memo) and what it counts (the
rotations). A change makes a new table that shares with the old all that is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from rrdns.core.snapshot import Change, Rota, Snapshot, apply
from rrdns.shm.counters import Counts
from rrdns.shm.rotation_counter import ALONE, Ledger, Rotation, Turns
from rrdns.shm.segment import Pages
from rrdns.wire.answers.response import Entry, Guarded, Kept, Reply, Turning, most_addresses
from rrdns.wire.answers.zone_tree import Node, Top, Tree, plant
from rrdns.wire.dns import records
from rrdns.wire.dns.edns_options import OTHER, extended_error
from rrdns.wire.dns.query import TYPE_A, Rcode
from rrdns.wire.dns.server_info import PLAIN, Manners

MOST_REMEMBERED = 4096  # in each memo
# No code of RFC 8914 says that the servers behind a name are away; the text does.
ALL_DRAINED = extended_error(OTHER, "all servers are drained")
NONE_HEALTHY = extended_error(OTHER, "no server is healthy")
Remembered = TypeVar("Remembered")


class AnswerTable:
    """All answers of one snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        turns: Turns | None,
        ledger: Ledger,
        manners: Manners = PLAIN,
    ) -> None:
        self.snapshot = snapshot
        self.turns = turns
        self.ledger = ledger
        self.manners = manners
        self.memo: dict[bytes, Entry] = {}  # by a UDP query without its ID
        # By one without its ID and the cookie at its end.
        self.cookied: dict[bytes, Kept] = {}
        # By one without its ID, where it matters who asks.
        self.guarded: dict[bytes, Guarded] = {}
        self.tree = Tree()
        self._pools: dict[str, Reply | None] = {}
        self._rotations: dict[str, Rotation] = {}
        self._negatives: dict[tuple[bytes, int, Rcode], Reply] = {}
        self._errors: dict[tuple[str, bytes], Reply] = {}

    @classmethod
    def build(
        cls,
        snapshot: Snapshot,
        turns: Turns | None = None,
        before: AnswerTable | None = None,
        manners: Manners = PLAIN,
        pages: Pages | None = None,
    ) -> AnswerTable:
        """Return the table of a snapshot.

        With `before`, turns and counts go on from there, and its manners are kept.
        Without, they are kept in `pages`, and go on from what was counted there.
        """
        if before is None:
            before = cls(Snapshot(), turns, Ledger(pages), manners)
        table: AnswerTable = before._successor(snapshot, turns)
        table._catch_up(before.snapshot.rotas)
        return table

    def after(self, change: Change) -> AnswerTable:
        """Return the table after a change; only the pools that changed are encoded again."""
        snapshot = apply(self.snapshot, change)
        table: AnswerTable = self._successor(snapshot, self.turns)
        if change.gone or not all(map(self._is_in_place, change.rotas)):
            table._catch_up(self.snapshot.rotas)
        else:
            table._adopt(self, change.rotas)
        return table

    def _successor(self, snapshot: Snapshot, turns: Turns | None) -> AnswerTable:
        """Return a table that has this one's pools and counts, and no names yet."""
        table = AnswerTable(snapshot, turns, self.ledger, self.manners)
        table._pools = dict(self._pools)
        table._rotations = dict(self._rotations)
        return table

    def _catch_up(self, known: Mapping[str, Rota]) -> None:
        """Encode what differs from the pools that are known, and make the tree of names."""
        for pool in known.keys() - self.snapshot.rotas.keys():
            del self._pools[pool]
            self.ledger.retire(self._rotations.pop(pool))
        for pool, rota in self.snapshot.rotas.items():
            if known.get(pool) != rota:
                self._encode(rota)
        self.tree = plant(self.snapshot, self._pools, self.ledger)

    def _adopt(self, before: AnswerTable, rotas: Iterable[Rota]) -> None:
        """Take over the tree of the table before, but for the pools that changed in place."""
        self._negatives, self._errors = before._negatives, before._errors
        self.tree = before.tree.copy()
        for rota in rotas:
            self._encode(rota)
            self._hang(rota)

    def counts(self) -> Counts:
        """Return what was answered since this worker's first table."""
        return self.ledger.counts()

    def negative(self, top: Top, name: bytes, rcode: Rcode) -> Reply:
        """Return NODATA (NOERROR) or NXDOMAIN for a name in a zone, with its SOA."""
        offset = 12 + len(name) - len(top.name)
        key = (top.name, offset, rcode)
        reply = self._negatives.get(key)
        if reply is None:
            kind = self.ledger.kind("nxdomain/nxdomain" if rcode else "nodata/noerror")
            reply = Reply(kind, rcode=rcode, authority=top.authority(offset))
            if len(self._negatives) >= MOST_REMEMBERED:
                self._negatives.clear()
            self._negatives[key] = reply
        return reply

    def error(self, rcode: Rcode, kind: str = "", why: bytes = b"") -> Reply:
        """Return the answer that says nothing but its RCODE; `kind` is what it is counted as.

        `why` is the option that explains it, the same for each answer of that kind.
        """
        counted = f"{kind or rcode.name.lower()}/{rcode.name.lower()}"
        reply = self._errors.get((counted, why))
        if reply is None:
            reply = Reply(self.ledger.kind(counted), rcode=rcode, aa=False, why=why)
            self._errors[counted, why] = reply
        return reply

    def chaos(self, name: bytes) -> Reply | None:
        """Return what we tell of ourselves under a name of class CHAOS (RFC 4892)."""
        text = self.manners.chaos().get(name)
        if text is None:
            return None
        record = records.chaos_record(text)
        return Reply(self.ledger.kind("chaos/noerror"), answer=(1, record))

    def remember(self, memo: dict[bytes, Remembered], key: bytes, entry: Remembered) -> None:
        """Keep the answers to an exact datagram; a full memo is emptied."""
        if len(memo) >= MOST_REMEMBERED:
            memo.clear()
        memo[key] = entry

    def _is_in_place(self, rota: Rota) -> bool:
        """Tell whether a pool's name and times are as they were, so that the tree may stay."""
        before = self.snapshot.rotas.get(rota.pool)
        return before is not None and (before.hostname, before.ttl) == (rota.hostname, rota.ttl)

    def _hang(self, rota: Rota) -> None:
        """Put a pool's new answer in the place of its old one."""
        name = records.wire_name(rota.hostname)
        before = self.tree.nodes.get(name)
        if before is not None:
            replies = {**before.replies, TYPE_A: self._pools[rota.pool]}
            self.tree.nodes[name] = Node(before.top, replies)

    def _encode(self, rota: Rota) -> None:
        rotation = self._rotations[rota.pool] = self._rotation(rota)
        if rota.addresses:
            turning = records.address_records(rota.addresses, rota.ttl)
            most = min(rota.answers, most_addresses(records.wire_name(rota.hostname)))
            self._pools[rota.pool] = Reply(rotation, turning=Turning(turning, most))
        elif rota.silent:
            self._pools[rota.pool] = None
        else:
            kind = self.ledger.kind("a/servfail")
            why = ALL_DRAINED if rota.drained else NONE_HEALTHY
            self._pools[rota.pool] = Reply(kind, rcode=Rcode.SERVFAIL, aa=False, why=why)

    def _rotation(self, rota: Rota) -> Rotation:
        """Return the turns that the pool had, or new ones that go on where those were."""
        slot = ALONE if self.turns is None else rota.slot
        before = self._rotations.get(rota.pool)
        if before is not None:
            if (before.addresses, before.slot) == (rota.addresses, slot):
                return before
            self.ledger.retire(before)
        turn = before.peek(self.turns) if before else self._next_turn(rota.pool, slot)
        return self.ledger.rotation(rota.pool, rota.addresses, turn=turn, slot=slot)

    def _next_turn(self, pool: str, slot: int) -> int:
        """Return the turn to begin with; that of a worker alone goes on where the last one fell."""
        if self.turns is None or slot < 0:
            return self.ledger.left_at(pool)
        return self.turns.peek(slot)


class Answers:
    """What the loops of a worker answer from: its present table, swapped by reference."""

    __slots__ = ("table",)

    def __init__(self, table: AnswerTable) -> None:
        self.table = table
