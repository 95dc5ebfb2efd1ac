"""Orders go with their servers: at a reload, over a restart, and where none fits any more."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rrdns.cli.main import app
from rrdns.core.health.probe_result import Verdict
from rrdns.core.model import Member, OrderKind, Override
from rrdns.core.orders.request import OrderRequest
from rrdns.service.control.orphaned_orders import MAX_NAMED, record_orphans
from rrdns.service.control.process import Control
from rrdns.store.sqlite import SqliteStore
from tests import sample_config
from tests.service.control_harness import MEMBERS, POOL, FullStore, Office, assume_all_up
from tests.service.test_control import controlling, told

TOKEN = "t" * 40
DRAINED = "10.0.0.1"


class Site:
    """A config that is changed, and the control process that reads it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.store = folder / "rrdns.toml", folder / "rrdns.db"
        self.names_seen: list[tuple[str, ...]] = []

    def write(self, members: dict[str, str], pool: str = "boot") -> None:
        farm = sample_config.farm(
            members.items(), pool_settings={"name": pool}, store={"path": self.store}
        )
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        token = {"name": "anna", "role": "operator", "sha256": digest}
        self.path.write_text(farm + sample_config.table("[[api.tokens]]", **token))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Control]:
        async with controlling(self.path) as control:
            assume_all_up(control._states)  # no probe here ends before it is looked at
            control._publisher._begin()
            worker_feed = control._worker_feed
            for name in ("publish", "publish_full"):
                self._watch(control, name, getattr(worker_feed, name))
            self._look(control)
            yield control

    def _watch(self, control: Control, name: str, method: object) -> None:
        def watched(what: object) -> None:
            method(what)  # type: ignore[operator]
            self._look(control)

        setattr(control._worker_feed, name, watched)

    def _look(self, control: Control) -> None:
        rrsets = control._worker_feed.snapshot.rrsets.values()
        self.names_seen.append(tuple(one for rrset in rrsets for one in rrset.addresses))

    def answers(self) -> tuple[str, ...]:
        return tuple(sorted(self.names_seen[-1]))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    found = Site(tmp_path)
    found.write({"pvs-1": DRAINED, "pvs-2": "10.0.0.2"})
    return found


async def drain(control: Control, member: str = "pvs-1", at: float | None = None) -> None:
    await control._admin_service.execute(
        OrderRequest((("boot", member),), OrderKind.DRAIN, "anna", "patch", at=at)
    )


async def rrdns(control: Control, *args: str) -> Result:
    host, port = control._plan.api.getsockname()
    url = ("--url", f"http://{host}:{port}", "--token", TOKEN)
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, [*args, *url]))


RENAMED: list[tuple[dict[str, str], str, tuple[str, str]]] = [
    ({"pvs-one": DRAINED, "pvs-2": "10.0.0.2"}, "boot", ("boot", "pvs-one")),
    ({"pvs-1": DRAINED, "pvs-2": "10.0.0.2"}, "site", ("site", "pvs-1")),
    ({"pvs-one": DRAINED, "pvs-2": "10.0.0.2"}, "site", ("site", "pvs-one")),
    ({"pvs-1": "10.0.0.9", "pvs-2": "10.0.0.2"}, "boot", ("boot", "pvs-1")),
]


@pytest.mark.parametrize("way", ["reload", "restart", "both"])
@pytest.mark.parametrize(("members", "pool", "key"), RENAMED)
async def test_a_drain_goes_with_its_server(
    site: Site, members: dict[str, str], pool: str, key: tuple[str, str], way: str
) -> None:
    """There is no moment in which the server that is being patched is answered."""
    async with site.running() as control:
        await drain(control)
        site.names_seen = [("10.0.0.2",)]
        site.write(members, pool)
        if way != "restart":
            await control.reload()
            assert site.answers() == ("10.0.0.2",)
            override = control._states.override(*key)
            assert override is not None
            assert override.reason == "patch"
            # A new address is probed at once, so that its result may come behind the reload.
            entries = await control._admin_service.audit(5, None, None, None)
            trail = next(entry for entry in entries if entry.action == "reload")
            moved = has_moved(key)
            assert ("goes to" in trail.after) == moved
            assert told(control).count("order-moved") == moved
    if way != "reload":
        async with site.running() as control:
            assert site.answers() == ("10.0.0.2",)
            assert control._states.override(*key) is not None
            assert len(control._states.orders()) == 1
            assert told(control).count("order-moved") == (way == "restart" and has_moved(key))
    assert all(DRAINED not in names and "10.0.0.9" not in names for names in site.names_seen)
    store = SqliteStore(site.store)
    await store.open()
    assert [(one.pool, one.member) for one in await store.overrides()] == [key]
    await store.close()


def has_moved(key: tuple[str, str]) -> bool:
    return key != ("boot", "pvs-1")


async def test_an_order_without_a_member_is_kept_shown_and_comes_back(site: Site) -> None:
    """Also over a restart; and it comes into force when the server is back by another name."""
    async with site.running() as control:
        await drain(control)
        site.write({"pvs-2": "10.0.0.2"})
        check = CliRunner().invoke(app, ["check-config", str(site.path)])
        assert "the drain of pvs-1 in pool boot has no member now: it is stored" in " ".join(
            check.stdout.split()
        )
        assert "to end it: rrdns resume pvs-1 --pool boot" in " ".join(check.stdout.split())
        await control.reload()
        await control.reload()
        assert told(control).count("order-orphaned") == 1
        status = await rrdns(control, "status")
        assert "order-without-member" in status.stdout
        assert "drain of pvs-1 (10.0.0.1) in pool boot" in " ".join(status.stdout.split())
    async with site.running() as control:
        (orphan,) = control._admin_service.service().orphaned
        assert (orphan.pool, orphan.member, orphan.address) == ("boot", "pvs-1", DRAINED)
        site.names_seen = [("10.0.0.2",)]
        site.write({"pvs-2": "10.0.0.2", "pvs-new": DRAINED})
        told_before = json.loads(
            CliRunner().invoke(app, ["check-config", str(site.path), "--json"]).stdout
        )
        assert told_before["orders"] == [
            "the drain of pvs-1 in pool boot goes to pvs-new (same address)"
        ]
        await control.reload()
        assert set(site.names_seen) == {("10.0.0.2",)}
        assert control._admin_service.service().orphaned == ()
        assert "order-without-member" not in {one.name for one in control._recorder.alarms()}


async def test_an_order_without_a_member_is_ended_by_its_former_name(site: Site) -> None:
    """By an explicit act alone, and for good."""
    async with site.running() as control:
        await drain(control)
        site.write({"pvs-9": "10.0.0.9"}, pool="site")
        site.path.write_text(site.path.read_text().replace("boot.pvs", "other.pvs"))
        await control.reload()
        assert (await rrdns(control, "drain", "pvs-1", "--pool", "boot")).exit_code == 2
        preview = await rrdns(control, "resume", "pvs-1", "--dry-run")
        assert preview.exit_code == 0, preview.output
        assert len(control._admin_service.service().orphaned) == 1
        done = await rrdns(control, "resume", "pvs-1")
        assert done.exit_code == 0, done.output
        assert "The order for pvs-1 of pool boot has ended" in done.stdout
        assert control._admin_service.service().orphaned == ()
        assert control._recorder.alarms() == ()
        assert (await rrdns(control, "resume", "pvs-1")).exit_code == 2
    async with site.running() as control:
        assert control._states.orders() == {}


@pytest.mark.parametrize(
    "whom", [["pvs-1", "pvs-3"], ["pvs-*"], ["pvs-1", "pvs-[3]"], ["pvs-1", "pvs-3", "--all-pools"]]
)
async def test_orders_without_a_member_end_together_with_others(
    site: Site, whom: list[str]
) -> None:
    """By several names or a pattern, beside a member of the config, also in a pool that is gone."""
    site.write({"pvs-1": DRAINED, "pvs-2": "10.0.0.2", "pvs-3": "10.0.0.3"})
    async with site.running() as control:
        await drain(control)
        await drain(control, "pvs-3")
        site.write({"pvs-3": "10.0.0.3", "pvs-9": "10.0.0.9"})
        await control.reload()
        status = await rrdns(control, "status")
        assert "End it: rrdns resume pvs-1 --pool boot" in " ".join(status.stdout.split())
        assert (await rrdns(control, "drain", "pvs-1", "pvs-3")).exit_code == 2, "no new order"
        done = await rrdns(control, "resume", *whom)
        assert done.exit_code == 0, done.output
        assert "The order for pvs-1 of pool boot has ended" in done.stdout
        assert "pvs-3 of pool boot is resumed" in done.stdout
        assert control._states.orders() == {}
        assert control._recorder.alarms() == ()


async def test_an_order_in_a_pool_that_is_gone_ends_by_a_pattern(site: Site) -> None:
    """Where the pool is named that the config has no more."""
    async with site.running() as control:
        await drain(control)
        site.write({"pvs-9": "10.0.0.9"}, pool="site")
        site.path.write_text(site.path.read_text().replace("boot.pvs", "other.pvs"))
        await control.reload()
        assert (await rrdns(control, "resume", "x*", "--pool", "boot")).exit_code == 2
        done = await rrdns(control, "resume", "pvs-*", "--pool", "boot")
        assert done.exit_code == 0, done.output
        assert control._states.orders() == {}


async def test_an_order_for_later_goes_too_and_waits_without_a_member() -> None:
    """It begins when its time has come and its member is there, and is told when it is over."""
    office = Office()
    await office.open()
    await office.drain("pvs-1", at=1100.0)
    await office.drain("pvs-2", at=1100.0, until=1300.0)
    without_2 = replace(POOL, members=(replace(MEMBERS[0], name="pvs-one"), MEMBERS[2]))
    office.states.configure((without_2,), office.now)
    assert office.schedule.next_change() == 1100.0
    assert office.states.scheduled_override("boot", "pvs-one") is not None
    office.now = 1100.0
    await office.schedule.run_due()
    assert office.answers() == ("10.0.0.3",)
    assert [one.member for one in office.states.orphans()] == ["pvs-2"]
    assert office.schedule.next_change() == 1300.0
    office.now = 1300.0
    await office.schedule.run_due()
    assert office.states.orphans() == ()
    refused = next(entry for entry in await office.trail() if entry.action == "refused")
    assert (refused.member, refused.reason) == (
        "pvs-2",
        "its time was over before its member was back",
    )


async def test_an_order_without_a_member_ends_when_its_time_is_over() -> None:
    """That is told, as of any order."""
    office = Office()
    await office.open()
    await office.drain("pvs-1", until=1200.0)
    office.states.configure((replace(POOL, members=MEMBERS[1:]),), office.now)
    office.now = 1200.0
    await office.schedule.run_due()
    assert office.states.orders() == {}
    assert (await office.trail())[0].action == "expire"


async def test_a_server_that_was_down_is_down_by_another_name() -> None:
    """What the probes said is of the server, not of its name."""
    office = Office()
    office.probe("pvs-1", Verdict.TIMEOUT, times=3)
    renamed = (Member("pvs-one", MEMBERS[0].address), *MEMBERS[1:])
    office.states.configure((replace(POOL, members=renamed),), office.now)
    assert not office.states.state("boot", "pvs-one").standing.up


async def test_names_that_could_not_be_kept_are_kept_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a resume by the new name would leave the order by the old one for the next start."""
    monkeypatch.setattr("rrdns.service.control.recovery.VERIFY_INTERVAL", 0.01)
    store = FullStore()
    office = Office(store)
    await office.open()
    await office.drain("pvs-1")
    renamed = (Member("pvs-one", MEMBERS[0].address), *MEMBERS[1:])
    office.states.configure((replace(POOL, members=renamed),), office.now)
    store.commit_fails = True
    await office.recovery.save_reassigned()
    assert [alarm.name for alarm in office.recorder.alarms()] == ["store-failed"]
    assert [one.member for one in await store.overrides()] == ["pvs-1"]
    store.commit_fails = False
    await office.resume("pvs-one")
    minding = asyncio.create_task(office.mind())
    while await store.overrides():  # noqa: ASYNC110 - it tells nobody else
        await asyncio.sleep(0.01)
    minding.cancel()


async def test_a_guess_gives_way_to_the_store_that_opens_late() -> None:
    """A drain that was guessed of the last answers does not take the place of the real one."""
    office = Office()
    renamed = (Member("pvs-one", MEMBERS[0].address), *MEMBERS[1:])
    office.states.configure((replace(POOL, members=renamed),), office.now)
    for guess in ("pvs-one", "pvs-2"):
        office.states.set_override(Override("boot", guess, OrderKind.DRAIN, "rrdns", 1.0))
    real = Override("boot", "pvs-1", OrderKind.DRAIN, "anna", 1.0, address=MEMBERS[0].address)
    office.states.restore_orders((real,), ())
    assert {key[1]: one.by for key, one in office.states.orders().items()} == {
        "pvs-one": "anna",
        "pvs-2": "rrdns",
    }


async def test_an_alarm_names_only_so_many_orders() -> None:
    """The others are counted: all are in the API."""
    office = Office()
    lost = [
        Override("gone", f"pvs-{n:02}", OrderKind.DRAIN, "anna", 1.0) for n in range(MAX_NAMED + 3)
    ]
    office.states.restore_orders(lost, ())
    record_orphans(office.states, office.recorder)
    (alarm,) = office.recorder.alarms()
    assert "pvs-19 in pool gone; and 3 more. " in alarm.sentence
    assert len(office.admin_service.service().orphaned) == MAX_NAMED + 3
