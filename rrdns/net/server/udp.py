"""Answer DNS over UDP: a loop that blocks in its own thread and never ends by itself.

A query that came before exactly so is one dictionary lookup; everything else asks the
responder. Whatever a datagram does, it costs at most its own answer.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from dataclasses import dataclass

from rrdns.core.acl import ALL, SOME, PrefixSet
from rrdns.core.rate_limit import RateBuckets, RateLimiter, RateLimits
from rrdns.net.server.batch_io import (
    ADDRESS_IN_NAME,
    BATCH,
    QUICK_BYTES,
    DatagramBatch,
    Slot,
)
from rrdns.net.server.loop import HEARTBEAT, RECOVERY, OnError
from rrdns.net.server.retransmits import RetransmitFilter
from rrdns.net.server.sockets import is_wildcard
from rrdns.net.server.thread_priority import reduce_wakeup_latency
from rrdns.shm.rotation_counter import RotationCounter, SharedRotation
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.answers.responder import find_response, slip_response
from rrdns.wire.answers.response import CookieVerified, EncodedResponses

# Above so many queries a second a loop that finds few of them rests for a moment: each call
# then fetches more, and less time goes into falling asleep, waking up and waking the asker.
BUSY_QPS = 50_000
RATE_OVER = 512  # queries
SMALL_BATCH = 32
BUSY_SLEEP = 0.000_2  # seconds
_QUIET = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR})


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """How many responses each network may have, and the accounts that say how many it had."""

    limits: RateLimits
    buckets: RateBuckets


class UdpLoop:
    """Answers in batches, with recvmmsg and sendmmsg."""

    def __init__(
        self,
        sock: socket.socket,
        answers: CurrentTable,
        on_defect: OnError | None = None,
        quota: RateLimitState | None = None,
    ) -> None:
        self.heartbeat = 0.0
        self._sock = sock
        self._answers = answers
        self._on_defect = on_defect
        self._stopping = False
        self._repeats = RetransmitFilter()
        self._wildcard = is_wildcard(sock)
        self._address = ADDRESS_IN_NAME[socket.AddressFamily(sock.family)]
        limits = quota.limits if quota is not None else RateLimits()
        self._limiter = RateLimiter(limits, quota.buckets) if quota is not None else None
        bits = limits.ipv4_prefix if sock.family == socket.AF_INET else limits.ipv6_prefix
        self._network_bytes = bits // 8
        self._exempt = PrefixSet(limits.exempt, self._address.stop - self._address.start)
        self._batch = DatagramBatch(sock, packet_info=self._wildcard)
        self._gaps = False  # slots of this batch get no answer
        # Per slot, where in the ring the source's first byte and its network are.
        self._sources = tuple(
            (begin, slice(begin, begin + self._network_bytes))
            for row in self._batch.rows_of[BATCH]
            for begin in (row.address.start + self._address.start,)
        )
        sock.settimeout(None)
        timeout = struct.pack("@ll", 0, int(HEARTBEAT * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)

    def run(self) -> None:
        """Answer until `stop`."""
        reduce_wakeup_latency()
        while not self._stopping:
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - the loop outlives any defect; it is told
                self._tell(error, b"")

    def stop(self) -> None:
        """Let `run` return, within a moment."""
        self._stopping = True

    def _find(self, datagram: bytes, table: AnswerTable, address: bytes) -> EncodedResponses | None:
        """Return the answers to a datagram by the careful path; a defect there is silence."""
        try:
            entry = find_response(datagram, table, address, time.time())
        except Exception as error:  # noqa: BLE001 - it costs this answer, never the loop
            self._tell(error, datagram)
            entry = None
        if entry is None:
            table.registry.count_unanswered()
        return entry

    def _is_allowed(self, entry: EncodedResponses, address: bytes, now: float) -> bool:
        """Tell whether an asker may have its answer."""
        if self._limiter is None or type(entry) is CookieVerified or self._exempt.covers(address):
            return True
        network = address[: self._network_bytes]
        return self._limiter.allow(network, entry.rotation.response_class, now)

    def _slip(
        self,
        datagram: bytes,
        entry: EncodedResponses,
        table: AnswerTable,
        address: bytes,
        now: float,
    ) -> EncodedResponses | None:
        """Return what an asker gets that may not have its answer; mostly nothing."""
        limiter, kind = self._limiter, entry.rotation.kind
        slipped = None
        if limiter is not None and limiter.should_slip(address[: self._network_bytes], now):
            slipped = slip_response(datagram, table, address, time.time(), kind)
        if slipped is None:
            table.registry.counter(f"{kind.partition('/')[0]}/dropped").advance(None)
        return slipped

    def _failed(self, reason: int) -> None:
        """Go on after receiving failed; only silence proves that the loop is well."""
        if reason in _QUIET:
            self.heartbeat = time.monotonic()
        else:
            time.sleep(RECOVERY)

    def _tell(self, error: BaseException, datagram: bytes) -> None:
        if self._on_defect is not None:
            self._on_defect(error, datagram)

    def _round(self) -> None:
        """Answer a batch with care, and then in bursts for as long as there is much to do."""
        if self._wildcard:
            self._batch.reset_control()
        count = self._batch.receive()
        if count <= 0:
            self._receive_again()
            return
        self.heartbeat = now = time.monotonic()
        if self._wildcard:
            self._batch.empty_broadcasts(count)
        self._serve(count, self._answers.table, now)
        if now < self._repeats.busy_until:
            self._burst()

    def _receive_again(self) -> None:
        """Learn why nothing was received; answer what has come since."""
        count, reason = self._batch.receive_error()
        if count > 0:
            if self._wildcard:
                self._batch.empty_broadcasts(count)
            self._serve(count, self._answers.table, time.monotonic())
        else:
            self._failed(reason)

    def _serve(self, count: int, table: AnswerTable, now: float) -> None:
        """Answer a batch while there is time to know repeats."""
        ring, repeats = self._batch.buffer, self._repeats
        repeats.tick(now)
        for row, entry in self._gather(count, table, now):
            turn = repeats.turn_for(ring[row.address], entry.rotation, table.turns, now)
            self._write(row, entry, turn)
        self._send(count, table)

    def _burst(self) -> None:  # noqa: C901 - the hot path, written out
        """Answer batch after batch until repeats can be known again, or nothing comes.

        This is the hot path, written out: what is spent here on a batch that holds one
        query is spent on a query.
        """
        batch, now, until = self._batch, time.monotonic(), self._repeats.busy_until
        ring, lengths, sizes, rows_of = batch.buffer, batch.lengths, batch.sizes, batch.rows_of
        cells = self._answers.table.registry.cells
        served, since, crowded = 0, now, False
        while now < until and not self._stopping:
            if self._wildcard:
                batch.reset_control()
            count = batch.receive()
            if count <= 0:
                self._receive_again()
                return
            self.heartbeat = now = time.monotonic()
            if self._wildcard:
                batch.empty_broadcasts(count)
            table = self._answers.table
            if table.turns is not None:
                self._serve_shared(self._gather(count, table, now), table.turns)
            elif self._limiter is not None:
                self._serve_alone(self._gather(count, table, now))
            else:
                get = table.packet_cache.get
                for row in rows_of[count]:
                    tails, length_at, size_at, _, _ = row
                    try:
                        entry = get(ring[tails[lengths[length_at]]])
                        if entry is not None:
                            answers, rotation, length = entry
                            tail = tails[length]
                            turn = rotation.turn
                            # Nothing gets in between: see Rotation.
                            cells[rotation.cell] = rotation.turn = turn + 1
                            ring[tail] = answers[turn % rotation.size]
                            sizes[size_at] = length
                            continue
                    except IndexError:  # longer than QUICK_BYTES
                        pass
                    if (entry := self._cache_miss(row, table, now)) is not None:
                        self._write(row, entry, entry.rotation.advance(None))
            if self._gaps or self._wildcard:
                self._send(count, table)
            elif (sent := batch.send_all[count]()) != count:
                table.registry.count_unanswered(batch.send(max(sent, 0), count))
            served += count
            if served >= RATE_OVER:
                crowded = served > BUSY_QPS * (now - since)
                served, since = 0, now
            if crowded and count < SMALL_BATCH:
                time.sleep(BUSY_SLEEP)

    def _gather(
        self, count: int, table: AnswerTable, now: float
    ) -> list[tuple[Slot, EncodedResponses]]:
        """Return the slots of a batch that get an answer, each with its answers."""
        batch, limiter = self._batch, self._limiter
        ring, lengths, get = batch.buffer, batch.lengths, table.packet_cache.get
        exempt = self._exempt.by_first_byte
        found = []
        for row, (first, network) in zip(batch.rows_of[count], self._sources):  # noqa: B905 - cut
            tails, length_at, _, _, _ = row
            length = lengths[length_at]
            entry = get(ring[tails[length]]) if length <= QUICK_BYTES else None
            if entry is None:
                entry = self._cache_miss(row, table, now)
            elif limiter is not None and (extent := exempt[ring[first]]) != ALL:
                if extent == SOME:
                    entry = self._apply_rate_limit(row, entry, table, now)
                elif not limiter.allow(ring[network], entry.rotation.response_class, now):
                    entry = self._rate_limited(row, entry, table, now)
            if entry is not None:
                found.append((row, entry))
        return found

    def _serve_alone(self, found: list[tuple[Slot, EncodedResponses]]) -> None:
        """Answer with turns that nobody else takes."""
        ring, sizes = self._batch.buffer, self._batch.sizes
        cells = self._answers.table.registry.cells
        for row, (answers, rotation, length) in found:
            turn = rotation.turn
            cells[rotation.cell] = rotation.turn = turn + 1  # nothing gets in between: Rotation
            ring[row[0][length]] = answers[turn % rotation.size]
            sizes[row[2]] = length

    def _serve_shared(
        self, found: list[tuple[Slot, EncodedResponses]], shared: SharedRotation
    ) -> None:
        """Answer with turns that are taken all at once from the counters of all workers."""
        wanted: dict[RotationCounter, int] = {}
        for _, (_, rotation, _) in found:
            wanted[rotation] = wanted.get(rotation, 0) + 1
        turns = {rotation: rotation.advance(shared, many) for rotation, many in wanted.items()}
        for row, entry in found:
            turn = turns[entry.rotation]
            turns[entry.rotation] = turn + 1
            self._write(row, entry, turn)

    def _cache_miss(self, row: Slot, table: AnswerTable, now: float) -> EncodedResponses | None:
        """Return the answers to a datagram by the careful path; with None the slot is a gap."""
        batch = self._batch
        datagram = batch.buffer[row.data : row.data + batch.lengths[row.length]]
        who = batch.buffer[row.address]
        entry = self._find(datagram, table, who[self._address])
        if entry is None:
            batch.sizes[row.size] = 0
            self._gaps = True
            return None
        return self._apply_rate_limit(row, entry, table, now)

    def _apply_rate_limit(
        self, row: Slot, entry: EncodedResponses, table: AnswerTable, now: float
    ) -> EncodedResponses | None:
        """Return what the source of a slot gets of its answers; with None it is a gap."""
        address = self._batch.buffer[row.address][self._address]
        if self._is_allowed(entry, address, now):
            return entry
        return self._rate_limited(row, entry, table, now)

    def _rate_limited(
        self, row: Slot, entry: EncodedResponses, table: AnswerTable, now: float
    ) -> EncodedResponses | None:
        """Return what the source of a slot gets in place of its answer; with None it is a gap."""
        batch = self._batch
        address = batch.buffer[row.address][self._address]
        datagram = batch.buffer[row.data : row.data + batch.lengths[row.length]]
        slipped = self._slip(datagram, entry, table, address, now)
        if slipped is None:
            batch.sizes[row.size] = 0
            self._gaps = True
        return slipped

    def _write(self, row: Slot, entry: EncodedResponses, turn: int) -> None:
        batch = self._batch
        batch.buffer[row.data + 2 : row.data + entry.length] = entry.body(turn)
        batch.sizes[row.size] = entry.length

    def _send(self, count: int, table: AnswerTable) -> None:
        batch = self._batch
        if self._wildcard:
            batch.settle_control(count)
        lost = self._send_around_gaps(count) if self._gaps else batch.send(0, count)
        if lost:
            table.registry.count_unanswered(lost)

    def _send_around_gaps(self, count: int) -> int:
        """Send the runs between the slots that get no answer; return how many were lost."""
        batch, lost, first = self._batch, 0, 0
        self._gaps = False
        for slot, row in enumerate(batch.rows_of[count]):
            if not batch.sizes[row.size]:
                lost += batch.send(first, slot)
                first = slot + 1
        return lost + batch.send(first, count)
