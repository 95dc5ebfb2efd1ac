"""Decide which member each order is for once the config has changed.

An order is for a server, and a config may give that server another name. The name counts
first: a member of the same name keeps its order, whatever its address is now. Else the order
goes to the member that has the address which the order was for; the pool is the one of the
same name, or else of the same hostname. Orders are per hostname: one server may be in several
pools, and an order never goes to a pool of another name and hostname.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rrdns.core.model import Pool
from rrdns.core.orders.request import Target


@dataclass(frozen=True, slots=True)
class OrderTarget:
    """The server that an order was for, as the config called it then."""

    pool: str
    member: str
    address: str = ""  # empty: not known, as in a store from before this was kept
    hostname: str = ""

    @property
    def key(self) -> Target:
        """Return the names by which the order is known."""
        return self.pool, self.member


@dataclass(frozen=True, slots=True)
class Reassignment:
    """Which member an order is for now."""

    before: OrderTarget
    key: Target | None  # None: it fits no member, and is kept
    because: str = ""  # what is the same where the name is not
    after: str = ""  # the member, not this one, that has the address which the order was for

    @property
    def has_moved(self) -> bool:
        """Tell whether the order goes to a member of another name."""
        return self.key is not None and self.key != self.before.key

    def sentence(self, order: str) -> str:
        """Tell an admin what becomes of an order of that kind."""
        pool, member = self.before.key
        what = f"the {order} of {member} in pool {pool}"
        if self.key is None:
            return (
                f"{what} fits no member: it is kept, and is in force again when the config has a "
                "member of that name or address"
            )
        if self.has_moved:
            to = self.key[1] if self.key[0] == pool else f"{self.key[1]} in pool {self.key[0]}"
            return f"{what} goes to {to} ({self.because})"
        if self.after:
            return (
                f"{what} stays with that name, which is another server now: "
                f"{self.before.address} is {self.after}, which does not get the {order}"
            )
        return f"{what} stays"


def reassign(assignees: Iterable[OrderTarget], pools: Sequence[Pool]) -> tuple[Reassignment, ...]:
    """Return for each order which member it is for: each has one order at most."""
    waiting = {each.key: each for each in sorted(assignees, key=lambda one: one.key)}
    found: dict[Target, Reassignment] = {}
    taken: set[Target] = set()
    for step in (_by_name, _by_address):
        for each in list(waiting.values()):
            for result in step(each, pools):
                if result.key is not None and result.key not in taken:
                    taken.add(result.key)
                    found[each.key] = result
                    del waiting[each.key]
                    break
    found.update({key: Reassignment(each, None) for key, each in waiting.items()})
    return tuple(found[key] for key in sorted(found))


def _by_name(each: OrderTarget, pools: Sequence[Pool]) -> Iterator[Reassignment]:
    for pool in pools:
        if pool.name == each.pool and (member := pool.member(each.member)) is not None:
            other = _at(pool, each.address) if member.address != each.address else ""
            yield Reassignment(each, each.key, after=other)


def _by_address(each: OrderTarget, pools: Sequence[Pool]) -> Iterator[Reassignment]:
    for pool in pools:
        if pool.name == each.pool and (name := _at(pool, each.address)):
            yield Reassignment(each, (pool.name, name), "same address")
    for pool in pools:
        if pool.name == each.pool or not each.hostname or pool.hostname != each.hostname:
            continue
        if pool.member(each.member) is not None:
            yield Reassignment(each, (pool.name, each.member), "same hostname and name")
        elif name := _at(pool, each.address):
            yield Reassignment(each, (pool.name, name), "same hostname and address")


def _at(pool: Pool, address: str) -> str:
    """Return the member's name that has an address; empty where nobody has it."""
    return next((one.name for one in pool.members if address and one.address == address), "")
