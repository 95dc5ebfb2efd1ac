"""Respond to DNS over UDP: a loop that blocks in its own thread and never ends by itself.

It receives and sends batches; what a query gets is the responder's business. A datagram costs
at most its own response.
"""

from __future__ import annotations

import errno
import socket
import struct
import time

from rrdns.core.rate_limit import RateLimitState
from rrdns.net.server.batch_io import ADDRESS_IN_NAME, DatagramBatch
from rrdns.net.server.loop import HEARTBEAT, RECOVERY, OnError
from rrdns.net.server.sockets import is_wildcard
from rrdns.net.server.thread_priority import reduce_wakeup_latency
from rrdns.wire.answers.answer_table import CurrentTable
from rrdns.wire.answers.responder import Responder

# Above so many queries a second a loop that receives few datagrams sleeps for a moment: each call
# then fetches more, and less time goes into falling asleep, waking up and waking the client.
BUSY_QPS = 50_000
RATE_OVER = 512  # queries
SMALL_BATCH = 32
BUSY_SLEEP = 0.000_2  # seconds
_QUIET = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR})


class UdpLoop:
    """Responds in batches, with recvmmsg and sendmmsg."""

    def __init__(
        self,
        sock: socket.socket,
        answers: CurrentTable,
        on_defect: OnError | None = None,
        limits: RateLimitState | None = None,
    ) -> None:
        self.heartbeat = 0.0
        self._on_defect = on_defect
        self._stopping = False
        self._counters = answers.table.counters
        address = ADDRESS_IN_NAME[socket.AddressFamily(sock.family)]
        self._responder = Responder(answers, address, limits, self._report)
        self._wildcard = is_wildcard(sock)
        self._batch = DatagramBatch(sock, packet_info=self._wildcard)
        self._served, self._served_since, self._crowded = 0, 0.0, False
        sock.settimeout(None)
        timeout = struct.pack("@ll", 0, int(HEARTBEAT * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)

    def run(self) -> None:
        """Respond until `stop`."""
        reduce_wakeup_latency()
        while not self._stopping:
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - the loop outlives any defect, which is logged
                self._report(error, b"")

    def stop(self) -> None:
        """Let `run` return, within a moment."""
        self._stopping = True

    def _round(self) -> None:
        """Respond to a batch."""
        batch, wildcard = self._batch, self._wildcard
        if wildcard:
            batch.reset_control()
        count = batch.receive()
        if count <= 0:
            count, reason = batch.receive_error()
            if count <= 0:
                self._failed(reason)
                return
        self.heartbeat = now = time.monotonic()
        if wildcard:
            batch.empty_broadcasts(count)
        has_gaps = self._responder.respond(batch, count, now, time.time())
        if wildcard:
            batch.settle_control(count)
        if has_gaps:
            lost = self._send_around_gaps(count)
        elif (sent := batch.send_all[count]()) != count:
            lost = batch.send(max(sent, 0), count)
        else:
            lost = 0
        if lost:
            self._counters.count_unanswered(lost)
        self._sleep_if_busy(count, now)

    def _sleep_if_busy(self, count: int, now: float) -> None:
        """Sleep for a moment if there are many queries, but few in a batch."""
        self._served += count
        if self._served >= RATE_OVER:
            self._crowded = self._served > BUSY_QPS * (now - self._served_since)
            self._served, self._served_since = 0, now
        if self._crowded and count < SMALL_BATCH:
            time.sleep(BUSY_SLEEP)

    def _send_around_gaps(self, count: int) -> int:
        """Send the runs between the slots without a response; return how many were lost."""
        batch, lost, first = self._batch, 0, 0
        for number, slot in enumerate(batch.slots[:count]):
            if not batch.sizes[slot.size]:
                lost += batch.send(first, number)
                first = number + 1
        return lost + batch.send(first, count)

    def _failed(self, reason: int) -> None:
        """Go on after receiving failed; only a timeout proves that the loop works."""
        if reason in _QUIET:
            self._crowded = False
            self.heartbeat = time.monotonic()
        else:
            time.sleep(RECOVERY)

    def _report(self, error: BaseException, datagram: bytes) -> None:
        if self._on_defect is not None:
            self._on_defect(error, datagram)
