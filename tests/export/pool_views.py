"""What the tests of exporters tell, and an exporter that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from rrdns.core.model import Nameserver, Zone
from rrdns.export.pool_view import PoolView

ZONE = Zone(
    name="pvs.example.test",
    nameservers=(
        Nameserver("ns1.pvs.example.test", ("192.0.2.53", "2001:db8::53")),
        Nameserver("ns2.example.test"),
    ),
    hostmaster="hostmaster.example.test",
)


def view(*numbers: int, pool: str = "boot", first: int | None = None, serial: int = 7) -> PoolView:
    """Return a telling of the members pvs-N at 10.0.0.N."""
    return PoolView(
        pool=pool,
        hostname=f"{pool}.pvs.example.test",
        ttl=5,
        in_rotation=tuple((f"pvs-{number}", f"10.0.0.{number}") for number in numbers),
        first=f"10.0.0.{first if first is not None else numbers[0]}" if numbers else "",
        zone=ZONE,
        serial=serial,
        at=1_700_000_000.0,
    )


@dataclass
class Listener:
    """An exporter that remembers when it was told what, and fails or lingers on demand."""

    name: str = "listener"
    seconds: float = 0.0  # that a telling takes
    error: Exception | None = None
    answer: str | None = "done"
    outcome: list[tuple[float, tuple[PoolView, ...]]] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    cancelled: int = 0

    async def export(self, views: Sequence[PoolView]) -> str | None:
        """Do as it was set to."""
        clock = asyncio.get_running_loop().time
        self.began.append(clock())
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        self.outcome.append((clock(), tuple(views)))
        return self.answer

    def firsts(self) -> list[str]:
        """Return the last number of each first address that it was told."""
        return [views[0].first.rsplit(".", 1)[1] for _, views in self.outcome]
