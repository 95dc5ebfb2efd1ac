"""The record of every pool and member as of now: what was observed, and what was ordered.

It keeps facts and asks the core what follows from them; it waits for nothing, reads no
clock and tells nobody. Times come in as Unix seconds; those of answers that expire are on a
steady clock, and `ahead` is by how much the date is ahead of that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rrdns.core.health.drift import Drift, find_drift
from rrdns.core.health.eligibility import Selection, select
from rrdns.core.health.probe_result import Depth, FileSeen, ProbeResult, Verdict
from rrdns.core.health.standing import (
    ASSUMED_UP,
    AWAITED,
    Patience,
    Standing,
    detection_time,
    observe,
    patience,
)
from rrdns.core.model import Member, Override, Plan, Pool
from rrdns.core.orders.cache_expiry import NEVER, Exposure, expiry, publish, safe_after, settle
from rrdns.core.orders.reassignment import Assignee, Reassignment, reassign
from rrdns.core.snapshot import Rota, rota_of
from rrdns.core.status import MemberReport, PoolReport
from rrdns.errors import UnknownMember, UnknownPool

RECENT_PROBES = 120
PUBLISH_TIME = 0.01  # seconds from a decision to the first answer that follows it, at most

Standings = dict[str, dict[str, bool]]  # pool -> member -> up
Fading = dict[str, dict[str, float]]  # pool -> address -> when the last answer has expired


@dataclass(slots=True)
class Track:
    """What is known of one member."""

    member: Member
    standing: Standing = AWAITED
    since: float = 0.0
    override: Override | None = None
    last_probe: ProbeResult | None = None
    probed_at: float | None = None
    decided: tuple[ProbeResult, float] | None = None  # the probe that made the standing, and when
    seen: tuple[FileSeen, ...] = ()
    recent: deque[tuple[float, float, bool]] = field(
        default_factory=lambda: deque(maxlen=RECENT_PROBES)
    )


@dataclass(slots=True)
class PoolRecord:
    """What is known of one pool."""

    pool: Pool
    slot: int
    tracks: dict[str, Track]
    drift: tuple[Drift, ...] = ()
    exposures: dict[str, Exposure] = field(default_factory=dict)  # by address
    # Nothing was known of any member: none is answered before the first results of all, or the
    # one that is quickest to pass its probe would get every boot meanwhile.
    is_held: bool = False

    def standings(self) -> dict[str, Standing]:
        """Return the members' standings by name."""
        return {name: track.standing for name, track in self.tracks.items()}

    def overrides(self) -> dict[str, Override]:
        """Return the orders in force by member name."""
        return {
            name: track.override
            for name, track in self.tracks.items()
            if track.override is not None
        }

    def selection(self) -> Selection:
        """Return who is to be handed out."""
        standings = dict.fromkeys(self.tracks, AWAITED) if self.is_held else self.standings()
        return select(self.pool, standings, self.overrides())

    def awaited(self) -> tuple[str, ...]:
        """Return the members whose first result is waited for."""
        return tuple(name for name, track in self.tracks.items() if track.standing.awaited)

    def patience(self) -> Patience:
        """Return how many probes in a row change a standing here."""
        return patience(self.pool.probe)


class Roster:
    """All pools and their members."""

    def __init__(self) -> None:
        self._records: dict[str, PoolRecord] = {}
        self.held: set[str] = set()  # pools that wait for the first results of all their members
        # All orders, also those that fit no member of the config and wait for one.
        self._orders: dict[tuple[str, str], Override] = {}
        self._plans: dict[tuple[str, str], Plan] = {}
        self.reassigned: tuple[Reassignment, ...] = ()  # by the last `configure` or `take_up`

    def __iter__(self) -> Iterator[PoolRecord]:
        return iter(self._records.values())

    def __contains__(self, pool: str) -> bool:
        return pool in self._records

    def has(self, pool: str, member: str) -> bool:
        """Tell whether there is such a member."""
        return pool in self._records and member in self._records[pool].tracks

    def names(self) -> tuple[str, ...]:
        """Return the names of the pools, in the order of the config."""
        return tuple(self._records)

    def record(self, pool: str) -> PoolRecord:
        """Return a pool's record.

        Raises:
            UnknownPool: no such pool is configured.
        """
        try:
            return self._records[pool]
        except KeyError:
            raise UnknownPool(pool) from None

    def track(self, pool: str, member: str) -> Track:
        """Return a member's track.

        Raises:
            UnknownPool, UnknownMember: there is none.
        """
        try:
            return self.record(pool).tracks[member]
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
        taken = {record.slot for record in before.values()}
        fresh_slots = iter(slot for slot in range(len(taken) + 1_000_000) if slot not in taken)
        by_hostname = {record.pool.hostname: record for record in before.values()}
        self._records = {}
        for pool in pools:
            old = before.get(pool.name)
            slot = old.slot if old is not None else next(fresh_slots)
            former = old or by_hostname.get(pool.hostname)  # a pool may get another name
            tracks = {
                member.name: _carry_over(former, pool, member, now) for member in pool.members
            }
            drift = old.drift if old is not None else ()
            exposures = _still_exposed(former, now - ahead)
            self._records[pool.name] = PoolRecord(pool, slot, tracks, drift, exposures)
            self._hold(self._records[pool.name], was_held=old is not None and old.is_held)
        self.held &= self._records.keys()
        self._reassign(self._orders, self._plans)
        return tuple(name for name in before if name not in self._records)

    def take_up(self, overrides: Iterable[Override], plans: Iterable[Plan]) -> None:
        """Take over the orders of the store; any that is here and not there stays if it can."""
        orders, later = self._orders, self._plans
        self._reassign(
            {(one.pool, one.member): one for one in overrides}, {plan.key: plan for plan in plans}
        )
        for key, override in orders.items():
            if key not in self._orders and self.has(*key):
                self.put(override)
        for key, plan in later.items():
            self._plans.setdefault(key, plan)

    def _reassign(
        self, orders: Mapping[tuple[str, str], Override], plans: Mapping[tuple[str, str], Plan]
    ) -> None:
        # Who has an order and another one for later is one server: what is in force tells which.
        known = {**{key: plan.override for key, plan in plans.items()}, **orders}
        assignees = [
            Assignee(*key, override.address, override.hostname) for key, override in known.items()
        ]
        self._orders, self._plans = {}, {}
        for record in self._records.values():
            for track in record.tracks.values():
                track.override = None
        self.reassigned = reassign(assignees, [one.pool for one in self._records.values()])
        for each in self.reassigned:
            before, after = each.was.key, each.key or each.was.key
            if before in orders:
                self._set(self._follow(orders[before], after))
            if before in plans:
                followed = self._follow(plans[before].override, after)
                self._plans[after] = replace(plans[before], override=followed)

    def _follow(self, override: Override, key: tuple[str, str]) -> Override:
        return self.assigned(replace(override, pool=key[0], member=key[1]))

    def assigned(self, override: Override) -> Override:
        """Return an order with the address and hostname of the server that it is for."""
        if not self.has(override.pool, override.member):
            return override
        address = self.track(override.pool, override.member).member.address
        hostname = self.record(override.pool).pool.hostname
        return replace(override, address=address, hostname=hostname)

    def orders(self) -> Mapping[tuple[str, str], Override]:
        """Return all orders, also those that fit no member."""
        return dict(self._orders)

    def all_plans(self) -> Mapping[tuple[str, str], Plan]:
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

    def remember(self, standings: Mapping[str, Mapping[str, bool]], *, settled: bool) -> None:
        """Take over standings from before a restart.

        `settled`: the gap was short, so they count as proven; otherwise the first probe
        of each member tells.
        """
        for pool, members in standings.items():
            record = self._records.get(pool)
            for name, up in members.items() if record else ():
                track = record.tracks.get(name) if record else None
                if track is not None:
                    track.standing = Standing(up=up, settled=settled)
            if record is not None:
                self._hold(record)

    def _hold(self, record: PoolRecord, *, was_held: bool = False) -> None:
        """Hold a pool of which nothing is known, or go on to while first results are missing."""
        awaited = len(record.awaited())
        record.is_held = bool(awaited) and (was_held or awaited == len(record.tracks))
        (self.held.add if record.is_held else self.held.discard)(record.pool.name)

    def stop_awaiting(self, pool: str, members: Iterable[str]) -> None:
        """Assume that those of these members are up whose first result has not come in time."""
        if pool not in self._records:
            return
        record = self.record(pool)
        for name in members:
            if name in record.tracks and record.tracks[name].standing.awaited:
                record.tracks[name].standing = ASSUMED_UP
        self._hold(record, was_held=record.is_held)

    def put(self, override: Override) -> None:
        """Set the order in force for a member, in place of any other.

        Raises:
            UnknownPool, UnknownMember: there is no such member.
        """
        self.track(override.pool, override.member)
        self._set(override)

    def _set(self, override: Override) -> None:
        if self.has(override.pool, override.member):
            self.track(override.pool, override.member).override = override
        self._orders[override.pool, override.member] = override

    def lift(self, pool: str, member: str) -> Override | None:
        """Take away the order in force for a member, and return it."""
        if not self.is_orphan(pool, member):
            self.track(pool, member).override = None
        return self._orders.pop((pool, member), None)

    def plan(self, pool: str, member: str) -> Plan | None:
        """Return what is ordered for later for a member."""
        return self._plans.get((pool, member))

    def put_plan(self, plan: Plan) -> None:
        """Order something for later, in place of anything that was.

        Raises:
            UnknownPool, UnknownMember: there is no such member.
        """
        self.track(*plan.key)
        self._plans[plan.key] = plan

    def drop_plan(self, pool: str, member: str) -> None:
        """Forget what was ordered for later for a member."""
        self._plans.pop((pool, member), None)

    def plans(self, pool: str) -> tuple[Plan, ...]:
        """Return what is ordered for later in a pool."""
        return tuple(plan for (of, _), plan in self._plans.items() if of == pool)

    def due(self, now: float) -> tuple[Plan, ...]:
        """Return the orders for later whose time has come, the earliest first."""
        due = [
            plan
            for key, plan in self._plans.items()
            if plan.override.since <= now and self.has(*key)
        ]
        return tuple(sorted(due, key=lambda plan: (plan.override.since, plan.id)))

    def expired(self, now: float) -> tuple[Override, ...]:
        """Return the orders that have come to their end."""
        return tuple(one for one in self._orders.values() if not one.in_force(now))

    def missed(self, now: float) -> tuple[Plan, ...]:
        """Return the orders for later that are over before a member was there for them."""
        return tuple(
            plan
            for key, plan in self._plans.items()
            if not self.has(*key) and not plan.override.in_force(now)
        )

    def follow_clock(self, ahead: float, boot: str) -> None:
        """Work out anew when orders for a length of time end, if the clock was set."""
        for override in list(self._orders.values()):
            by_clock = override.by_clock(ahead, boot)
            if by_clock is not override:
                self._set(by_clock)

    def next_change(self) -> float | None:
        """Return when the next order ends or begins."""
        ends = (one.until for one in self._orders.values() if one.until is not None)
        starts = (
            plan.override.since if self.has(*key) else plan.override.until
            for key, plan in self._plans.items()
        )
        return min((*ends, *(at for at in starts if at is not None)), default=None)

    def observe(self, pool: str, member: str, result: ProbeResult, now: float) -> bool:
        """Note a probe; tell whether the member's standing changed (or was settled).

        One that this host could not send says nothing of the member: its health stays as it was.
        """
        record = self.record(pool)
        track = self.track(pool, member)
        before = track.standing
        if result.verdict is Verdict.LOCAL:
            track.last_probe, track.probed_at = result, now
            self.stop_awaiting(pool, [member])
            return before.awaited
        track.standing = observe(before, result.passed, record.patience())
        track.last_probe = result
        track.probed_at = now
        track.recent.append((now, result.seconds, result.passed))
        if before.awaited:
            self._hold(record, was_held=record.is_held)
        if result.passed and result.depth is Depth.FULL:
            track.seen = result.seen
        if track.standing.up != before.up or not before.settled:
            track.since = now
            track.decided = result, now
            return True
        return False

    def compare(self, pool: str) -> tuple[Drift, ...]:
        """Compare what the members of a pool serve; return drift that was not there before."""
        record = self.record(pool)
        known = set(record.drift)
        record.drift = find_drift(
            {name: track.seen for name, track in record.tracks.items() if track.seen}
        )
        return tuple(drift for drift in record.drift if drift not in known)

    def rota(self, pool: str) -> Rota:
        """Return what responders shall know of a pool now."""
        record = self.record(pool)
        return rota_of(record.pool, record.selection(), record.slot)

    def exposed(self, pool: str, addresses: Mapping[str, tuple[int | None, float]]) -> None:
        """Take over what is known of answers from before a restart.

        `addresses`: the TTL of the answers that may still be given, and when others expire
        (by the steady clock).
        """
        self.record(pool).exposures = {
            address: Exposure(ttl=ttl, until=until) for address, (ttl, until) in addresses.items()
        }

    def published(self, pool: str, serial: int) -> None:
        """Note that what `rota` gives is what responders are told with `serial`."""
        record = self.record(pool)
        named = {member.address for member in record.selection().members}
        record.exposures = {
            address: publish(
                record.exposures.get(address, NEVER),
                serial,
                record.pool.ttl if address in named else None,
            )
            for address in record.exposures.keys() | named
        }

    def settled(self, pool: str, serial: int, at: float) -> None:
        """Note that since `at` (by the steady clock) all workers answer from `serial` or later."""
        if pool in self._records:
            record = self._records[pool]
            record.exposures = {
                address: settle(exposure, serial, at)
                for address, exposure in record.exposures.items()
            }

    def leaving(self, pool: str, member: str, at: float, ahead: float = 0.0) -> float:
        """Return the date when a member would be out of all caches, were it taken out at `at`."""
        record, track = self.record(pool), self.track(pool, member)
        exposure = publish(record.exposures.get(track.member.address, NEVER), 0, None)
        steady = at - ahead
        return max(expiry(settle(exposure, 0, steady + PUBLISH_TIME), steady) + ahead, at)

    def fading(self, pools: Iterable[str], now: float) -> Fading:
        """Return when answers that are given no more expire, or did, by the steady clock."""
        return {pool: _fading(self.record(pool), now) for pool in pools}

    def up_standings(self, pools: Iterable[str]) -> Standings:
        """Return what is to be remembered of the members' standings."""
        return {
            pool: {name: track.standing.up for name, track in self.record(pool).tracks.items()}
            for pool in pools
        }

    def report_member(
        self, pool: str, member: str, now: float, firsts: Mapping[str, int], ahead: float = 0.0
    ) -> MemberReport:
        """Return all there is to tell of one member."""
        record, track = self.record(pool), self.track(pool, member)
        answers = firsts.get(track.member.address, 0)
        plan = self.plan(pool, member)
        return _member_report(record, track, record.selection(), now, answers, plan, ahead)

    def report(
        self,
        pool: str,
        now: float,
        firsts: Mapping[str, int] | None = None,
        ahead: float = 0.0,
    ) -> PoolReport:
        """Return all there is to tell of a pool; `firsts` counts first places by address."""
        record = self.record(pool)
        selection = record.selection()
        firsts = firsts or {}
        members = tuple(
            _member_report(
                record,
                track,
                selection,
                now,
                firsts.get(track.member.address, 0),
                self.plan(pool, name),
                ahead,
            )
            for name, track in record.tracks.items()
        )
        detection = detection_time(record.pool.probe)
        return PoolReport(
            pool=record.pool,
            members=members,
            everything_down=selection.everything_down,
            detection=detection,
            worst_case=detection + PUBLISH_TIME + record.pool.ttl,
            queries=sum(firsts.values()),
        )


def _carry_over(old: PoolRecord | None, pool: Pool, member: Member, now: float) -> Track:
    there = old.tracks.values() if old is not None else ()
    track = next((one for one in there if one.member.address == member.address), None)
    if old is None or track is None:
        return Track(member, since=now)
    if (old.pool.probe.files, old.pool.probe.port) != (pool.probe.files, pool.probe.port):
        unproven = replace(track.standing, settled=False, doubts=0)
        return replace(track, member=member, standing=unproven, seen=(), decided=None)
    return replace(track, member=member)


def _still_exposed(record: PoolRecord | None, now: float) -> dict[str, Exposure]:
    """Return the exposures of the members, and of others for as long as they last."""
    if record is None:
        return {}
    members = {track.member.address for track in record.tracks.values()}
    return {
        address: exposure
        for address, exposure in record.exposures.items()
        if address in members or expiry(exposure, now) > now
    }


def _fading(record: PoolRecord, now: float) -> dict[str, float]:
    ends = {address: expiry(exposure, now) for address, exposure in record.exposures.items()}
    return {address: end for address, end in ends.items() if end}


def _member_report(
    record: PoolRecord,
    track: Track,
    selection: Selection,
    now: float,
    answers: int,
    plan: Plan | None,
    ahead: float,
) -> MemberReport:
    name = track.member.name
    why = selection.whys[name]
    exposure = record.exposures.get(track.member.address, NEVER)
    safe = None if why.handed_out else safe_after(exposure, now - ahead)
    return MemberReport(
        member=track.member,
        standing=track.standing,
        since=track.since or now,
        override=track.override,
        why=why,
        share=1 / len(selection.members) if why.handed_out else 0.0,
        answers=answers,
        probed_at=track.probed_at,
        last_probe=track.last_probe,
        recent=tuple(track.recent),
        seen=track.seen,
        drift=tuple(drift for drift in record.drift if drift.member == name),
        safe_after=None if safe is None else safe + ahead,
        plan=plan,
        decided=track.decided,
    )
