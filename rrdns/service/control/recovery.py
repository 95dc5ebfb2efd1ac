"""Take up after a start what was known and ordered before, as far as it can be read.

A store that cannot be read must not bring a drained server back into the answers: who was
out of the last answers though it was up is taken for drained, and that is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rrdns.config import Settings
from rrdns.core.model import Order, Override
from rrdns.core.snapshot import Rota
from rrdns.errors import StoreFailed
from rrdns.service.control.orphaned_orders import tell_reassigned
from rrdns.service.events.recorder import OURSELVES, STORE_FAILED, Herald
from rrdns.service.health.pool_states import Roster, Track
from rrdns.service.publish.snapshot_publisher import Publication
from rrdns.service.runtime.clocks import Clocks
from rrdns.service.runtime.state_files import last_good_path
from rrdns.store.base import Batch, MemoryStore, Store
from rrdns.store.last_snapshot import LastGood, Remembered
from rrdns.store.sqlite import SqliteStore

RETRY_EVERY = 5.0
PRUNE_EVERY = 3600.0
# Seconds between two looks at whether the files are still there: who kills rrdns sooner after they
# are taken away, with no order in between, has the orders only in what was taken away.
VERIFY_INTERVAL = 0.1
VERIFY_AFTER_FAILURE = 2.0  # seconds; a disk that is full is not written to ten times a second
STORE_DAMAGED = "store-damaged"
LAST_GOOD_LOST = "snapshot-lost"


class Memory:
    """The store and the last good snapshot, as the control process uses them."""

    def __init__(
        self,
        store: Store,
        last_good: LastGood | None,
        roster: Roster,
        herald: Herald,
        clock: Clocks,
    ) -> None:
        self._store = store
        self._last_good = last_good
        self._roster = roster
        self._herald = herald
        self._clock = clock
        self._is_open = False
        self._is_behind = False  # the store has orders under other names than are in force
        store.on_renewed = self._tell_renewed

    def _tell_renewed(self, sentence: str) -> None:
        self._herald.tell(self._herald.entry("store-renewed", reason=sentence), bad=True)

    async def take_up(self, *, settled: bool) -> int:
        """Restore standings and orders; return the serial of the last publication.

        `settled`: we were running a moment ago, so that the standings still hold.
        """
        remembered = self._recall()
        if remembered is not None:
            self._roster.remember(remembered.standings, settled=settled)
        try:
            damage = await self._store.open()
            self._is_open = True
            if damage:
                self._herald.alarm(STORE_DAMAGED, damage)
                await self._rescue_drains(remembered, "the store was damaged")
            await self._take_up_orders()
        except StoreFailed as error:
            self._herald.alarm(STORE_FAILED, str(error))
            await self._rescue_drains(remembered, "the store cannot be read")
        self._recall_answers(remembered)
        return remembered.snapshot.serial if remembered is not None else 0

    async def _take_up_orders(self) -> None:
        """Put the orders in the store in force, each for the server that it was given for.

        Raises:
            StoreFailed: they cannot be read.
        """
        ahead, boot = self._clock.ahead(), self._clock.boot
        overrides = await self._store.overrides()
        plans = await self._store.plans()
        self._roster.take_up((one.by_clock(ahead, boot) for one in overrides), plans)
        tell_reassigned(self._roster, self._herald, frozenset())
        await self.keep_reassigned()

    async def keep_reassigned(self) -> None:
        """Have the store know each order by the names and the server that it is for now.

        What cannot be kept now is tried again: until then a start finds each order by its former
        name, and so does for it what was done here.
        """
        if not self._is_open:
            return
        self._is_behind = True
        try:
            orders = {(one.pool, one.member): one for one in await self._store.overrides()}
            plans = {plan.key: plan for plan in await self._store.plans()}
            now_orders, now_plans = self._roster.orders(), self._roster.all_plans()
            batch = Batch(
                given=tuple(
                    one for key, one in now_orders.items() if _differs(orders.get(key), one)
                ),
                lifted=tuple(orders.keys() - now_orders.keys()),
                planned=tuple(
                    plan
                    for key, plan in now_plans.items()
                    if key not in plans or _differs(plans[key].override, plan.override)
                ),
                cancelled=tuple(plans.keys() - now_plans.keys()),
            )
            if batch != Batch():
                await self._store.commit(batch)
            self._is_behind = False
        except StoreFailed as error:
            self._herald.alarm(STORE_FAILED, str(error))

    async def mind(
        self,
        publication: Publication,
        audit_seconds: Callable[[], float],
        one_at_a_time: asyncio.Lock,
    ) -> None:
        """Open a store that could not be opened, make anew what was taken away, prune the trail.

        `one_at_a_time`: while it is held, nobody gives an order.
        """
        prune_at = self._clock.steady() + PRUNE_EVERY
        has_failed = False  # by the last look; its alarm is shown until the next one
        while True:
            wait = VERIFY_AFTER_FAILURE if has_failed else VERIFY_INTERVAL
            await asyncio.sleep(wait if self._is_open else RETRY_EVERY)
            try:
                if not self._is_open:
                    async with one_at_a_time:
                        await self._reopen(publication)
                    continue
                await self._store.verify()
                if has_failed:
                    self._herald.calm(STORE_FAILED)
                if self._is_behind:
                    async with one_at_a_time:
                        await self.keep_reassigned()
                if self._clock.steady() >= prune_at:
                    prune_at = self._clock.steady() + PRUNE_EVERY
                    # A clock that is set a year ahead must not take the whole trail with it.
                    await self._store.prune(self._clock.earliest() - audit_seconds())
            except StoreFailed as error:
                self._herald.alarm(STORE_FAILED, str(error))
            # Orders and the audit trail that could not be written raise the alarm too.
            has_failed = any(alarm.name == STORE_FAILED for alarm in self._herald.alarms())
            await publication.verify_disk()

    async def close(self) -> None:
        """Let go of the files."""
        await self._store.close()
        if self._last_good is not None:
            await self._last_good.close()

    def _recall(self) -> Remembered | None:
        if self._last_good is None:
            return None
        try:
            return self._last_good.load()
        except StoreFailed as error:
            self._herald.alarm(LAST_GOOD_LOST, f"{error}; the first probes will tell")
            return None

    def _recall_answers(self, remembered: Remembered | None) -> None:
        """Take it that all answers which may have been given were given until now."""
        for record in self._roster:
            pool = record.pool
            rota = remembered.snapshot.rotas.get(pool.name) if remembered else None
            fading = remembered.fading.get(pool.name, {}) if remembered else {}
            ttl = max(pool.ttl, rota.ttl if rota else 0)
            known = {
                track.member.address: (
                    None if _was_out(track, rota, remembered) else ttl,
                    fading.get(track.member.address, remembered.last_seen if remembered else 0.0),
                )
                for track in record.tracks.values()
            }
            self._roster.exposed(pool.name, known)

    async def _reopen(self, publication: Publication) -> None:
        damage = await self._store.open()
        self._is_open = True
        self._herald.calm(STORE_FAILED)
        if damage:
            self._herald.alarm(STORE_DAMAGED, damage)
        await self._take_up_orders()
        for name in self._roster.names():
            publication.mark(name)

    async def _rescue_drains(self, remembered: Remembered | None, because: str) -> None:
        if remembered is None:
            return
        for pool, rota in remembered.snapshot.rotas.items():
            for member, up in remembered.standings.get(pool, {}).items():
                if up and rota.addresses and self._roster.has(pool, member):
                    track = self._roster.track(pool, member)
                    if track.member.address not in rota.addresses and not track.member.backup:
                        await self._rescue(pool, member, because)

    async def _rescue(self, pool: str, member: str, because: str) -> None:
        reason = f"{because}; it was out of the last answers though it was up"
        drain = self._roster.assigned(
            Override(pool, member, Order.DRAIN, OURSELVES, self._clock(), reason)
        )
        entry = self._herald.entry("drain", pool=pool, member=member, reason=reason)
        self._roster.put(drain)
        if self._is_open:
            await self._store.give(drain, entry)
        self._herald.tell(entry, bad=True, kept=self._is_open)


def _differs(kept: Override | None, now: Override) -> bool:
    """Tell whether the store has no such order, or has it for another server."""
    return kept is None or (kept.address, kept.hostname) != (now.address, now.hostname)


def _was_out(track: Track, rota: Rota | None, remembered: Remembered | None) -> bool:
    """Tell whether a member was surely out of all answers when we ended.

    What was saved may lag behind what was answered; an order that was in force when it was
    saved, and still is, cannot have been lifted in between.
    """
    if rota is None or remembered is None or track.override is None:
        return False
    was_ordered = track.override.since < remembered.saved_at
    return was_ordered and track.member.address not in rota.addresses


def make_store(settings: Settings) -> Store:
    """Return the store that the config asks for."""
    if settings.store.backend == "memory":
        return MemoryStore()
    return SqliteStore(settings.store.path)


def make_last_good(settings: Settings) -> LastGood | None:
    """Return the keeper of the last good snapshot; None when nothing is to be kept on disk."""
    path = last_good_path(settings)
    return LastGood(path) if path is not None else None
