"""An admin's order: the request, the selection of its members, and its comparison with others.

An order is executed for all its targets or for none: the guard checks them together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rrdns.core.model import Member, OrderKind, Override, Pool, ScheduledOverride
from rrdns.errors import AmbiguousMember, NoMemberMatches, UnknownMember, UnknownPool

SAME_TIME = 2.0  # seconds between the ends (or starts) of two orders that are one
_PATTERN = frozenset("*?[")

Target = tuple[str, str]  # pool, member


@dataclass(frozen=True, slots=True)
class MemberSelector:
    """The members that an order is for: by name, tag or glob pattern, in one pool or in all."""

    names: tuple[str, ...] = ()  # each may be a pattern, too
    tag: str | None = None
    glob: str | None = None
    pool: str | None = None  # None: all pools
    # Refuse a name that several pools have, instead of selecting the member in each of them.
    one_pool: bool = False

    def __str__(self) -> str:
        if self.tag is not None:
            return f"the tag {self.tag!r}"
        return f"a name like {self.glob!r}" if self.glob is not None else "a name"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order for some members, as it was given; times are Unix seconds."""

    targets: tuple[Target, ...]  # empty: `selector` selects them
    order: OrderKind | None  # None: end the orders for the targets (resume)
    by: str
    reason: str = ""
    until: float | None = None
    at: float | None = None  # None: now
    force: bool = False  # override the guard
    dry_run: bool = False  # nothing is changed, not even the audit trail
    lasting: bool = False  # `until` was computed from a duration
    selector: MemberSelector | None = None
    # Versions of the member or its pool (`core.orders.version`) of which one must hold; None: any.
    expected_versions: frozenset[str] | None = None

    def overrides(self, now: float) -> tuple[Override, ...]:
        """Return the orders that it puts in force."""
        if self.order is None:
            return ()
        since = now if self.at is None else self.at
        return tuple(
            Override(pool, member, self.order, self.by, since, self.reason, self.until)
            for pool, member in self.targets
        )


def select_members(
    pools: Iterable[Pool], selector: MemberSelector, orphans: Iterable[Target] = ()
) -> tuple[Target, ...]:
    """Return the selected members, in the order of the config.

    `orphans`: orders without a member; names and patterns select them too.

    Raises:
        UnknownPool: the selector names a pool that does not exist.
        UnknownMember: no member has one of the names.
        AmbiguousMember: several pools have a member of a name, and the selector has `one_pool`.
        NoMemberMatches: no member has the tag, or matches the pattern.
    """
    everything = [
        *((pool.name, member) for pool in pools for member in pool.members),
        *((pool, Member(name, "")) for pool, name in orphans),
    ]
    if selector.pool is not None:
        everything = [each for each in everything if each[0] == selector.pool]
        if not everything:
            raise UnknownPool(selector.pool)
    known = {member.name for _, member in everything}
    names = _exact_names(selector, known)
    found = tuple(
        (pool, member.name)
        for pool, member in everything
        if member.name in names or (selector.tag is not None and selector.tag in member.tags)
    )
    if not found:
        raise NoMemberMatches(str(selector))
    if selector.one_pool:
        _check_unambiguous(found)
    return found


def _exact_names(selector: MemberSelector, known: set[str]) -> set[str]:
    """Return the member names that match the names and patterns of a selector."""
    exact: set[str] = set()
    for name in selector.names:
        fitting = {name} & known
        if not fitting and _PATTERN.intersection(name):
            fitting = {each for each in known if fnmatchcase(each, name)}
        if not fitting:
            raise UnknownMember(name, selector.pool, _nearest(name, known))
        exact |= fitting
    if selector.glob is not None:
        exact |= {each for each in known if fnmatchcase(each, selector.glob)}
    return exact


def _nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the most similar names: all that are equally similar, at most three."""

    def nearness(other: str) -> float:
        return difflib.SequenceMatcher(None, other, name).ratio()

    near = difflib.get_close_matches(name, sorted(known))
    return tuple(sorted(each for each in near if nearness(each) == nearness(near[0])))


def _check_unambiguous(found: Sequence[Target]) -> None:
    pools: dict[str, list[str]] = {}
    for pool, member in found:
        pools.setdefault(member, []).append(pool)
    for member, homes in pools.items():
        if len(homes) > 1:
            raise AmbiguousMember(member, tuple(homes))


def active_at(
    overrides: Mapping[str, Override], plans: Iterable[ScheduledOverride], at: float
) -> dict[str, Override]:
    """Return the orders that will be in force at a time, by what is known now."""
    scheduled = sorted((plan.override for plan in plans), key=lambda override: override.since)
    started = {override.member: override for override in scheduled if override.since <= at}
    then = {**overrides, **started}
    return {name: override for name, override in then.items() if override.is_active(at)}


def is_active_already(before: Override, wanted: Override) -> bool:
    """Return whether an order is in force already: the same order again changes nothing."""
    if (before.order, before.reason) != (wanted.order, wanted.reason):
        return False
    if (before.ahead is None) != (wanted.ahead is None):  # a duration, or a date
        return False
    return _is_same_time(before.until, wanted.until)


def is_scheduled_already(before: ScheduledOverride | None, wanted: ScheduledOverride) -> bool:
    """Return whether an order is scheduled already."""
    if before is None or before.force != wanted.force:
        return False
    starts = before.override.since, wanted.override.since
    return _is_same_time(*starts) and is_active_already(before.override, wanted.override)


def _is_same_time(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one == other
    # A client that got no answer repeats "for two hours": the new end is a little later.
    return abs(one - other) < SAME_TIME
