"""Resolve a name as a kind of firmware does, without a socket and without a clock.

The caller asks when something is due, sends the queries that `act` returns, and passes each
answer to `receive`. The outcome is an address, or a reason in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rrdns.core.model import Endpoint
from rrdns.lab.bootstorm.dns_rules import Empty, Failed, Taken
from rrdns.lab.bootstorm.firmware import Firmware, LookupStage
from rrdns.wire.dns.client import encode_query


class FirmwareResolver:
    """One look-up, from its first query to its outcome."""

    def __init__(
        self, firmware: Firmware, name: str, servers: Sequence[Endpoint], rng: Random, now: float
    ) -> None:
        self.outcome: Taken | Failed | None = None
        self._firmware = firmware
        self._name = name
        self._servers = servers
        self._rng = rng
        self._stages = list(firmware.stages(len(servers), ":" in servers[0].host))
        self._id = rng.randrange(65536)
        self._problem = ""  # the first problem of an answer
        self._begin(now)

    def due(self) -> float:
        """Return when `act` has something to do next."""
        left = self._stage.queries[self._sent :]
        return self._began + (left[0].at if left else self._stage.timeout)

    def act(self, now: float) -> list[tuple[int, bytes]]:
        """Return the queries that are due, each with the number of its server."""
        sends = []
        while now >= self.due() and self._sent < len(self._stage.queries):
            step = self._stage.queries[self._sent]
            self._sent += 1
            sends.append((step.server, self._query(step.rtype)))
        if now >= self._began + self._stage.timeout:
            self.outcome = Failed(self._why())
        return sends

    def receive(self, datagram: bytes, now: float) -> None:
        """Process a datagram from a DNS server."""
        reading = self._firmware.rule(self._asked, datagram)
        if isinstance(reading, Taken):
            self.outcome = reading
            return
        self._problem = self._problem or reading.reason
        if isinstance(reading, Failed):
            self.outcome = Failed(self._why())
        elif isinstance(reading, Empty) and self._stages:
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._stage: LookupStage = self._stages.pop(0)
        self._began = now
        self._sent = 0
        self._asked: bytes = b""

    def _query(self, rtype: str) -> bytes:
        if self._firmware.fresh_ids:
            self._id = self._rng.randrange(65536)
        query = encode_query(self._name, rtype, self._id)
        if rtype == self._stage.rtype:
            self._asked = query
        return query

    def _why(self) -> str:
        servers = " and ".join(str(server) for server in self._servers)
        if self._problem:
            return f"{self._name} has no address for {self._firmware.title}: {self._problem}"
        waited = f"{self._stage.timeout:g} s"
        return f"no answer for {self._name} from {servers} within {waited}"
