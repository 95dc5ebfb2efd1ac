"""Decide which member each order is for after a change of the config.

An order is for a server, and a config may give that server another name. The name is compared
first: a member of the same name keeps its order, also with another address. Otherwise the order
goes to the member with the order's address, in the pool of the same name, or else of the same
hostname. Orders are per hostname: one server may be in several pools, and an order never goes to
a pool with another name and another hostname.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rrdns.core.model import Pool
from rrdns.core.orders.request import Target


@dataclass(frozen=True, slots=True)
class OrderTarget:
    """The server that an order was for, with its names in the config of that time."""

    pool: str
    member: str
    address: str = ""  # empty: unknown, as in a store of an older version
    hostname: str = ""

    @property
    def key(self) -> Target:
        """Return the names of the order's pool and member."""
        return self.pool, self.member


@dataclass(frozen=True, slots=True)
class Reassignment:
    """The member that an order is for now."""

    before: OrderTarget
    key: Target | None  # None: no member matches; the order is stored
    because: str = ""  # the property that is the same if the name is not
    after: str = ""  # another member that now has the order's address

    @property
    def has_moved(self) -> bool:
        """Return whether the order goes to a member of another name."""
        return self.key is not None and self.key != self.before.key

    def sentence(self, order: str) -> str:
        """Return a sentence for admins about an order of that kind."""
        pool, member = self.before.key
        what = f"the {order} of {member} in pool {pool}"
        if self.key is None:
            return (
                f"{what} has no member now: it is stored, and in force again when the config has a "
                "member of that name or address"
            )
        if self.has_moved:
            to = self.key[1] if self.key[0] == pool else f"{self.key[1]} in pool {self.key[0]}"
            return f"{what} goes to {to} ({self.because})"
        if self.after:
            return (
                f"{what} stays with that name, which is now another server: "
                f"{self.before.address} is now {self.after}, which does not get the {order}"
            )
        return f"{what} stays"


def reassign(assignees: Iterable[OrderTarget], pools: Sequence[Pool]) -> tuple[Reassignment, ...]:
    """Return the member of each order. A member gets at most one order."""
    waiting = {target.key: target for target in sorted(assignees, key=lambda target: target.key)}
    results: dict[Target, Reassignment] = {}
    taken: set[Target] = set()
    for step in (_by_name, _by_address):
        for target in list(waiting.values()):
            for result in step(target, pools):
                if result.key is not None and result.key not in taken:
                    taken.add(result.key)
                    results[target.key] = result
                    del waiting[target.key]
                    break
    results.update({key: Reassignment(target, None) for key, target in waiting.items()})
    return tuple(results[key] for key in sorted(results))


def _by_name(target: OrderTarget, pools: Sequence[Pool]) -> Iterator[Reassignment]:
    for pool in pools:
        if pool.name == target.pool and (member := pool.member(target.member)) is not None:
            other = _at(pool, target.address) if member.address != target.address else ""
            yield Reassignment(target, target.key, after=other)


def _by_address(target: OrderTarget, pools: Sequence[Pool]) -> Iterator[Reassignment]:
    for pool in pools:
        if pool.name == target.pool and (name := _at(pool, target.address)):
            yield Reassignment(target, (pool.name, name), "same address")
    for pool in pools:
        if pool.name == target.pool or not target.hostname or pool.hostname != target.hostname:
            continue
        if pool.member(target.member) is not None:
            yield Reassignment(target, (pool.name, target.member), "same hostname and name")
        elif name := _at(pool, target.address):
            yield Reassignment(target, (pool.name, name), "same hostname and address")


def _at(pool: Pool, address: str) -> str:
    """Return the name of the member with an address, or ""."""
    members = (member for member in pool.members if address and member.address == address)
    return next((member.name for member in members), "")
