"""Take up after a start what was known and ordered before, as far as it can be read.

A store that cannot be read must not bring a drained server back into the answers: who was
out of the last answers though it was up is taken for drained, and that is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from rrdns.config import Settings
from rrdns.core.model import Order, Override
from rrdns.core.snapshot import Rota
from rrdns.errors import StoreFailed
from rrdns.service.clocks import Clocks
from rrdns.service.herald import OURSELVES, STORE_FAILED, Herald
from rrdns.service.publication import Publication
from rrdns.service.roster import Roster, Track
from rrdns.store.base import MemoryStore, Store
from rrdns.store.lastgood import LastGood, Remembered
from rrdns.store.sqlite import SqliteStore

RETRY_EVERY = 5.0
PRUNE_EVERY = 3600.0
VERIFY_INTERVAL = 2.0  # seconds between two looks at whether the files are still there
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
            await self.take_up_orders()
        except StoreFailed as error:
            self._herald.alarm(STORE_FAILED, str(error))
            await self._rescue_drains(remembered, "the store cannot be read")
        self._recall_answers(remembered)
        return remembered.snapshot.serial if remembered is not None else 0

    async def take_up_orders(self) -> None:
        """Put the orders in the store in force, for the members that there are.

        Raises:
            StoreFailed: they cannot be read.
        """
        if not self._is_open:
            return
        for override in await self._store.overrides():
            if self._roster.has(override.pool, override.member):
                self._roster.put(override.by_clock(self._clock.ahead(), self._clock.boot))
        for plan in await self._store.plans():
            if self._roster.has(*plan.key):
                self._roster.put_plan(plan)

    async def mind(self, publication: Publication, audit_seconds: Callable[[], float]) -> None:
        """Open a store that could not be opened, make anew what was taken away, prune the trail."""
        prune_at = self._clock.steady() + PRUNE_EVERY
        while True:
            await asyncio.sleep(VERIFY_INTERVAL if self._is_open else RETRY_EVERY)
            try:
                if not self._is_open:
                    await self._reopen(publication)
                    continue
                await self._store.verify()
                self._herald.calm(STORE_FAILED)
                if self._clock.steady() >= prune_at:
                    prune_at = self._clock.steady() + PRUNE_EVERY
                    # A clock that is set a year ahead must not take the whole trail with it.
                    await self._store.prune(self._clock.earliest() - audit_seconds())
            except StoreFailed as error:
                self._herald.alarm(STORE_FAILED, str(error))
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
        await self.take_up_orders()
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
        drain = Override(pool, member, Order.DRAIN, OURSELVES, self._clock(), reason)
        entry = self._herald.entry("drain", pool=pool, member=member, reason=reason)
        self._roster.put(drain)
        if self._is_open:
            await self._store.give(drain, entry)
        self._herald.tell(entry, bad=True, kept=self._is_open)


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


def last_good_path(settings: Settings) -> Path | None:
    """Return where the last good snapshot is kept, beside the store."""
    if settings.store.backend == "memory":
        return None
    return settings.store.path.with_suffix(".last-good.db")


def outbox_path(settings: Settings) -> Path | None:
    """Return where events are kept that webhooks have yet to tell, beside the store."""
    if settings.store.backend == "memory":
        return None
    return settings.store.path.with_suffix(".webhooks.json")
