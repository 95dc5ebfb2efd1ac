"""The control process: it probes, decides, remembers, publishes, and takes orders.

This module only puts the parts together and keeps their order at start and stop; what
each does is its own affair.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rrdns.config import Settings, describe_changes, parse, restart_needed
from rrdns.core.health import Standing
from rrdns.core.model import Order, Override
from rrdns.core.probe import Depth, ProbeResult
from rrdns.errors import ConfigInvalid, StoreFailed
from rrdns.net.prober import probe
from rrdns.service.checker import Checker, Probe
from rrdns.service.desk import Desk
from rrdns.service.herald import STORE_FAILED, Herald
from rrdns.service.lifeline import Beat
from rrdns.service.logs import get_log
from rrdns.service.publication import Publication
from rrdns.service.publisher import Publisher
from rrdns.service.roster import Roster
from rrdns.store.base import MemoryStore, Store
from rrdns.store.lastgood import LastGood, Remembered
from rrdns.store.sqlite import SqliteStore
from rrdns.web.api import make_app
from rrdns.web.auth import Gate
from rrdns.web.metrics import ProbeStats
from rrdns.web.server import ApiServer

BEAT_EVERY = 0.5
STORE_RETRY_EVERY = 5.0
PRUNE_EVERY = 3600.0
STORE_DAMAGED = "store-damaged"
LAST_GOOD_LOST = "snapshot-lost"


@dataclass(slots=True)
class AppliedConfig:
    """The text of the config that is in force, kept outside the process.

    A control process that is started again takes up what was applied, not what somebody
    may be half through editing.
    """

    fd: int

    def keep(self, text: str) -> None:
        """Keep the text in place of the one before."""
        data = text.encode()
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, data, 0)

    def text(self) -> str:
        """Return the text; empty when none was applied."""
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0).decode()


@dataclass(frozen=True, slots=True)
class ControlPlan:
    """All that the control process is given at its start."""

    settings: Settings
    path: Path  # of the config, for SIGHUP
    applied: AppliedConfig
    feed: socket.socket  # listening
    api: socket.socket  # listening
    workers: int
    restarted: bool  # it was running a moment ago


class Control:
    """The parts of the control process."""

    def __init__(
        self, plan: ControlPlan, *, prober: Probe = probe, clock: Callable[[], float] = time.time
    ) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._clock = clock
        self._store = make_store(plan.settings)
        self._last_good = make_last_good(plan.settings)
        self._roster = Roster()
        self._herald = Herald(self._store, clock)
        self._publisher = Publisher(plan.workers, self._workers_changed)
        self._publication = Publication(
            self._roster, self._publisher, self._herald, self._last_good, clock
        )
        self.desk = Desk(
            self._roster, self._store, self._publication, self._publisher, self._herald, clock
        )
        self._stats = ProbeStats()
        self._checker = Checker(prober, self._told)
        self._gate = Gate(plan.settings.api.tokens)
        self._api = ApiServer(make_app(self.desk, self._gate, self._stats), plan.api)
        self._store_is_open = False
        self._beat: Beat | None = None
        self._announced = False
        self._log = get_log(part="control")

    async def run(self, beat: Beat, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set."""
        self._beat = beat
        await self._start()
        duties = [
            self._keep_beating(beat),
            self._herald.keep_audit(),
            self._publication.keep_on_disk(),
            self._end_orders(),
            self._mind_store(),
        ]
        tasks = [asyncio.create_task(self._never_ending(duty)) for duty in duties]
        try:
            await stopping.wait()
        finally:
            await self._stop(tasks)

    async def reload(self) -> None:
        """Read the config again; one with mistakes changes nothing."""
        try:
            text = await asyncio.to_thread(self._plan.path.read_text, "utf-8")
            settings = parse(text, str(self._plan.path))
        except (OSError, UnicodeDecodeError) as error:
            self._reload_failed([str(error)])
        except ConfigInvalid as error:
            self._reload_failed([str(mistake) for mistake in error.mistakes])
        else:
            await self._apply(settings)
            self._plan.applied.keep(text)

    def _reload_failed(self, mistakes: list[str]) -> None:
        for mistake in mistakes:
            self._log.error("config mistake", mistake=mistake)
        entry = self._herald.entry(
            "reload-failed",
            reason=f"{len(mistakes)} mistakes, the config in force stays: {'; '.join(mistakes)}",
        )
        self._herald.tell(entry, bad=True)

    async def _apply(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        gone = self._roster.configure(settings.pools, self._clock())
        await self._take_up_orders()
        self._checker.configure(settings.pools)
        self._gate.replace_tokens(settings.api.tokens)
        if settings.zones != before.zones:
            self._publication.publish_all(settings.zones, self._publisher.snapshot.serial + 1)
        else:
            for name in self._roster.names():
                self._publication.mark(name)
            self._publication.flush(gone)
        for name in gone:
            self._herald.calm_pool(name)
        changes = describe_changes(before, settings)
        entry = self._herald.entry("reload", after="; ".join(changes) or "no change")
        self._herald.tell(entry)
        for place in restart_needed(before, settings):
            self._log.warning("a restart is needed", place=place)

    async def _start(self) -> None:
        self._roster.configure(self._settings.pools, self._clock())
        remembered = self._recall()
        serial = 0
        if remembered is not None:
            self._roster.remember(remembered.standings, settled=self._plan.restarted)
            serial = remembered.snapshot.serial
        await self._open_store(remembered)
        self._publication.publish_all(self._settings.zones, serial + 1)
        await self._publisher.start(self._plan.feed)
        await self._api.start()
        self._checker.configure(self._settings.pools)
        self._herald.tell(
            self._herald.entry(
                "start",
                reason="restarted" if self._plan.restarted else "",
                details={"api": str(self._settings.api.listen), "config": self._settings.source},
            )
        )

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        await self._checker.stop()
        await self._api.stop()
        self._herald.tell(self._herald.entry("stop"))
        await self._herald.flush()
        try:
            await asyncio.wait_for(self._publication.on_disk(), 1.0)
        except TimeoutError:
            self._log.warning("the disk is slow: the last snapshot may not be kept")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._publisher.stop()
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

    async def _open_store(self, remembered: Remembered | None) -> None:
        try:
            damage = await self._store.open()
            self._store_is_open = True
            if damage:
                self._herald.alarm(STORE_DAMAGED, damage)
                await self._rescue_drains(remembered, "the store was damaged")
            await self._take_up_orders()
        except StoreFailed as error:
            self._herald.alarm(STORE_FAILED, str(error))
            await self._rescue_drains(remembered, "the store cannot be read")

    async def _take_up_orders(self) -> None:
        """Put the orders in the store in force, for the members that there are."""
        if not self._store_is_open:
            return
        for override in await self._store.overrides():
            pool = override.pool if override.pool in self._roster else None
            if pool and override.member in self._roster.record(pool).tracks:
                self._roster.put(override)

    async def _rescue_drains(self, remembered: Remembered | None, because: str) -> None:
        """Keep out who was out of the last answers though up: an order that is lost to us."""
        if remembered is None:
            return
        for pool, rota in remembered.snapshot.rotas.items():
            members = self._roster.record(pool).tracks if pool in self._roster else {}
            for name, track in members.items():
                was_up = remembered.standings.get(pool, {}).get(name, False)
                if was_up and track.member.address not in rota.addresses and rota.addresses:
                    await self._rescue(pool, name, because)

    async def _rescue(self, pool: str, member: str, because: str) -> None:
        reason = f"{because}; it was out of the last answers though it was up"
        drain = Override(pool, member, Order.DRAIN, "rrdns", self._clock(), reason)
        self._roster.put(drain)
        entry = self._herald.entry("drain", pool=pool, member=member, reason=reason)
        if self._store_is_open:
            await self._store.give(drain, entry)
        self._herald.tell(entry, bad=True, kept=self._store_is_open)

    def _told(self, pool: str, member: str, result: ProbeResult) -> Standing:
        """Take in a probe's result; return the member's standing after it."""
        self._stats.observe(pool, member, result)
        track = self._roster.track(pool, member)
        before = track.standing
        warned = set(track.last_probe.warnings) if track.last_probe else set()
        if self._roster.observe(pool, member, result, self._clock()):
            self._herald.tell(
                self._herald.entry(
                    "standing",
                    pool=pool,
                    member=member,
                    before=_word(before),
                    after=_word(track.standing),
                    reason=result.sentence,
                ),
                bad=not track.standing.up,
            )
            self._publication.mark(pool)
        if result.depth is Depth.FULL and result.passed:
            self._note_content(pool, member, [w for w in result.warnings if w not in warned])
        return track.standing

    def _note_content(self, pool: str, member: str, warnings: list[str]) -> None:
        for warning in warnings:
            entry = self._herald.entry("warning", pool=pool, member=member, reason=warning)
            self._herald.tell(entry, bad=True)
        for drift in self._roster.compare(pool):
            entry = self._herald.entry(
                "drift", pool=pool, member=drift.member, reason=drift.sentence
            )
            self._herald.tell(entry, bad=True)

    def _workers_changed(self) -> None:
        if self._publisher.connected() and not self._announced and self._beat is not None:
            self._announced = True
            self._beat.ready()

    async def _keep_beating(self, beat: Beat) -> None:
        while True:
            beat.alive()
            await asyncio.sleep(BEAT_EVERY)

    async def _end_orders(self) -> None:
        """End each order when its time has come."""
        while True:
            self.desk.orders_changed.clear()
            end = self._roster.next_expiry()
            wait = None if end is None else max(0.0, end - self._clock())
            try:
                await asyncio.wait_for(self.desk.orders_changed.wait(), wait)
            except TimeoutError:
                await self._expire()

    async def _expire(self) -> None:
        try:
            await self.desk.expire()
        except StoreFailed:  # the alarm is raised; the member stays out until it can be kept
            await asyncio.sleep(STORE_RETRY_EVERY)

    async def _mind_store(self) -> None:
        """Open a store that could not be opened, and let old audit entries go."""
        while True:
            if self._store_is_open:
                await asyncio.sleep(PRUNE_EVERY)
                await self._prune()
            else:
                await asyncio.sleep(STORE_RETRY_EVERY)
                await self._reopen_store()

    async def _prune(self) -> None:
        keep = self._settings.store.audit_days * 86400
        try:
            await self._store.prune(self._clock() - keep)
        except StoreFailed as error:
            self._herald.alarm(STORE_FAILED, str(error))

    async def _reopen_store(self) -> None:
        try:
            await self._store.open()
        except StoreFailed:
            return
        self._store_is_open = True
        self._herald.calm(STORE_FAILED)
        await self._take_up_orders()
        for name in self._roster.names():
            self._publication.mark(name)

    async def _never_ending(self, duty: Coroutine[Any, Any, None]) -> None:
        """Run a duty that must not end; a defect in one ends the process, and a new one comes."""
        try:
            await duty
        except Exception:  # noqa: BLE001 - logged, and the end of the process
            self._log.critical("a duty of the control process broke", exc_info=True)
            os._exit(1)


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


def main(plan: ControlPlan, beat: Beat, lifeline: int) -> None:
    """Be the control process until SIGTERM, or until the supervisor is gone."""
    asyncio.run(_main(plan, beat, lifeline))


async def _main(plan: ControlPlan, beat: Beat, lifeline: int) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    control = Control(_as_applied(plan))
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(control.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_reader(lifeline, stopping.set)
    await control.run(beat, stopping)


def _as_applied(plan: ControlPlan) -> ControlPlan:
    """Return the plan with the config that was in force last, if that is another one."""
    text = plan.applied.text()
    if not text:
        return plan
    settings = parse(text, str(plan.path))
    return replace(plan, settings=settings)


def _word(standing: Standing) -> str:
    if not standing.settled:
        return "unknown"
    return "up" if standing.up else "down"


def anonymous_file() -> int:
    """Return the descriptor of an empty file that has no name and dies with its users."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rrdns-config")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
