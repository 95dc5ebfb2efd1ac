"""The control process's parts without probes, workers or HTTP, for tests of orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rrdns.core.events import Event
from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import BootFile, Member, OrderKind, Pool, ProbeSpec, Zone
from rrdns.core.orders.request import OrderRequest
from rrdns.errors import StoreFailed
from rrdns.service.control.admin_service import ControlAdminService
from rrdns.service.control.context import ControlContext
from rrdns.service.control.order_changes import OrderChanges
from rrdns.service.control.order_schedule import OrderSchedule
from rrdns.service.control.orders import OrderExecutor
from rrdns.service.control.recovery import StateRecovery
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.publish.pool_alarms import PoolAlarms
from rrdns.service.publish.snapshot_publisher import SnapshotPublisher
from rrdns.service.publish.snapshot_saver import SnapshotSaver
from rrdns.service.publish.worker_feed import WorkerFeed
from rrdns.service.runtime.clocks import Clocks
from rrdns.service.runtime.log_setup import set_up
from rrdns.store.base import MemoryStore, OrderTransaction, Store
from rrdns.store.last_snapshot import SnapshotFile
from rrdns.web.api.admin_service import OrderResult

MEMBERS = tuple(Member(f"pvs-{n}", f"10.0.0.{n}") for n in (1, 2, 3))
POOL = Pool("boot", "boot.example", MEMBERS, ProbeSpec((BootFile("ARDBP32.BIN"),)))
ZONES: tuple[Zone, ...] = ()


def assume_all_up(states: PoolStates) -> None:
    """Wait for no first probe: these parts are tried without any."""
    for record in states:
        states.stop_awaiting(record.pool.name, record.members)


class FullStore(MemoryStore):
    """A store whose disk is full for what the flags say."""

    verify_fails = commit_fails = append_fails = False

    async def verify(self) -> None:
        if self.verify_fails:
            raise StoreFailed("rrdns.db", "be there", "the disk is full")

    async def commit(self, batch: OrderTransaction) -> None:
        if self.commit_fails:
            raise StoreFailed("rrdns.db", "keep the order", "the disk is full")
        await super().commit(batch)

    async def append_audit(self, entries: Sequence[Event]) -> None:
        if self.append_fails:
            raise StoreFailed("rrdns.db", "write the audit trail", "the disk is full")
        await super().append_audit(entries)


class BrokenStore(FullStore):
    """A store whose disk is full for all that is kept."""

    commit_fails = append_fails = True


@dataclass
class Office:
    """The control process's parts, without probes, workers or HTTP."""

    store: Store = field(default_factory=MemoryStore)
    snapshot_file: SnapshotFile | None = None
    now: float = 1000.0  # by the steady clock
    pools: tuple[Pool, ...] = (POOL,)
    boot: str = "this"
    jumped: float = 0.0  # by how much the wall clock was set forward
    assume_up: bool = True
    settled: list[float] = field(default_factory=list)  # how long publications took

    def __post_init__(self) -> None:
        set_up("json")
        if self.snapshot_file is not None:
            self.snapshot_file._clock, self.snapshot_file._steady = self.clock, self.steady
        self.clocks = Clocks(self.clock, self.steady, self.boot)
        self.states = PoolStates()
        self.states.configure(self.pools, self.now)
        if self.assume_up:
            assume_all_up(self.states)  # nobody probes here
        self.recorder = EventRecorder(self.store, self.clock)
        self.worker_feed = WorkerFeed(())
        self.publisher = SnapshotPublisher(
            self.states, self.worker_feed, self.clocks, self.settled.append
        )
        self.saver = SnapshotSaver(self.states, self.snapshot_file, self.recorder, self.clocks)
        self.publisher.subscribe(PoolAlarms(self.states, self.recorder).on_publication)
        if self.snapshot_file is not None:
            self.publisher.subscribe(self.saver.on_publication)
        self.context = ControlContext(
            self.states,
            self.store,
            self.publisher,
            self.saver,
            self.worker_feed,
            self.recorder,
            self.clocks,
        )
        self.recovery = StateRecovery(self.context, self.snapshot_file)
        self.changes = OrderChanges(self.context)
        self.orders = OrderExecutor(self.context, self.changes)
        self.schedule = OrderSchedule(self.context, self.changes)
        self.admin_service = ControlAdminService(self.context, self.orders)

    def clock(self) -> float:
        return self.now + self.jumped

    def steady(self) -> float:
        return self.now

    async def open(self) -> None:
        before = await self.recovery.restore(settled=False)
        self.publisher.publish_all(ZONES, before.serial + 1)

    def answers(self) -> tuple[str, ...]:
        return self.worker_feed.snapshot.rrsets["boot"].addresses

    async def mind(self, audit_seconds: float = 1.0) -> None:
        await self.recovery.maintain_store(lambda: audit_seconds, self.changes.lock)

    async def drain(
        self,
        *members: str,
        until: float | None = None,
        at: float | None = None,
        force: bool = False,
        dry_run: bool = False,
        by: str = "anna",
        lasting: bool = False,
    ) -> OrderResult:
        targets = tuple(("boot", member) for member in members)
        return await self.admin_service.execute(
            OrderRequest(targets, OrderKind.DRAIN, by, "patch", until, at, force, dry_run, lasting)
        )

    async def resume(self, *members: str, dry_run: bool = False) -> OrderResult:
        targets = tuple(("boot", member) for member in members)
        return await self.admin_service.execute(
            OrderRequest(targets, None, "anna", "done", dry_run=dry_run)
        )

    def events_told(self) -> list[str]:
        return [event.action for event in self.recorder.events.after(0)]

    async def trail(self, pool: str | None = None) -> list[Event]:
        return list(await self.admin_service.audit(99, None, pool, None))

    def probe(self, member: str, verdict: Verdict, times: int = 1) -> None:
        for _ in range(times):
            result = ProbeResult(verdict, "it is so", ProbeDepth.LIGHT, 0.001)
            self.states.observe("boot", member, result, self.now)
