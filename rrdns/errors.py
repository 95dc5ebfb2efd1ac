"""The error tree of rrdns: each error has its facts as fields, and a template for its message.

A failed probe is not an error but a result (`core.health.probe_result`). A datagram that cannot be
parsed is answered or dropped (`wire.answers.responder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class RrdnsError(Exception):
    """Every error that rrdns itself raises."""

    message: ClassVar[str] = ""  # with the names of fields in braces

    def __str__(self) -> str:
        return self.message.format_map(vars(self)) if self.message else super().__str__()


class NotFound(RrdnsError):
    """A name does not exist."""


@dataclass(eq=False)
class UnknownPool(NotFound):
    """The request names a pool that is not configured."""

    message = "no pool is called {name!r}"
    name: str


@dataclass(eq=False)
class UnknownMember(NotFound):
    """The request names a member that the pool does not have."""

    name: str
    pool: str | None = None
    near: tuple[str, ...] = ()  # similar names

    def __str__(self) -> str:
        where = f"pool {self.pool!r} has no" if self.pool else "no pool has a"
        meant = f"; did you mean {' or '.join(map(repr, self.near))}?" if self.near else ""
        return f"{where} member {self.name!r}{meant}"


class NoMemberMatches(UnknownMember):
    """A tag or pattern matches no member."""

    def __str__(self) -> str:
        return f"no member has {self.name}"


class Refused(RrdnsError):
    """An order is understood, and would do harm."""


@dataclass(eq=False)
class AmbiguousMember(Refused):
    """Several pools have a member of that name, and the order is for one of them."""

    name: str
    pools: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name!r} is a member of several pools: {', '.join(self.pools)}"


@dataclass(eq=False)
class VersionMismatch(Refused):
    """The member changed since the caller read it."""

    message = "the member changed since you read it (ETag mismatch); read it again and retry"
    version: str  # of the member now


@dataclass(eq=False)
class TooFewMembers(Refused):
    """A drain would leave a pool with too few members in rotation."""

    pool: str
    member: str
    remaining: tuple[str, ...] = ()  # members that a target can boot from after the drain
    required: int = 1
    count: int = 1  # of the members that `member` names

    def __str__(self) -> str:
        if self.required <= 1:
            last = "is the last member" if self.count == 1 else "are the last members"
            return (
                f"'{self.member}' {last} in rotation of pool {self.pool!r}; "
                "bring another one back first, or force the drain"
            )
        return (
            f"draining '{self.member}' would leave {self._remaining_names()} of pool {self.pool!r} "
            f"in rotation, and {self.required} must stay; bring another one back first, or force it"
        )

    def _remaining_names(self) -> str:
        if not self.remaining:
            return "no member"
        names = ", ".join(repr(name) for name in self.remaining)
        return f"only {names}"


@dataclass(eq=False)
class StoreFailed(RrdnsError):
    """The store could not read or write; nothing was changed."""

    message = "the store {path} could not {doing}: {reason}"
    path: str
    doing: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a config file: its path, and what would be right."""

    path: str  # dotted: "pools[0].members[2].address"; empty for the whole file
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


@dataclass(eq=False)
class ConfigInvalid(RrdnsError):
    """A config file has mistakes; all of them are listed."""

    path: str
    mistakes: tuple[Mistake, ...]

    def __str__(self) -> str:
        count = len(self.mistakes)
        title = f"{self.path}: {count} mistake{'s' if count != 1 else ''}"
        return "\n".join([title, *(f"  {mistake}" for mistake in self.mistakes)])


@dataclass(eq=False)
class ListenersFailed(RrdnsError):
    """Some addresses could not be bound; all of them are listed."""

    failures: tuple[ListenFailed, ...]

    def __str__(self) -> str:
        return "\n".join(str(failure) for failure in self.failures)


@dataclass(eq=False)
class ListenFailed(RrdnsError):
    """An address could not be bound."""

    message = "cannot listen for {what} on {address}: {reason}"
    what: str
    address: str
    reason: str
    is_absent: bool = False  # this host has no such address, or no such family
