"""The control process: it probes, decides, remembers, publishes, and takes orders.

This module only puts the parts together and keeps their order at start and stop; what
each does is its own affair.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rrdns.config import Settings, describe_changes, parse, restart_needed
from rrdns.errors import ConfigInvalid
from rrdns.export.disk_io import Disk
from rrdns.net.tftp_prober import LateAnswers, probe
from rrdns.service.control.admin_service import ControlAdminService
from rrdns.service.control.context import ControlContext
from rrdns.service.control.order_changes import OrderChanges
from rrdns.service.control.order_schedule import OrderSchedule
from rrdns.service.control.orders import OrderExecutor
from rrdns.service.control.orphaned_orders import record_reassigned
from rrdns.service.control.probe_results import ProbeResultHandler
from rrdns.service.control.recovery import (
    StateRecovery,
    make_snapshot_file,
    make_store,
)
from rrdns.service.events.integrations import Integrations
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.health.probe_scheduler import Probe, ProbeScheduler
from rrdns.service.publish.exporter_feed import ExporterFeed
from rrdns.service.publish.pool_alarms import PoolAlarms
from rrdns.service.publish.snapshot_publisher import SnapshotPublisher
from rrdns.service.publish.snapshot_saver import SnapshotSaver
from rrdns.service.publish.worker_feed import WorkerFeed
from rrdns.service.runtime.applied_config import AppliedConfig
from rrdns.service.runtime.clocks import Clocks
from rrdns.service.runtime.heartbeat import Heartbeat
from rrdns.service.runtime.log_setup import flush, get_log
from rrdns.service.runtime.served_zones import ServedZones
from rrdns.service.runtime.state_files import outbox_path
from rrdns.shm.counters import Counters
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.app import make_app
from rrdns.web.metrics import ProbeMetrics
from rrdns.web.transport.server import ApiServer
from rrdns.web.transport.tls import TlsConfigError, make_context

BEAT_INTERVAL = 0.5
FIRST_RESULT_GRACE = 0.5  # seconds for results that a busy host takes in behind their time-out
RESTART_NEEDED = "restart-needed"
API_CERTIFICATE = "api-certificate"
CERTIFICATE_TIMEOUT = 2.0  # seconds; its disk may hang, and the probes must not
MAX_CHANGES = 200  # told of one reload
DISK_TIMEOUT = 1.0  # seconds that a stop waits for the last snapshot to be written


@dataclass(frozen=True, slots=True)
class ControlParams:
    """All that the control process is given at its start."""

    settings: Settings
    path: Path  # of the config, for SIGHUP
    applied: AppliedConfig
    feed: socket.socket  # listening
    api: socket.socket  # listening
    counters: tuple[Counters, ...]  # where the workers count
    slots: AppliedConfig  # which counter is which pool's and member's
    restarted: bool  # it was running a moment ago
    dropped_lines: Callable[[], Mapping[str, int]] = dict  # of the log, by process
    served: ServedZones | None = None
    bound: Settings | None = None  # with which the sockets were bound; None: with `settings`


class Control:
    """The parts of the control process."""

    def __init__(
        self,
        plan: ControlParams,
        *,
        prober: Probe | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._bound = plan.bound or plan.settings
        self._clock = clocks = Clocks(clock)
        self._log = get_log()
        # Another store waits for a restart: it would know none of the orders in force.
        store, snapshot_file = make_store(self._bound), make_snapshot_file(self._bound)
        stats = ProbeMetrics()
        self._worker_feed = feed = WorkerFeed(
            plan.counters, self._workers_changed, kept_slots=plan.slots
        )
        self._states = states = PoolStates(feed.slots.of)
        self._recorder = recorder = EventRecorder(store, clocks)
        self._publisher = SnapshotPublisher(states, feed, clocks, stats.publications.observe)
        self._saver = SnapshotSaver(states, snapshot_file, recorder, clocks)
        self._integrations = Integrations(recorder, clocks, outbox_path(self._bound))
        self._publisher.subscribe(PoolAlarms(states, recorder).on_publication)
        self._publisher.subscribe(ExporterFeed(states, self._integrations.exporters).on_publication)
        if snapshot_file is not None:
            self._publisher.subscribe(self._saver.on_publication)
        context = ControlContext(
            states, store, self._publisher, self._saver, feed, recorder, clocks
        )
        self._recovery = StateRecovery(context, snapshot_file)
        self._probe_results = ProbeResultHandler(context, stats)
        self._late = LateAnswers()
        usual = functools.partial(probe, late=self._late)
        self._probe_scheduler = ProbeScheduler(prober or usual, self._probe_results.handle)
        self._order_changes = OrderChanges(context)
        orders = OrderExecutor(context, self._order_changes)
        self._schedule = OrderSchedule(context, self._order_changes)
        self._admin_service = ControlAdminService(
            context,
            orders,
            self._integrations.exporters.reports,
            self._integrations.webhooks.reports,
            plan.dropped_lines,
        )
        self._authenticator = TokenAuthenticator(plan.settings.api.tokens)
        self._api = ApiServer(make_app(self._admin_service, self._authenticator, stats), plan.api)
        self._api_is_open = False
        self._certificate_disk = Disk()
        self._heartbeat: Heartbeat | None = None
        self._reloading = asyncio.Lock()
        self._reload_waits = False

    async def run(self, heartbeat: Heartbeat, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set."""
        self._heartbeat = heartbeat
        await self._start()
        duties = [
            self._run_heartbeat(heartbeat),
            self._recorder.run_audit_writer(),
            self._saver.run(),
            self._integrations.webhooks.run_queue_saver(),
            self._schedule.run(),
            self._recovery.maintain_store(self._audit_seconds, self._order_changes.lock),
        ]
        tasks = [asyncio.create_task(self._never_ending(job)) for job in duties]
        try:
            await stopping.wait()
        finally:
            await self._stop(tasks)

    async def reload(self) -> None:
        """Read the config again; one with mistakes changes nothing.

        A second SIGHUP waits, and then reads what is there then: more of them ask for the same.
        """
        if self._reload_waits:
            return
        self._reload_waits = True
        async with self._reloading:
            self._reload_waits = False
            await self._reload()

    async def _reload(self) -> None:
        try:
            text, settings = await asyncio.to_thread(_read, self._plan.path)
        except (OSError, UnicodeDecodeError) as error:
            self._refuse([str(error)])
        except ConfigInvalid as error:
            self._refuse([str(mistake) for mistake in error.mistakes])
        else:
            await self._apply(settings)
            self._plan.applied.keep(text)

    def _refuse(self, mistakes: list[str]) -> None:
        for mistake in mistakes:
            self._log.error("config mistake", mistake=mistake)
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        reason = f"{count}: {'; '.join(mistakes)}"
        entry = self._recorder.system_event("reload-failed", reason=reason, after="as before")
        self._recorder.record(entry, bad=True)
        self._admin_service.reloaded(refused=True)

    async def _apply(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        async with self._order_changes.lock:  # one under way must find its members
            orphaned = frozenset((one.pool, one.member) for one in self._states.orphans())
            gone = self._states.configure(settings.pools, self._clock(), self._clock.ahead())
            self._worker_feed.assign_slots(settings.pools)
            followed = record_reassigned(self._states, self._recorder, orphaned)
            await self._recovery.save_reassigned()
        self._order_changes.changed.set()
        any_new = any(record.awaited() for record in self._states)
        self._await_first_results(self._probe_scheduler.configure(settings.pools, at_once=any_new))
        self._authenticator.replace_tokens(settings.api.tokens)
        await self._open_api()
        self._publish(settings, before, gone)
        self._integrations.configure(settings)
        self._admin_service.reloaded(refused=False)
        changes = (*followed, *describe_changes(before, settings))
        entry = self._recorder.system_event("reload", after=_told(changes))
        self._recorder.record(entry)
        self._tell_what_waits()

    def _tell_what_waits(self) -> None:
        """Raise an alarm for what the config asks and only a restart can do, until it is done."""
        places = restart_needed(self._bound, self._settings)
        if places:
            self._recorder.raise_alarm(
                RESTART_NEEDED,
                f"the config asks for another {', '.join(places)}, which waits for a restart of "
                "rrdns; until then all is served as before",
            )
        else:
            self._recorder.clear_alarm(RESTART_NEEDED)

    def _publish(self, settings: Settings, before: Settings, gone: tuple[str, ...]) -> None:
        for name in gone:
            self._recorder.clear_pool_alarms(name)
        if settings.zones != before.zones:
            if self._plan.served is not None:
                self._plan.served.replace(settings.zones)
            self._publisher.publish_all(settings.zones, self._worker_feed.snapshot.serial + 1)
            return
        for name in self._states.names():
            self._publisher.mark_changed(name)
        self._publisher.flush(gone)

    async def _start(self) -> None:
        self._states.configure(self._settings.pools, self._clock(), self._clock.ahead())
        before = await self._recovery.restore(settled=self._plan.restarted)
        self._worker_feed.slots.adopt(before)
        self._worker_feed.assign_slots(self._settings.pools, before.serial)
        any_new = any(record.awaited() for record in self._states)
        self._publisher.publish_first(
            self._settings.zones, before.serial + 1, all_pools=self._plan.restarted
        )
        await self._worker_feed.start(self._plan.feed)
        self._await_first_results(
            self._probe_scheduler.configure(self._settings.pools, at_once=any_new)
        )
        await self._open_api()
        self._integrations.configure(self._settings)
        self._tell_what_waits()
        details = {"api": str(self._bound.api.listen), "config": self._settings.source}
        why = "the control process fell" if self._plan.restarted else ""
        self._recorder.record(self._recorder.system_event("start", reason=why, details=details))

    def _await_first_results(self, last_start: float) -> None:
        """Withhold new members until their first probe has ended, or its time-out is over.

        `last_start`: seconds until the last of them is probed.
        """
        loop = asyncio.get_running_loop()
        for record in self._states:
            names = record.awaited()
            if names:
                wait = last_start + record.pool.probe.timeout + FIRST_RESULT_GRACE
                loop.call_later(wait, self._stop_awaiting, record.pool.name, names)

    def _stop_awaiting(self, pool: str, names: tuple[str, ...]) -> None:
        self._states.stop_awaiting(pool, names)
        if pool in self._states:
            self._publisher.mark_changed(pool)

    async def _open_api(self) -> None:
        """Serve the API with the certificate that its files hold now.

        What is wrong with them was told with the config, unless that is an older one whose
        files have changed since: then nobody gets in, rather than somebody without TLS.
        """
        api = self._settings.api
        if api.tls_cert is not None and api.tls_key is not None:
            try:
                async with asyncio.timeout(CERTIFICATE_TIMEOUT):
                    make = partial(make_context, api.tls_cert, api.tls_key)
                    self._api.tls = await self._certificate_disk.run(make)
            except (TlsConfigError, TimeoutError) as bad:
                so = "the one before stays" if self._api_is_open else "nobody can call the API"
                hangs = f"{api.tls_cert} is not read within {CERTIFICATE_TIMEOUT:g} s"
                self._recorder.raise_alarm(API_CERTIFICATE, f"{so}: {str(bad) or hangs}")
                return
        else:
            self._api.tls = None
        self._recorder.clear_alarm(API_CERTIFICATE)
        if not self._api_is_open:
            self._api_is_open = True
            await self._api.start()

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        await self._probe_scheduler.stop()
        self._late.close()
        await asyncio.gather(self._api.stop(), self._integrations.exporters.stop())
        self._recorder.record(self._recorder.system_event("stop"))
        await self._recorder.flush()
        await self._integrations.webhooks.stop()
        try:
            await asyncio.wait_for(self._saver.wait_saved(), DISK_TIMEOUT)
        except TimeoutError:
            self._log.warning("the disk is slow: the last snapshot may not be kept")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker_feed.stop()
        await self._recovery.close()

    def _audit_seconds(self) -> float:
        return self._settings.store.audit_days * 86400

    def _workers_changed(self) -> None:
        self._publisher.on_worker_progress()
        if self._worker_feed.connected() and self._heartbeat is not None:
            self._heartbeat.ready()

    async def _run_heartbeat(self, heartbeat: Heartbeat) -> None:
        while True:
            heartbeat.alive()
            await asyncio.sleep(BEAT_INTERVAL)

    async def _never_ending(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a duty that must not end; a defect in one ends the process, and a new one comes."""
        try:
            await job
        except Exception:  # noqa: BLE001 - logged, and the end of the process
            self._log.critical("a duty of the control process broke", exc_info=True)
            flush()
            os._exit(1)


def _told(changes: Sequence[str]) -> str:
    """Return the diff of a reload, as the log and the audit trail have it."""
    more = len(changes) - MAX_CHANGES
    shown = [*changes[:MAX_CHANGES], *([f"and {more} more"] if more > 0 else [])]
    return "; ".join(shown) or "no change"


def _read(path: Path) -> tuple[str, Settings]:
    """Return a config's text and what it says; ten thousand pools take seconds to read."""
    text = path.read_text("utf-8-sig")  # as `load` does: Notepad writes a mark
    return text, parse(text, str(path))


def main(plan: ControlParams, heartbeat: Heartbeat, parent_pipe: int) -> None:
    """Be the control process until SIGTERM, or until the supervisor is gone."""
    asyncio.run(_main(_as_applied(plan), heartbeat, parent_pipe))


def _as_applied(plan: ControlParams) -> ControlParams:
    """Return the plan with the config that the process before this one had taken over."""
    text = plan.applied.text()
    if not text:
        return plan
    try:
        settings = parse(text, str(plan.path), with_files=False)
        return replace(plan, settings=settings, bound=plan.settings)
    except ConfigInvalid as error:  # what it names (a user, a file) may be gone since
        get_log().error("back to the config of the start", because=str(error))
        return plan


async def _main(plan: ControlParams, heartbeat: Heartbeat, parent_pipe: int) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    control = Control(plan)
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(control.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_reader(parent_pipe, stopping.set)
    await control.run(heartbeat, stopping)
