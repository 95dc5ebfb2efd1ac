"""Define the store of orders and of the audit trail, and a store in memory.

Orders and standings are stored separately. After a start, probes find the standings again (or
`store.last_snapshot` has them). Orders of admins must never be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rrdns.core.events import Event
from rrdns.core.model import Override, ScheduledOverride


@dataclass(frozen=True, slots=True)
class OrderTransaction:
    """Changes that are stored together or not at all."""

    set: tuple[Override, ...] = ()  # each replaces the member's former order
    removed: tuple[tuple[str, str], ...] = ()  # pool, member
    scheduled: tuple[ScheduledOverride, ...] = ()  # each replaces the member's former plan
    unscheduled: tuple[tuple[str, str], ...] = ()  # pool, member
    entries: tuple[Event, ...] = ()


class Store(Protocol):
    """Stores the orders in force and the audit trail.

    Every method may raise `StoreFailed`; then nothing has changed. When `commit` returns, its
    orders survive a crash of the process and of the machine, if the store's backend supports it.
    """

    on_renewed: Callable[[str], None]  # called with a sentence when lost files are written again

    async def open(self) -> str | None:
        """Open the store; return a sentence for an alarm if a damaged one was moved aside.

        Raises:
            StoreFailed: the store cannot be read or written, or a newer rrdns wrote it.
        """
        ...

    async def overrides(self) -> tuple[Override, ...]:
        """Return all orders, the expired ones included, in order of pool and member."""
        ...

    async def scheduled(self) -> tuple[ScheduledOverride, ...]:
        """Return all orders for later, in order of pool and member."""
        ...

    async def commit(self, batch: OrderTransaction) -> None:
        """Store changes of orders and their audit entries: all or none."""
        ...

    async def append_audit(self, entries: Sequence[Event]) -> None:
        """Add to the audit trail; a power cut may lose the last entries."""
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
        """Delete audit entries from before that time (Unix seconds)."""
        ...

    async def verify(self) -> None:
        """Check that the next start finds the stored orders; write them again if not.

        Raises:
            StoreFailed: the check failed, and the orders cannot be written.
        """
        ...

    async def close(self) -> None:
        """Close the store; closing it twice is allowed."""
        ...


class MemoryStore:
    """Stores orders until the process exits: for trials and tests."""

    def __init__(self) -> None:
        self.on_renewed: Callable[[str], None] = lambda _sentence: None
        self._overrides: dict[tuple[str, str], Override] = {}
        self._plans: dict[tuple[str, str], ScheduledOverride] = {}
        self._entries: list[Event] = []
        self._last_id = 0

    async def open(self) -> str | None:
        """Return None: there is no file to open."""
        return None

    async def overrides(self) -> tuple[Override, ...]:
        """Return all orders, the expired ones included, in order of pool and member."""
        return tuple(self._overrides[key] for key in sorted(self._overrides))

    async def scheduled(self) -> tuple[ScheduledOverride, ...]:
        """Return all orders for later, in order of pool and member."""
        return tuple(self._plans[key] for key in sorted(self._plans))

    async def commit(self, batch: OrderTransaction) -> None:
        """Store changes of orders and their audit entries."""
        for key in batch.removed:
            self._overrides.pop(key, None)
        for key in batch.unscheduled:
            self._plans.pop(key, None)
        self._overrides.update({(order.pool, order.member): order for order in batch.set})
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
        matching = (
            entry
            for entry in reversed(self._entries)
            if (before_id is None or entry.id < before_id)
            and (pool is None or entry.pool == pool)
            and (member is None or entry.member == member)
        )
        return tuple(entry for entry, _ in zip(matching, range(limit), strict=False))

    async def prune(self, before: float) -> None:
        """Delete audit entries from before that time (Unix seconds)."""
        self._entries = [entry for entry in self._entries if entry.at >= before]

    async def verify(self) -> None:
        """Do nothing: this process has all orders."""

    async def close(self) -> None:
        """Do nothing: there is no file to close."""

    def _add(self, entry: Event) -> None:
        self._last_id += 1
        self._entries.append(replace(entry, id=self._last_id))
