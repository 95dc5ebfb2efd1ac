"""What the web side asks of the control process, and nothing else of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rrdns.core.model import AuditEntry, Order
from rrdns.core.report import MemberReport, PoolReport, ServiceReport
from rrdns.web.events import EventLog


@dataclass(frozen=True, slots=True)
class OrderDone:
    """An order was carried out, or was in force already."""

    report: MemberReport  # as it is now
    safe_after: float  # when the last answer that may name the member has expired, Unix seconds
    changed: bool  # False: the same order was in force before


class Farm(Protocol):
    """The pools, their members, and the orders that may be given for them."""

    @property
    def events(self) -> EventLog:
        """Return the log of what happens, for watchers."""
        ...

    def pools(self) -> tuple[PoolReport, ...]:
        """Report on all pools, in the order of the config."""
        ...

    def pool(self, name: str) -> PoolReport:
        """Report on one pool.

        Raises:
            UnknownPool: it is not configured.
        """
        ...

    def service(self) -> ServiceReport:
        """Report on the service as a whole."""
        ...

    async def order(
        self,
        pool: str,
        member: str,
        order: Order,
        *,
        by: str,
        reason: str,
        until: float | None,
        force: bool,
    ) -> OrderDone:
        """Put an order in force for a member and return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            LastMember: too few members would be left, and `force` is not set.
            StoreFailed: the order could not be kept, so it was not carried out.
        """
        ...

    async def resume(self, pool: str, member: str, *, by: str, reason: str) -> OrderDone:
        """End a member's order; without one, nothing changes.

        Raises:
            UnknownPool, UnknownMember: there is no such one.
            LastMember: a forced-up member was all that was left.
            StoreFailed: it could not be kept, so the order stays in force.
        """
        ...

    async def audit(
        self, limit: int, before_id: int | None, pool: str | None, member: str | None
    ) -> tuple[AuditEntry, ...]:
        """Return audit entries, the newest first.

        Raises:
            StoreFailed: they cannot be read.
        """
        ...
