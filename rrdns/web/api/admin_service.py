"""The part of the control process that the API uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rrdns.core.events import Event
from rrdns.core.orders.request import OrderRequest
from rrdns.core.status import MemberStatus, PoolStatus, ServiceStatus
from rrdns.errors import TooFewMembers
from rrdns.web.event_buffer import EventBuffer


@dataclass(frozen=True, slots=True)
class MemberOrderResult:
    """The result of an order for one member, or the result that it would have."""

    pool: str
    report: MemberStatus  # as it is now
    safe_after: float  # when the last answer that may name the member has expired, Unix seconds
    changed: bool  # False: the same order was in force before


@dataclass(frozen=True, slots=True)
class OrderResult:
    """The result of an order, or the result that it would have."""

    id: str  # empty when nothing was changed
    members: tuple[MemberOrderResult, ...]
    guard: TooFewMembers | None = None  # why it would be refused, or may be at its time
    remaining: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # pool -> who is handed out
    dry_run: bool = False


class AdminService(Protocol):
    """The pools, their members, and the orders that may be given for them."""

    @property
    def events(self) -> EventBuffer:
        """Return the log of what happens, for watchers."""
        ...

    def pools(self) -> tuple[PoolStatus, ...]:
        """Report on all pools, in the order of the config."""
        ...

    def pool(self, name: str) -> PoolStatus:
        """Report on one pool.

        Raises:
            UnknownPool: it is not configured.
        """
        ...

    def service(self) -> ServiceStatus:
        """Report on the service as a whole."""
        ...

    async def execute(self, command: OrderRequest) -> OrderResult:
        """Carry out a command, for all its members or for none.

        Return once the answers follow it.

        Raises:
            UnknownPool, UnknownMember, AmbiguousMember: the order selects no such member.
            VersionMismatch: the member is not as the caller saw it.
            TooFewMembers: too few members would be left, and it is not forced.
            StoreFailed: the order could not be stored, so nothing changed.
        """
        ...

    async def audit(
        self, limit: int, before_id: int | None, pool: str | None, member: str | None
    ) -> tuple[Event, ...]:
        """Return audit entries, the newest first.

        Raises:
            StoreFailed: they cannot be read.
        """
        ...
