"""Take up after a start what was known and ordered before, as far as it can be read.

A store that cannot be read must not bring a drained server back into the answers: who was
out of the last answers though it was up is taken for drained, and that is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rrdns.config import Settings
from rrdns.core.events import SYSTEM_ACTOR
from rrdns.core.model import OrderKind, Override
from rrdns.core.snapshot import PoolRRset, Snapshot
from rrdns.errors import StoreFailed
from rrdns.service.control.context import ControlContext
from rrdns.service.control.orphaned_orders import record_reassigned
from rrdns.service.events.recorder import STORE_FAILED
from rrdns.service.health.member_state import MemberState
from rrdns.service.health.saved_state import restore_cached, restore_standings
from rrdns.service.runtime.state_files import last_good_path
from rrdns.store.base import MemoryStore, OrderTransaction, Store
from rrdns.store.last_snapshot import SavedState, SnapshotFile
from rrdns.store.sqlite import SqliteStore

RETRY_INTERVAL = 5.0
PRUNE_INTERVAL = 3600.0
# Seconds between two looks at whether the files are still there: who kills rrdns sooner after they
# are taken away, with no order in between, has the orders only in what was taken away.
VERIFY_INTERVAL = 0.1
VERIFY_AFTER_FAILURE = 2.0  # seconds; a disk that is full is not written to ten times a second
STORE_DAMAGED = "store-damaged"
LAST_GOOD_LOST = "snapshot-lost"


class StateRecovery:
    """The store and the last good snapshot, as the control process uses them."""

    def __init__(self, context: ControlContext, snapshot_file: SnapshotFile | None) -> None:
        self._context = context
        self._store = context.store
        self._snapshot_file = snapshot_file
        self._states = context.states
        self._recorder = context.recorder
        self._clock = context.clock
        self._is_open = False
        self._is_behind = False  # the store has orders under other names than are in force
        context.store.on_renewed = self._record_renewed

    def _record_renewed(self, sentence: str) -> None:
        self._recorder.record(
            self._recorder.system_event("store-renewed", reason=sentence), bad=True
        )

    async def restore(self, *, settled: bool) -> Snapshot:
        """Restore standings and orders; return the last snapshot.

        `settled`: we were running a moment ago, so that the standings still hold.
        """
        remembered = self._restore_standings()
        if remembered is not None:
            restore_standings(self._states, remembered.standings, settled=settled)
        try:
            damage = await self._store.open()
            self._is_open = True
            if damage:
                self._recorder.raise_alarm(STORE_DAMAGED, damage)
                await self._infer_drains(remembered, "the store was damaged")
            await self._load_orders()
        except StoreFailed as error:
            self._recorder.raise_alarm(STORE_FAILED, str(error))
            await self._infer_drains(remembered, "the store cannot be read")
        self._restore_answers(remembered)
        return remembered.snapshot if remembered is not None else Snapshot()

    async def _load_orders(self) -> None:
        """Put the orders in the store in force, each for the server that it was given for.

        Raises:
            StoreFailed: they cannot be read.
        """
        ahead, boot = self._clock.ahead(), self._clock.boot
        overrides = await self._store.overrides()
        plans = await self._store.scheduled()
        self._states.restore_orders((one.ends_by_clock(ahead, boot) for one in overrides), plans)
        record_reassigned(self._states, self._recorder, frozenset())
        await self.save_reassigned()

    async def save_reassigned(self) -> None:
        """Have the store know each order by the names and the server that it is for now.

        What cannot be kept now is tried again: until then a start finds each order by its former
        name, and so does for it what was done here.
        """
        if not self._is_open:
            return
        self._is_behind = True
        try:
            orders = {(one.pool, one.member): one for one in await self._store.overrides()}
            plans = {plan.key: plan for plan in await self._store.scheduled()}
            now_orders, now_plans = self._states.orders(), self._states.scheduled()
            batch = OrderTransaction(
                set=tuple(one for key, one in now_orders.items() if _differs(orders.get(key), one)),
                removed=tuple(orders.keys() - now_orders.keys()),
                scheduled=tuple(
                    plan
                    for key, plan in now_plans.items()
                    if key not in plans or _differs(plans[key].override, plan.override)
                ),
                unscheduled=tuple(plans.keys() - now_plans.keys()),
            )
            if batch != OrderTransaction():
                await self._store.commit(batch)
            self._is_behind = False
        except StoreFailed as error:
            self._recorder.raise_alarm(STORE_FAILED, str(error))

    async def maintain_store(
        self, audit_seconds: Callable[[], float], order_lock: asyncio.Lock
    ) -> None:
        """Open a store that could not be opened, restore one that was taken away, prune the trail.

        `order_lock`: while it is held, no order is executed.
        """
        prune_at = self._clock.steady() + PRUNE_INTERVAL
        has_failed = False  # by the last look; its alarm is shown until the next one
        while True:
            wait = VERIFY_AFTER_FAILURE if has_failed else VERIFY_INTERVAL
            await asyncio.sleep(wait if self._is_open else RETRY_INTERVAL)
            try:
                if not self._is_open:
                    async with order_lock:
                        await self._reopen()
                    continue
                await self._store.verify()
                if has_failed:
                    self._recorder.clear_alarm(STORE_FAILED)
                if self._is_behind:
                    async with order_lock:
                        await self.save_reassigned()
                if self._clock.steady() >= prune_at:
                    prune_at = self._clock.steady() + PRUNE_INTERVAL
                    # A clock that is set a year ahead must not take the whole trail with it.
                    await self._store.prune(self._clock.earliest() - audit_seconds())
            except StoreFailed as error:
                self._recorder.raise_alarm(STORE_FAILED, str(error))
            # Orders and the audit trail that could not be written raise the alarm too.
            has_failed = any(alarm.name == STORE_FAILED for alarm in self._recorder.alarms())
            await self._context.saver.verify()

    async def close(self) -> None:
        """Let go of the files."""
        await self._store.close()
        if self._snapshot_file is not None:
            await self._snapshot_file.close()

    def _restore_standings(self) -> SavedState | None:
        if self._snapshot_file is None:
            return None
        try:
            return self._snapshot_file.load()
        except StoreFailed as error:
            self._recorder.raise_alarm(LAST_GOOD_LOST, f"{error}; the first probes will tell")
            return None

    def _restore_answers(self, remembered: SavedState | None) -> None:
        """Take it that all answers which may have been given were given until now."""
        for record in self._states:
            pool = record.pool
            rrset = remembered.snapshot.rrsets.get(pool.name) if remembered else None
            fading = remembered.expiring.get(pool.name, {}) if remembered else {}
            ttl = max(pool.ttl, rrset.ttl if rrset else 0)
            known = {
                member_state.member.address: (
                    None if _was_out(member_state, rrset, remembered) else ttl,
                    fading.get(
                        member_state.member.address, remembered.last_seen if remembered else 0.0
                    ),
                )
                for member_state in record.members.values()
            }
            restore_cached(self._states, pool.name, known)

    async def _reopen(self) -> None:
        damage = await self._store.open()
        self._is_open = True
        self._recorder.clear_alarm(STORE_FAILED)
        if damage:
            self._recorder.raise_alarm(STORE_DAMAGED, damage)
        await self._load_orders()
        for name in self._states.names():
            self._context.publisher.mark_changed(name)

    async def _infer_drains(self, remembered: SavedState | None, because: str) -> None:
        if remembered is None:
            return
        for pool, rrset in remembered.snapshot.rrsets.items():
            for member, up in remembered.standings.get(pool, {}).items():
                if up and rrset.addresses and self._states.has(pool, member):
                    member_state = self._states.state(pool, member)
                    if (
                        member_state.member.address not in rrset.addresses
                        and not member_state.member.backup
                    ):
                        await self._infer_drain(pool, member, because)

    async def _infer_drain(self, pool: str, member: str, because: str) -> None:
        reason = f"{because}; it was out of the last answers though it was up"
        drain = self._states.assigned(
            Override(pool, member, OrderKind.DRAIN, SYSTEM_ACTOR, self._clock(), reason)
        )
        event = self._recorder.system_event("drain", pool=pool, member=member, reason=reason)
        self._states.set_override(drain)
        if self._is_open:
            await self._store.commit(OrderTransaction(set=(drain,), entries=(event,)))
        self._recorder.record(event, bad=True, kept=self._is_open)


def _differs(kept: Override | None, now: Override) -> bool:
    """Tell whether the store has no such order, or has it for another server."""
    return kept is None or (kept.address, kept.hostname) != (now.address, now.hostname)


def _was_out(
    member_state: MemberState, rrset: PoolRRset | None, remembered: SavedState | None
) -> bool:
    """Tell whether a member was surely out of all answers when we ended.

    What was saved may lag behind what was answered; an order that was in force when it was
    saved, and still is, cannot have been lifted in between.
    """
    if rrset is None or remembered is None or member_state.override is None:
        return False
    was_ordered = member_state.override.since < remembered.saved_at
    return was_ordered and member_state.member.address not in rrset.addresses


def make_store(settings: Settings) -> Store:
    """Return the store that the config asks for."""
    if settings.store.backend == "memory":
        return MemoryStore()
    return SqliteStore(settings.store.path)


def make_snapshot_file(settings: Settings) -> SnapshotFile | None:
    """Return the keeper of the last good snapshot; None when nothing is to be kept on disk."""
    path = last_good_path(settings)
    return SnapshotFile(path) if path is not None else None
