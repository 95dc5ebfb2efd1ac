"""The control process's parts without probes, workers or HTTP, for tests of orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rrdns.core.health.probe_result import Depth, ProbeResult, Verdict
from rrdns.core.model import AuditEntry, BootFile, Member, Order, Pool, ProbeSpec, Zone
from rrdns.core.orders.request import Command
from rrdns.errors import StoreFailed
from rrdns.export.manager import Dispatch
from rrdns.service.control.admin_service import Desk
from rrdns.service.control.orders import Orders
from rrdns.service.control.recovery import Memory
from rrdns.service.events.recorder import Herald
from rrdns.service.health.pool_states import Roster
from rrdns.service.publish.snapshot_publisher import Publication
from rrdns.service.publish.worker_feed import Publisher
from rrdns.service.runtime.clocks import Clocks
from rrdns.service.runtime.log_setup import set_up
from rrdns.store.base import Batch, MemoryStore, Store
from rrdns.store.last_snapshot import LastGood
from rrdns.web.api.admin_service import OrdersDone

MEMBERS = tuple(Member(f"pvs-{n}", f"10.0.0.{n}") for n in (1, 2, 3))
POOL = Pool("boot", "boot.example", MEMBERS, ProbeSpec((BootFile("ARDBP32.BIN"),)))
ZONES: tuple[Zone, ...] = ()


def assume_all_up(roster: Roster) -> None:
    """Wait for no first probe: these parts are tried without any."""
    for record in roster:
        roster.stop_awaiting(record.pool.name, record.tracks)


class BrokenStore(MemoryStore):
    """A store whose disk is full."""

    async def commit(self, batch: Batch) -> None:
        raise StoreFailed("rrdns.db", "keep the order", "the disk is full")

    async def note(self, entries: Sequence[AuditEntry]) -> None:
        raise StoreFailed("rrdns.db", "write the audit trail", "the disk is full")


@dataclass
class Office:
    """The control process's parts, without probes, workers or HTTP."""

    store: Store = field(default_factory=MemoryStore)
    last_good: LastGood | None = None
    now: float = 1000.0  # by the steady clock
    pools: tuple[Pool, ...] = (POOL,)
    boot: str = "this"
    jumped: float = 0.0  # by how much the wall clock was set forward
    settled: list[float] = field(default_factory=list)  # how long publications took

    def __post_init__(self) -> None:
        set_up("json")
        if self.last_good is not None:
            self.last_good._clock, self.last_good._steady = self.clock, self.steady
        self.clocks = Clocks(self.clock, self.steady, self.boot)
        self.roster = Roster()
        self.roster.configure(self.pools, self.now)
        assume_all_up(self.roster)  # nobody probes here
        self.herald = Herald(self.store, self.clock)
        self.publisher = Publisher(())
        self.publication = Publication(
            self.roster,
            self.publisher,
            self.herald,
            self.last_good,
            Dispatch(lambda _news: None, self.clock),
            self.clocks,
            self.settled.append,
        )
        self.memory = Memory(self.store, self.last_good, self.roster, self.herald, self.clocks)
        self.orders = Orders(
            self.roster,
            self.store,
            self.publication,
            self.publisher,
            self.herald,
            self.clocks,
        )
        self.desk = Desk(
            self.roster,
            self.store,
            self.publication,
            self.publisher,
            self.herald,
            self.orders,
            tuple,
            tuple,
            self.clocks,
        )

    def clock(self) -> float:
        return self.now + self.jumped

    def steady(self) -> float:
        return self.now

    async def open(self) -> None:
        serial = await self.memory.take_up(settled=False)
        self.publication.publish_all(ZONES, serial + 1)

    def answers(self) -> tuple[str, ...]:
        return self.publisher.snapshot.rotas["boot"].addresses

    async def mind(self, audit_seconds: float = 1.0) -> None:
        lock = self.orders.one_at_a_time
        await self.memory.mind(self.publication, lambda: audit_seconds, lock)

    async def drain(
        self,
        *members: str,
        until: float | None = None,
        at: float | None = None,
        force: bool = False,
        dry_run: bool = False,
        by: str = "anna",
        lasting: bool = False,
    ) -> OrdersDone:
        targets = tuple(("boot", member) for member in members)
        return await self.desk.carry_out(
            Command(targets, Order.DRAIN, by, "patch", until, at, force, dry_run, lasting)
        )

    async def resume(self, *members: str, dry_run: bool = False) -> OrdersDone:
        targets = tuple(("boot", member) for member in members)
        return await self.desk.carry_out(Command(targets, None, "anna", "done", dry_run=dry_run))

    def events_told(self) -> list[str]:
        return [event.kind for event in self.herald.events.after(0)]

    async def trail(self, pool: str | None = None) -> list[AuditEntry]:
        return list(await self.desk.audit(99, None, pool, None))

    def probe(self, member: str, verdict: Verdict, times: int = 1) -> None:
        for _ in range(times):
            result = ProbeResult(verdict, "it is so", Depth.LIGHT, 0.001)
            self.roster.observe("boot", member, result, self.now)
