"""Remember what admins ordered and who did what: what any store promises, and the fake.

A store keeps orders apart from standings: what the probes say is found anew after each
start (or read from `store.lastgood`), what an admin ordered must never be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rrdns.core.events import Event
from rrdns.core.model import Override, ScheduledOverride


@dataclass(frozen=True, slots=True)
class OrderTransaction:
    """Changes that are kept together or not at all."""

    set: tuple[Override, ...] = ()  # each in place of the member's former order
    removed: tuple[tuple[str, str], ...] = ()  # pool, member
    scheduled: tuple[ScheduledOverride, ...] = ()  # each in place of the member's former plan
    unscheduled: tuple[tuple[str, str], ...] = ()  # pool, member
    entries: tuple[Event, ...] = ()


class Store(Protocol):
    """Keeps the orders in force and the audit trail.

    Every method may raise `StoreFailed`; nothing has changed then. When `commit` returns, its
    orders survive the death of the process and of the machine, as far as the
    store's backend promises it.
    """

    on_renewed: Callable[[str], None]  # told in words when what was taken away is made anew

    async def open(self) -> str | None:
        """Make ready; return a sentence for an alarm when a damaged store was moved aside.

        Raises:
            StoreFailed: it cannot be read or written, or a newer rrdns wrote it.
        """
        ...

    async def overrides(self) -> tuple[Override, ...]:
        """Return all orders, the expired ones included, in order of pool and member."""
        ...

    async def scheduled(self) -> tuple[ScheduledOverride, ...]:
        """Return all orders for later, in order of pool and member."""
        ...

    async def commit(self, batch: OrderTransaction) -> None:
        """Keep changes of orders and what tells of them: all or none."""
        ...

    async def append_audit(self, entries: Sequence[Event]) -> None:
        """Add to the audit trail; the last ones may be lost with the power."""
        ...

    async def audit(
        self,
        limit: int,
        before_id: int | None = None,
        pool: str | None = None,
        member: str | None = None,
    ) -> tuple[Event, ...]:
        """Return up to `limit` audit entries, the newest first, each older than `before_id`."""
        ...

    async def prune(self, before: float) -> None:
        """Forget audit entries from before that time (Unix seconds)."""
        ...

    async def verify(self) -> None:
        """See to it that what was kept would be found by the next start.

        Raises:
            StoreFailed: it would not, and that cannot be mended.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; closing twice is fine."""
        ...


class MemoryStore:
    """Keeps orders for as long as the process lives: for trials and tests."""

    def __init__(self) -> None:
        self.on_renewed: Callable[[str], None] = lambda _sentence: None
        self._overrides: dict[tuple[str, str], Override] = {}
        self._plans: dict[tuple[str, str], ScheduledOverride] = {}
        self._entries: list[Event] = []
        self._last_id = 0

    async def open(self) -> str | None:
        """Make ready, which takes nothing here."""
        return None

    async def overrides(self) -> tuple[Override, ...]:
        """Return all orders, the expired ones included, in order of pool and member."""
        return tuple(self._overrides[key] for key in sorted(self._overrides))

    async def scheduled(self) -> tuple[ScheduledOverride, ...]:
        """Return all orders for later, in order of pool and member."""
        return tuple(self._plans[key] for key in sorted(self._plans))

    async def commit(self, batch: OrderTransaction) -> None:
        """Keep changes of orders and what tells of them."""
        for key in batch.removed:
            self._overrides.pop(key, None)
        for key in batch.unscheduled:
            self._plans.pop(key, None)
        self._overrides.update({(one.pool, one.member): one for one in batch.set})
        self._plans.update({plan.key: plan for plan in batch.scheduled})
        for entry in batch.entries:
            self._add(entry)

    async def append_audit(self, entries: Sequence[Event]) -> None:
        """Add to the audit trail."""
        for entry in entries:
            self._add(entry)

    async def audit(
        self,
        limit: int,
        before_id: int | None = None,
        pool: str | None = None,
        member: str | None = None,
    ) -> tuple[Event, ...]:
        """Return up to `limit` audit entries, the newest first, each older than `before_id`."""
        fitting = (
            entry
            for entry in reversed(self._entries)
            if (before_id is None or entry.id < before_id)
            and (pool is None or entry.pool == pool)
            and (member is None or entry.member == member)
        )
        return tuple(entry for entry, _ in zip(fitting, range(limit), strict=False))

    async def prune(self, before: float) -> None:
        """Forget audit entries from before that time (Unix seconds)."""
        self._entries = [entry for entry in self._entries if entry.at >= before]

    async def verify(self) -> None:
        """Find everything where it is: in this process."""

    async def close(self) -> None:
        """Let go of everything, which is nothing here."""

    def _add(self, entry: Event) -> None:
        self._last_id += 1
        self._entries.append(replace(entry, id=self._last_id))
