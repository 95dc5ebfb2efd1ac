"""Orders in a store, one at a time."""

from __future__ import annotations

from rrdns.core.events import Event
from rrdns.core.model import Override
from rrdns.store.base import OrderTransaction, Store


async def give(store: Store, override: Override, event: Event) -> None:
    """Put an order in force, with its line in the audit trail."""
    await store.commit(OrderTransaction(set=(override,), entries=(event,)))


async def end(store: Store, pool: str, member: str, event: Event) -> None:
    """End a member's order, with its line in the audit trail."""
    await store.commit(OrderTransaction(removed=((pool, member),), entries=(event,)))
