"""What an admin orders, for whom, and what the order would come to.

A command is carried out for all its targets or for none: the guard looks at them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rrdns.core.health.eligibility import select
from rrdns.core.health.standing import Standing
from rrdns.core.model import Member, OrderKind, Override, Pool, ScheduledOverride
from rrdns.core.orders.guard import remaining_if_too_few
from rrdns.errors import NoMemberMatches, TooFewMembers, UnknownMember

SAME_TIME = 2.0  # seconds between the ends (or starts) of two orders that are one

Target = tuple[str, str]  # pool, member
Overrides = Mapping[str, Override]  # by member, of one pool


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order for some members, as it was given; times are Unix seconds."""

    targets: tuple[Target, ...]
    order: OrderKind | None  # None: whatever is ordered for them ends (resume)
    by: str
    reason: str = ""
    until: float | None = None
    at: float | None = None  # None: now
    force: bool = False  # the guard is heard, and overruled
    dry_run: bool = False  # nothing is changed, not even the audit trail
    lasting: bool = False  # `until` comes of a length of time

    def overrides(self, now: float) -> tuple[Override, ...]:
        """Return what it puts in force."""
        if self.order is None:
            return ()
        since = now if self.at is None else self.at
        return tuple(
            Override(pool, member, self.order, self.by, since, self.reason, self.until)
            for pool, member in self.targets
        )


@dataclass(frozen=True, slots=True)
class MemberSelector:
    """Which members are meant: by name, tag or glob pattern, in one pool or in all."""

    names: tuple[str, ...] = ()
    tag: str | None = None
    glob: str | None = None

    def matches(self, member: Member) -> bool:
        """Tell whether a member is meant."""
        return (
            member.name in self.names
            or (self.tag is not None and self.tag in member.tags)
            or (self.glob is not None and fnmatchcase(member.name, self.glob))
        )

    def __str__(self) -> str:
        if self.tag is not None:
            return f"the tag {self.tag!r}"
        return f"a name like {self.glob!r}" if self.glob is not None else "a name"


def select_members(
    pools: Iterable[Pool], choice: MemberSelector, orphans: Iterable[Target] = ()
) -> tuple[Target, ...]:
    """Return the members that are meant, in the order of the config.

    `orphans`: of which there are orders, and no members; names and patterns mean them too.

    Raises:
        UnknownMember: a name is nobody's.
        NoMemberMatches: a tag or pattern fits nobody.
    """
    found = tuple(
        (pool.name, member.name)
        for pool in pools
        for member in pool.members
        if choice.matches(member)
    ) + tuple(target for target in orphans if choice.matches(Member(target[1], "")))
    known = {member for _, member in found}
    for name in choice.names:
        if name not in known:
            raise UnknownMember(name)
    if not found:
        raise NoMemberMatches(str(choice))
    return found


def check_guard(
    pool: Pool, standings: Mapping[str, Standing], before: Overrides, wanted: Sequence[Override]
) -> TooFewMembers | None:
    """Return why the guard refuses these orders together, or None."""
    after = {**before, **{one.member: one for one in wanted}}
    left = remaining_if_too_few(pool, standings, before, after)
    if left is None:
        return None
    names = "', '".join(one.member for one in wanted)
    return TooFewMembers(pool.name, names, left, pool.min_members, len(wanted))


def in_rotation_after(
    pool: Pool, standings: Mapping[str, Standing], overrides: Overrides
) -> tuple[str, ...]:
    """Return the names of those who are handed out under these orders."""
    return tuple(member.name for member in select(pool, standings, overrides).members)


def active_at(
    overrides: Overrides, plans: Iterable[ScheduledOverride], at: float
) -> dict[str, Override]:
    """Return the orders that will be in force at a time, by what is known now."""
    coming = sorted((plan.override for plan in plans), key=lambda one: one.since)
    then = {**overrides, **{one.member: one for one in coming if one.since <= at}}
    return {name: one for name, one in then.items() if one.is_active(at)}


def is_active_already(before: Override | None, wanted: Override) -> bool:
    """Tell whether an order is in force already: asking twice is one order."""
    if before is None or (before.order, before.reason) != (wanted.order, wanted.reason):
        return False
    if (before.ahead is None) != (wanted.ahead is None):  # a length of time, or a date
        return False
    return _is_same_time(before.until, wanted.until)


def is_scheduled_already(before: ScheduledOverride | None, wanted: ScheduledOverride) -> bool:
    """Tell whether an order is planned already."""
    if before is None or before.force != wanted.force:
        return False
    starts = before.override.since, wanted.override.since
    return _is_same_time(*starts) and is_active_already(before.override, wanted.override)


def _is_same_time(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one == other
    # "for two hours", said again by a client that saw no answer, ends a little later.
    return abs(one - other) < SAME_TIME
