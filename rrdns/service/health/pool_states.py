"""The record of every pool and member as of now: what was observed, and what was ordered.

It keeps facts and asks the core what follows from them; it waits for nothing, reads no
clock and tells nobody. Times come in as Unix seconds; those of answers that expire are on a
steady clock, and `ahead` is by how much the date is ahead of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rrdns.core.health.drift import Drift, find_drift
from rrdns.core.health.eligibility import Selection, select
from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.health.probe_timing import PUBLISH_SECONDS
from rrdns.core.health.standing import (
    ASSUMED_UP,
    AWAITED,
    Standing,
    observe,
    thresholds_of,
)
from rrdns.core.model import Override, Pool, ScheduledOverride
from rrdns.core.orders.cache_expiry import (
    NEVER,
    CachedAnswers,
    after_applied,
    after_publish,
    expiry,
)
from rrdns.core.orders.reassignment import OrderTarget, Reassignment, reassign
from rrdns.core.snapshot import PoolRRset, rrset_of
from rrdns.errors import UnknownMember, UnknownPool
from rrdns.service.health.member_state import MemberState, carry_over, probes_alike


@dataclass(slots=True)
class PoolState:
    """What is known of one pool."""

    pool: Pool
    members: dict[str, MemberState]
    drift: tuple[Drift, ...] = ()
    cached: dict[str, CachedAnswers] = field(default_factory=dict)  # by address
    # Nothing was known of any member: none is answered before the first results of all, or the
    # one that is quickest to pass its probe would get every boot meanwhile.
    is_held: bool = False
    _selection: Selection | None = None  # computed when it is first needed after a change

    def standings(self) -> dict[str, Standing]:
        """Return the members' standings by name."""
        return {name: member_state.standing for name, member_state in self.members.items()}

    def overrides(self) -> dict[str, Override]:
        """Return the orders in force by member name."""
        return {
            name: member_state.override
            for name, member_state in self.members.items()
            if member_state.override is not None
        }

    def selection(self) -> Selection:
        """Return which members are in rotation, and why each is or is not."""
        if self._selection is None:
            self._selection = self.selection_under(self.overrides())
        return self._selection

    def selection_under(self, overrides: Mapping[str, Override]) -> Selection:
        """Return the selection if these orders were in force, by member name."""
        standings = dict.fromkeys(self.members, AWAITED) if self.is_held else self.standings()
        return select(self.pool, standings, overrides)

    def set_standing(self, member: str, standing: Standing) -> None:
        """Set what the probes say of a member."""
        self.members[member].standing = standing
        self._selection = None

    def set_override(self, member: str, override: Override | None) -> None:
        """Set the order in force for a member; None: there is none."""
        self.members[member].override = override
        self._selection = None

    def hold(self, is_held: bool) -> None:
        """Hold the pool, or end that."""
        self.is_held = is_held
        self._selection = None

    def still_cached(self, now: float) -> dict[str, CachedAnswers]:
        """Return the cached answers of the members, and of other addresses until they expire."""
        members = {state.member.address for state in self.members.values()}
        return {
            address: answers
            for address, answers in self.cached.items()
            if address in members or expiry(answers, now) > now
        }

    def awaited(self) -> tuple[str, ...]:
        """Return the members whose first result is waited for."""
        return tuple(
            name for name, member_state in self.members.items() if member_state.standing.awaited
        )


class PoolStates:
    """All pools and their members."""

    def __init__(self, slots_of: Callable[[str], Mapping[str, int]] = lambda _: {}) -> None:
        """Take what knows the counters of a pool and its members."""
        self._slots_of = slots_of
        self._records: dict[str, PoolState] = {}
        self.held_pools = set[str]()  # they wait for the first results of all their members
        # All orders, also those that fit no member of the config and wait for one.
        self._orders: dict[tuple[str, str], Override] = {}
        self._plans: dict[tuple[str, str], ScheduledOverride] = {}
        self.reassigned: tuple[Reassignment, ...] = ()  # by the last `configure` or `take_up`

    def __iter__(self) -> Iterator[PoolState]:
        return iter(self._records.values())

    def __contains__(self, pool: str) -> bool:
        return pool in self._records

    def has(self, pool: str, member: str) -> bool:
        """Tell whether there is such a member."""
        return pool in self._records and member in self._records[pool].members

    def names(self) -> tuple[str, ...]:
        """Return the names of the pools, in the order of the config."""
        return tuple(self._records)

    def record(self, pool: str) -> PoolState:
        """Return a pool's record.

        Raises:
            UnknownPool: no such pool is configured.
        """
        try:
            return self._records[pool]
        except KeyError:
            raise UnknownPool(pool) from None

    def state(self, pool: str, member: str) -> MemberState:
        """Return a member's track.

        Raises:
            UnknownPool, UnknownMember: there is none.
        """
        try:
            return self.record(pool).members[member]
        except KeyError:
            raise UnknownMember(member, pool) from None

    def configure(self, pools: Iterable[Pool], now: float, ahead: float = 0.0) -> tuple[str, ...]:
        """Take over a configuration; return the pools that are no more.

        A member that keeps its address keeps what is known of it, also under another name, and
        so does one whose pool changed elsewhere. What is asked of the members (files, port)
        counts too: a standing earned with another file proves nothing. Orders go with their
        servers, in this one step: `reassigned` tells how.
        """
        before = self._records
        by_hostname = {record.pool.hostname: record for record in before.values()}
        self._records = {}
        for pool in pools:
            old = before.get(pool.name)
            former = old or by_hostname.get(pool.hostname)  # a pool may get another name
            proven = former is not None and probes_alike(former.pool.probe, pool.probe)
            known = former.members.values() if former is not None else ()
            member_states = {
                member.name: carry_over(known, member, now, proven=proven)
                for member in pool.members
            }
            drift = old.drift if old is not None else ()
            cached_answers = former.still_cached(now - ahead) if former is not None else {}
            self._records[pool.name] = PoolState(pool, member_states, drift, cached_answers)
            self._hold(self._records[pool.name], was_held=old is not None and old.is_held)
        self.held_pools &= self._records.keys()
        self._reassign(self._orders, self._plans)
        return tuple(name for name in before if name not in self._records)

    def restore_orders(
        self, overrides: Iterable[Override], plans: Iterable[ScheduledOverride]
    ) -> None:
        """Take over the orders of the store; any that is here and not there stays if it can."""
        orders, later = self._orders, self._plans
        self._reassign(
            {(one.pool, one.member): one for one in overrides}, {plan.key: plan for plan in plans}
        )
        for key, override in orders.items():
            if key not in self._orders and self.has(*key):
                self.set_override(override)
        for key, plan in later.items():
            self._plans.setdefault(key, plan)

    def _reassign(
        self,
        orders: Mapping[tuple[str, str], Override],
        plans: Mapping[tuple[str, str], ScheduledOverride],
    ) -> None:
        # Who has an order and another one for later is one server: what is in force tells which.
        known = {**{key: plan.override for key, plan in plans.items()}, **orders}
        assignees = [
            OrderTarget(*key, override.address, override.hostname)
            for key, override in known.items()
        ]
        self._orders, self._plans = {}, {}
        for record in self._records.values():
            for name in record.members:
                record.set_override(name, None)
        self.reassigned = reassign(assignees, [one.pool for one in self._records.values()])
        for each in self.reassigned:
            before, after = each.before.key, each.key or each.before.key
            if before in orders:
                self._set(self.assigned(orders[before], after))
            if before in plans:
                followed = self.assigned(plans[before].override, after)
                self._plans[after] = replace(plans[before], override=followed)

    def assigned(self, override: Override, key: tuple[str, str] | None = None) -> Override:
        """Return an order with its server's address and hostname; `key`: of another member."""
        pool, member = key or (override.pool, override.member)
        moved = replace(override, pool=pool, member=member)
        if not self.has(pool, member):
            return moved
        address = self.state(pool, member).member.address
        return replace(moved, address=address, hostname=self.record(pool).pool.hostname)

    def orders(self) -> Mapping[tuple[str, str], Override]:
        """Return all orders, also those that fit no member."""
        return dict(self._orders)

    def scheduled(self) -> Mapping[tuple[str, str], ScheduledOverride]:
        """Return all orders for later, also those that fit no member."""
        return dict(self._plans)

    def override(self, pool: str, member: str) -> Override | None:
        """Return the order for a member, also where the config has no such one."""
        return self._orders.get((pool, member))

    def is_orphan(self, pool: str, member: str) -> bool:
        """Tell whether there is an order by these names, and no member."""
        key = pool, member
        return not self.has(*key) and (key in self._orders or key in self._plans)

    def orphans(self) -> tuple[Override, ...]:
        """Return the orders that fit no member, those for later too, in order of their names."""
        known = {**{key: plan.override for key, plan in self._plans.items()}, **self._orders}
        return tuple(known[key] for key in sorted(known) if not self.has(*key))

    def restore_standing(self, pool: str, member: str, standing: Standing) -> None:
        """Set a standing from before a restart."""
        record = self.record(pool)
        record.set_standing(member, standing)
        self._hold(record)

    def _hold(self, record: PoolState, *, was_held: bool = False) -> None:
        """Hold a pool of which nothing is known, or go on to while first results are missing."""
        awaited = len(record.awaited())
        record.hold(bool(awaited) and (was_held or awaited == len(record.members)))
        (self.held_pools.add if record.is_held else self.held_pools.discard)(record.pool.name)

    def stop_awaiting(self, pool: str, members: Iterable[str]) -> None:
        """Assume that those of these members are up whose first result has not come in time."""
        if pool not in self._records:
            return
        record = self.record(pool)
        for name in members:
            if name in record.members and record.members[name].standing.awaited:
                record.set_standing(name, ASSUMED_UP)
        self._hold(record, was_held=record.is_held)

    def set_override(self, override: Override) -> None:
        """Set the order in force for a member, in place of any other.

        Raises:
            UnknownPool, UnknownMember: there is no such member.
        """
        self.state(override.pool, override.member)
        self._set(override)

    def _set(self, override: Override) -> None:
        if self.has(override.pool, override.member):
            self.record(override.pool).set_override(override.member, override)
        self._orders[override.pool, override.member] = override

    def clear_override(self, pool: str, member: str) -> Override | None:
        """Take away the order in force for a member, and return it."""
        if not self.is_orphan(pool, member):
            self.state(pool, member)
            self.record(pool).set_override(member, None)
        return self._orders.pop((pool, member), None)

    def scheduled_override(self, pool: str, member: str) -> ScheduledOverride | None:
        """Return what is ordered for later for a member."""
        return self._plans.get((pool, member))

    def schedule(self, plan: ScheduledOverride) -> None:
        """Order something for later, in place of anything that was.

        Raises:
            UnknownPool, UnknownMember: there is no such member.
        """
        self.state(*plan.key)
        self._plans[plan.key] = plan

    def unschedule(self, pool: str, member: str) -> None:
        """Forget what was ordered for later for a member."""
        self._plans.pop((pool, member), None)

    def scheduled_of(self, pool: str) -> tuple[ScheduledOverride, ...]:
        """Return what is ordered for later in a pool."""
        return tuple(plan for (of, _), plan in self._plans.items() if of == pool)

    def follow_clock(self, ahead: float, boot: str) -> None:
        """Work out anew when orders for a length of time end, if the clock was set."""
        for override in list(self._orders.values()):
            by_clock = override.ends_by_clock(ahead, boot)
            if by_clock is not override:
                self._set(by_clock)

    def observe(self, pool: str, member: str, result: ProbeResult, now: float) -> bool:
        """Note a probe; tell whether the member's standing changed (or was settled).

        One that this host could not send says nothing of the member: its health stays as it was.
        """
        record = self.record(pool)
        member_state = self.state(pool, member)
        before = member_state.standing
        if result.verdict is Verdict.LOCAL:
            member_state.last_probe, member_state.probed_at = result, now
            self.stop_awaiting(pool, [member])
            return before.awaited
        record.set_standing(
            member, observe(before, result.passed, thresholds_of(record.pool.probe))
        )
        member_state.last_probe = result
        member_state.probed_at = now
        member_state.recent.append((now, result.seconds, result.passed))
        if before.awaited:
            self._hold(record, was_held=record.is_held)
        if result.passed and result.depth is ProbeDepth.FULL:
            member_state.seen = result.seen
        if member_state.standing.up != before.up or not before.probed:
            member_state.since = now
            member_state.decided = result, now
            return True
        return False

    def compare(self, pool: str) -> tuple[Drift, ...]:
        """Compare what the members of a pool serve; return drift that was not there before."""
        record = self.record(pool)
        known = set(record.drift)
        record.drift = find_drift(
            {
                name: member_state.seen
                for name, member_state in record.members.items()
                if member_state.seen
            }
        )
        return tuple(drift for drift in record.drift if drift not in known)

    def rrset(self, pool: str) -> PoolRRset:
        """Return what responders shall know of a pool now."""
        record = self.record(pool)
        return rrset_of(record.pool, record.selection(), self._slots_of(pool))

    def on_published(self, pool: str, serial: int) -> Selection:
        """Note that the RRset of a pool is published with `serial`; return its selection."""
        record = self.record(pool)
        selection = record.selection()
        named = {member.address for member in selection.members}
        record.cached = {
            address: after_publish(
                record.cached.get(address, NEVER),
                serial,
                record.pool.ttl if address in named else None,
            )
            for address in record.cached.keys() | named
        }
        return selection

    def on_applied(self, pool: str, serial: int, at: float) -> None:
        """Note that since `at` (by the steady clock) all workers answer from `serial` or later."""
        if pool in self._records:
            record = self._records[pool]
            record.cached = {
                address: after_applied(exposure, serial, at)
                for address, exposure in record.cached.items()
            }

    def safe_after_if_withdrawn(
        self, pool: str, member: str, at: float, ahead: float = 0.0
    ) -> float:
        """Return the date when a member would be out of all caches, were it taken out at `at`."""
        record, member_state = self.record(pool), self.state(pool, member)
        exposure = after_publish(record.cached.get(member_state.member.address, NEVER), 0, None)
        steady = at - ahead
        return max(expiry(after_applied(exposure, 0, steady + PUBLISH_SECONDS), steady) + ahead, at)
