"""A farm in memory, which the API is tried against: real values, no sockets, no probes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rrdns.core.events import Event
from rrdns.core.health.drift import Drift
from rrdns.core.health.eligibility import select
from rrdns.core.health.probe_result import LoadedFile, ProbeDepth, ProbeResult, Verdict
from rrdns.core.health.standing import Standing
from rrdns.core.model import BootFile, Member, Override, Pool, ProbeSpec, ScheduledOverride
from rrdns.core.orders.guard import check_guard
from rrdns.core.orders.request import OrderRequest, Target, is_active_already, select_members
from rrdns.core.orders.version import member_version, pool_version
from rrdns.core.status import (
    Alarm,
    ExporterStatus,
    MemberStatus,
    PoolStatus,
    ServiceStatus,
    WebhookStatus,
    WorkerStatus,
)
from rrdns.errors import StoreFailed, TooFewMembers, UnknownMember, UnknownPool, VersionMismatch
from rrdns.store.base import MemoryStore
from rrdns.web.api.admin_service import MemberOrderResult, OrderResult
from rrdns.web.event_buffer import EventBuffer

NOW = 1_770_000_000.0  # 2026-02-02T02:40:00Z
SEEN = (LoadedFile("ARDBP32.BIN", 10_240, "ab" * 32, "7.15.0.11"),)


def pool(name: str = "boot", members: int = 3) -> Pool:
    """Return a pool with that many members, pvs-1 and so on."""
    return Pool(
        name=name,
        hostname=f"{name}.pvs.example.test",
        members=tuple(
            Member(f"pvs-{number}", f"10.0.0.{10 + number}", tags=("rack-1",))
            for number in range(1, members + 1)
        ),
        probe=ProbeSpec(files=(BootFile("ARDBP32.BIN"),)),
    )


def happened(action: str, at: float = NOW, **fields: Any) -> Event:
    """Return an event."""
    return Event(at, "anna", action, **fields)


class FakeAdminService:
    """Carries orders out at once and keeps them in memory; it fulfils `web.farm.Farm`."""

    def __init__(self, *pools: Pool) -> None:
        self.now = NOW
        self.store = MemoryStore()
        self.store_is_broken = False
        self.events = EventBuffer(size=8, first_id=100, clock=lambda: self.now)
        self.alarms: tuple[Alarm, ...] = ()
        self.workers: tuple[WorkerStatus, ...] = (
            WorkerStatus(0, True, 7, 0),
            WorkerStatus(1, True, 7, 2),
        )
        self.standings: dict[tuple[str, str], Standing] = {}
        self.orders: dict[tuple[str, str], Override] = {}
        self.plans: dict[Target, ScheduledOverride] = {}
        self.answers = 0
        self.unprobed: set[str] = set()
        self.reload_failed = False
        self._pools = {one.name: one for one in (pools or (pool(),))}

    def pools(self) -> tuple[PoolStatus, ...]:
        """Report on all pools."""
        return tuple(self.pool(name) for name in self._pools)

    def pool(self, name: str) -> PoolStatus:
        """Report on one pool."""
        found = self._find(name)
        selection = select(found, self._standings(name), self._orders(name))
        return PoolStatus(
            pool=found,
            members=tuple(self._member(found, member) for member in found.members),
            everything_down=selection.everything_down,
            detection=4.4,
            worst_case=9.5,
            queries=12,
        )

    def service(self) -> ServiceStatus:
        """Report on the service."""
        return ServiceStatus(
            version="1.2.3",
            started_at=NOW - 60,
            ready=all(worker.connected for worker in self.workers),
            alarms=self.alarms,
            serial=7,
            published_at=NOW - 5,
            workers=self.workers,
            counts={("a", "NOERROR"): 12, ("aaaa", "NOERROR"): 3, ("other", "REFUSED"): 1},
            unanswered=3,
            dropped_lines={"supervisor": 0, "control": 17},
            configured_at=NOW - 60,
            reload_failed=self.reload_failed,
            webhooks=(
                WebhookStatus("chat", "https://chat.example/", ("drift",), (), last_success=NOW),
                WebhookStatus(
                    "tickets",
                    "https://tickets.example/",
                    ("standing",),
                    ("boot",),
                    failing=True,
                    waiting=7,
                    dropped=2,
                    last_error="refused",
                ),
            ),
            exporters=(
                ExporterStatus(
                    "kea", "kea", ("boot",), False, False, last_success=NOW, delivered=3
                ),
                ExporterStatus("ipam", "webhook", ("boot",), True, True, last_error="refused"),
            ),
        )

    async def execute(self, command: OrderRequest) -> OrderResult:
        """Carry out a command."""
        if command.selector is not None:
            found = select_members(self._pools.values(), command.selector)
            command = replace(command, targets=found)
        for pool_name, member in command.targets:
            self._find(pool_name, member)
            self._check_version(pool_name, member, command.expected_versions)
        changed = self._changed(command)
        refused = self._refusal(command)
        if command.dry_run:
            return self._done(command, changed, refused)
        later = command.at is not None and command.at > self.now
        if refused is not None and not command.force and not later:
            raise refused
        if changed:
            self._check_store("keep the order")
            await self._keep(command, changed, later=later)
        return self._done(command, changed, refused if later else None)

    async def _keep(self, command: OrderRequest, changed: list[Target], *, later: bool) -> None:
        action = command.order.value if command.order else "resume"
        for pool, member in changed:
            self.plans.pop((pool, member), None)
            if command.order is None:
                self.orders.pop((pool, member), None)
        for one in command.overrides(self.now):
            if (one.pool, one.member) in changed and later:
                self.plans[one.pool, one.member] = ScheduledOverride(
                    one, self.now, command.force, "c0ffee"
                )
            elif (one.pool, one.member) in changed:
                self.orders[one.pool, one.member] = one
        for pool, member in changed:
            entry = Event(self.now, command.by, action, pool, member, command.reason)
            await self.store.append_audit([entry])
            self.events.append(happened("order", self.now, pool=pool, member=member))

    def _changed(self, command: OrderRequest) -> list[Target]:
        if command.order is None:
            return [one for one in command.targets if one in self.orders or one in self.plans]
        return [
            (one.pool, one.member)
            for one in command.overrides(self.now)
            if (before := self.orders.get((one.pool, one.member))) is None
            or not is_active_already(before, one)
        ]

    def _refusal(self, command: OrderRequest) -> TooFewMembers | None:
        wanted = command.overrides(self.now)
        for pool in dict.fromkeys(one.pool for one in wanted):
            orders = [one for one in wanted if one.pool == pool]
            found = self._find(pool)
            now = select(found, self._standings(pool), self._orders(pool))
            after = {**self._orders(pool), **{one.member: one for one in orders}}
            then = select(found, self._standings(pool), after)
            refused = check_guard(found, now, then, [one.member for one in orders])
            if refused is not None:
                return refused
        return None

    async def audit(
        self, limit: int, before_id: int | None, pool: str | None, member: str | None
    ) -> tuple[Event, ...]:
        """Return audit entries."""
        self._check_store("read the audit trail")
        return await self.store.audit(limit, before_id, pool, member)

    def fall(self, pool: str, *members: str) -> None:
        """Let members be down."""
        for member in members:
            self.standings[pool, member] = Standing(up=False)

    def _find(self, pool: str, member: str | None = None) -> Pool:
        found = self._pools.get(pool)
        if found is None:
            raise UnknownPool(pool)
        if member is not None and found.member(member) is None:
            raise UnknownMember(member, pool)
        return found

    def _check_version(self, name: str, member: str, expected: frozenset[str] | None) -> None:
        if expected is None:
            return
        versions = {
            each.member.name: member_version(each.member, each.why, each.override, each.plan)
            for each in self.pool(name).members
        }
        if not expected & {versions[member], pool_version(versions.values())}:
            raise VersionMismatch(versions[member])

    def _check_store(self, doing: str) -> None:
        if self.store_is_broken:
            raise StoreFailed("/var/lib/rrdns/rrdns.db", doing, "the disk is full")

    def _standings(self, pool: str) -> dict[str, Standing]:
        names = [member.name for member in self._pools[pool].members]
        return {name: self.standings.get((pool, name), Standing(up=True)) for name in names}

    def _orders(self, pool: str) -> dict[str, Override]:
        return {member: order for (of, member), order in self.orders.items() if of == pool}

    def _done(
        self, command: OrderRequest, changed: list[Target], refused: TooFewMembers | None
    ) -> OrderResult:
        members = tuple(
            self._one_done(pool, member, changed=(pool, member) in changed)
            for pool, member in command.targets
        )
        left = {
            one.pool: tuple(
                report.member.name
                for report in self.pool(one.pool).members
                if report.why.in_rotation
                and not (command.dry_run and (one.pool, report.member.name) in changed)
            )
            for one in members
        }
        identity = "c0ffee" if changed and not command.dry_run else ""
        return OrderResult(identity, members, refused, left, command.dry_run)

    def _one_done(self, pool: str, member: str, *, changed: bool) -> MemberOrderResult:
        report = next(one for one in self.pool(pool).members if one.member.name == member)
        return MemberOrderResult(pool, report, self.now + 5, changed)

    def _member(self, pool: Pool, member: Member) -> MemberStatus:
        standings, orders = self._standings(pool.name), self._orders(pool.name)
        why = select(pool, standings, orders).reasons[member.name]
        up = standings[member.name].up
        verdict = Verdict.OK if up else Verdict.TIMEOUT
        sentence = "it serves ARDBP32.BIN" if up else "no answer within 1 s"
        probed = ProbeResult(verdict, sentence, ProbeDepth.FULL, 0.012, SEEN if up else ())
        drifts = (Drift(member.name, "ARDBP32.BIN", "pvs-3 serves another ARDBP32.BIN"),)
        return MemberStatus(
            member=member,
            standing=standings[member.name],
            since=NOW - 30,
            override=orders.get(member.name),
            why=why,
            share=1 / 3 if why.in_rotation else 0.0,
            answers=self.answers,
            probed_at=None if member.name in self.unprobed else NOW - 1,
            last_probe=None if member.name in self.unprobed else probed,
            recent=tuple((NOW - 3 + step, 0.01 * step, up) for step in range(3)),
            seen=SEEN,
            drift=drifts if member.name == "pvs-3" else (),
            safe_after=None if why.in_rotation else self.now + 5,
            plan=self.plans.get((pool.name, member.name)),
        )
