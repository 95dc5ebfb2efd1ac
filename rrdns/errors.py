"""The error tree of rrdns: each error stores facts and writes its own sentence.

A failed probe is not an error but a result (`core.probe`), and a datagram that
nobody can read is answered or dropped (`wire.responder`), never raised.
"""

from __future__ import annotations

from dataclasses import dataclass


class RrdnsError(Exception):
    """Anything that rrdns itself raises."""


class NotFound(RrdnsError):
    """Something was named that does not exist."""


class UnknownPool(NotFound):
    """The request names a pool that is not configured."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no pool is called {self.name!r}"


class UnknownMember(NotFound):
    """The request names a member that the pool does not have."""

    def __init__(self, name: str, pool: str | None = None, near: tuple[str, ...] = ()) -> None:
        super().__init__(name, pool, near)
        self.name = name
        self.pool = pool
        self.near = near  # names that may have been meant

    def __str__(self) -> str:
        where = f"pool {self.pool!r} has no" if self.pool else "no pool has a"
        meant = f"; did you mean {' or '.join(map(repr, self.near))}?" if self.near else ""
        return f"{where} member {self.name!r}{meant}"


class NoMemberMatches(UnknownMember):
    """A tag or pattern fits no member."""

    def __str__(self) -> str:
        return f"no member has {self.name}"


class Refused(RrdnsError):
    """An order is understood, and carrying it out would do harm."""


class AmbiguousMember(Refused):
    """Several pools have a member of that name, and the order is for one of them."""

    def __init__(self, name: str, pools: tuple[str, ...]) -> None:
        super().__init__(name, pools)
        self.name = name
        self.pools = pools

    def __str__(self) -> str:
        return f"{self.name!r} is a member of several pools: {', '.join(self.pools)}"


class VersionMismatch(Refused):
    """The member changed since the caller read it."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version  # of the member now

    def __str__(self) -> str:
        return "the member changed since you read it; read it again and decide anew"


class TooFewMembers(Refused):
    """A drain would leave a pool without enough members to hand out."""

    def __init__(
        self, pool: str, member: str, staying: tuple[str, ...] = (), keep: int = 1, count: int = 1
    ) -> None:
        super().__init__(pool, member, staying, keep, count)
        self.pool = pool
        self.member = member
        self.remaining = staying  # who would be left to boot from
        self.required = keep
        self.count = count  # of the members that `member` names

    def __str__(self) -> str:
        if self.required <= 1:
            last = "is the last member" if self.count == 1 else "are the last members"
            hand = "is" if self.count == 1 else "are"
            return (
                f"'{self.member}' {last} of pool {self.pool!r} that {hand} handed out; "
                "bring another one back first, or force the drain"
            )
        return (
            f"draining '{self.member}' would leave {self._remaining_names()} of pool {self.pool!r} "
            f"handed out, and {self.required} must stay; bring another one back first, or force it"
        )

    def _remaining_names(self) -> str:
        if not self.remaining:
            return "no member"
        names = ", ".join(repr(name) for name in self.remaining)
        return f"only {names}"


class StoreFailed(RrdnsError):
    """The store could not read or write; nothing was changed."""

    def __init__(self, path: str, doing: str, reason: str) -> None:
        super().__init__(path, doing, reason)
        self.path = path
        self.doing = doing
        self.reason = reason

    def __str__(self) -> str:
        return f"the store {self.path} could not {self.doing}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a config file, where it is, and what would be right."""

    path: str  # dotted: "pools[0].members[2].address"; empty for the file as a whole
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class ConfigInvalid(RrdnsError):
    """A config file has mistakes; all of them are listed."""

    def __init__(self, path: str, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__(path, mistakes)
        self.path = path
        self.mistakes = mistakes

    def __str__(self) -> str:
        count = len(self.mistakes)
        title = f"{self.path}: {count} mistake{'s' if count != 1 else ''}"
        return "\n".join([title, *(f"  {mistake}" for mistake in self.mistakes)])


class ListenersFailed(RrdnsError):
    """Some addresses could not be bound; all of them are listed."""

    def __init__(self, failures: tuple[ListenFailed, ...]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        return "\n".join(str(failure) for failure in self.failures)


class ListenFailed(RrdnsError):
    """An address could not be bound."""

    def __init__(self, what: str, address: str, reason: str, *, is_absent: bool = False) -> None:
        super().__init__(what, address, reason)
        self.what = what
        self.address = address
        self.reason = reason
        self.is_absent = is_absent  # this host has no such address, or no such family

    def __str__(self) -> str:
        return f"cannot listen for {self.what} on {self.address}: {self.reason}"
