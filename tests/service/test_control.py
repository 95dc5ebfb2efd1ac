"""The control process as a whole: reloads beside orders, and what outlives it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.config import load
from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import OrderKind, ProbeSpec
from rrdns.core.orders.request import OrderRequest
from rrdns.service.control import process as control_module
from rrdns.service.control.process import Control, ControlParams
from rrdns.service.runtime.applied_config import AppliedConfig, anonymous_file
from rrdns.service.runtime.heartbeat import Heartbeat
from rrdns.service.runtime.log_setup import set_up
from rrdns.store.base import OrderTransaction
from tests import sample_config


def write(path: Path, *members: int) -> None:
    named = [(f"pvs-{n}", f"10.0.0.{n}") for n in members]
    path.write_text(sample_config.farm(named, store={"backend": "memory"}))


async def always_up(_address: str, _spec: ProbeSpec, depth: ProbeDepth) -> ProbeResult:
    return ProbeResult(Verdict.OK, "it is so", depth, 0.001)


@asynccontextmanager
async def controlling(path: Path, applied_text: str = "") -> AsyncIterator[Control]:
    """Run the control process's parts, without workers.

    With a text it is started again after a reload had applied that.
    """
    set_up("json")
    feed, api = socket.socket(socket.AF_UNIX), socket.socket()
    feed.bind(f"\0rrdns-test-{os.getpid()}-{id(feed)}")
    api.bind(("127.0.0.1", 0))
    for sock in (feed, api):
        sock.listen()
        sock.setblocking(False)
    applied = AppliedConfig(anonymous_file())
    plan = ControlParams(
        load(path),
        path,
        applied,
        feed,
        api,
        (),
        AppliedConfig(anonymous_file()),
        restarted=bool(applied_text),
    )
    if applied_text:
        applied.keep(applied_text)
        plan = control_module._as_applied(plan)
    beating, beat = os.pipe()
    control, stopping = Control(plan, prober=always_up), asyncio.Event()
    running = asyncio.create_task(control.run(Heartbeat(beat), stopping))
    while "start" not in told(control):  # noqa: ASYNC110 - it tells nobody else
        await asyncio.sleep(0.01)
    try:
        yield control
    finally:
        stopping.set()
        await running
        for fd in (beating, beat, applied.fd):
            os.close(fd)
        feed.close()
        api.close()


def told(control: Control) -> list[str]:
    return [event.action for event in control._recorder.events.after(0)]


async def test_a_storm_of_reloads_is_two(tmp_path: Path) -> None:
    """One under way, and one that reads what is there when that has ended."""
    path = tmp_path / "rrdns.toml"
    write(path, 1, 2)
    async with controlling(path) as control:
        await asyncio.gather(*(control.reload() for _ in range(100)))
        assert told(control).count("reload") == 2
        write(path, 1, 2, 3)
        await control.reload()
        assert control._states.has("boot", "pvs-3")


async def test_an_order_under_way_is_carried_out_before_a_reload_takes_its_member(
    tmp_path: Path,
) -> None:
    """Else it would be in the store, and not in the answers, and break who gave it."""
    path = tmp_path / "rrdns.toml"
    write(path, 1, 2)
    async with controlling(path) as control:
        store, slow = control._order_changes._context.store, asyncio.Event()
        commit = store.commit

        async def commit_slowly(batch: OrderTransaction) -> None:
            await slow.wait()
            await commit(batch)

        store.commit = commit_slowly  # type: ignore[method-assign]
        command = OrderRequest((("boot", "pvs-2"),), OrderKind.DRAIN, "anna")
        ordering = asyncio.create_task(control._admin_service.execute(command))
        await asyncio.sleep(0.01)
        write(path, 1)
        reloading = asyncio.create_task(control.reload())
        await asyncio.sleep(0.3)
        slow.set()
        done = await ordering
        assert [one.report.member.name for one in done.members if one.changed] == ["pvs-2"]
        await reloading
        assert not control._states.has("boot", "pvs-2")


def test_who_is_killed_while_a_config_is_kept_leaves_a_whole_one() -> None:
    """Else a control process that comes back might know half of the pools."""
    applied = AppliedConfig(anonymous_file())
    assert applied.text() == ""
    texts = ["a" * 3_000_000, "b" * 2_000_000, "c" * 4_000_000]
    applied.keep(texts[0])
    rng = random.Random(7)
    for _ in range(20):
        child = os.fork()
        if child == 0:
            while True:
                for text in texts:
                    applied.keep(text)
        time.sleep(rng.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert applied.text() in texts, "torn"
    assert os.fstat(applied.fd).st_size < 4 * 4_000_000
    os.close(applied.fd)


async def test_a_certificate_on_a_disk_that_hangs_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload goes on without it, the loop meanwhile, and an alarm says so."""
    path = tmp_path / "rrdns.toml"
    write(path, 1, 2)
    may_go_on = threading.Event()
    monkeypatch.setattr(control_module, "make_context", lambda *_: may_go_on.wait(30))
    monkeypatch.setattr(control_module, "CERTIFICATE_TIMEOUT", 0.5, raising=False)
    async with controlling(path) as control:
        api = replace(control._settings.api, tls_cert=path, tls_key=path)
        control._settings = replace(control._settings, api=api)
        began = time.monotonic()
        opening = asyncio.create_task(control._open_api())
        await asyncio.sleep(0.01)
        assert not opening.done()  # and the loop is not held up
        await opening
        assert time.monotonic() - began < 10  # of the 30 s for which the disk hangs
        (alarm,) = control._recorder.alarms()
        assert alarm.sentence == f"the one before stays: {path} is not read within 0.5 s"
        may_go_on.set()
        await control._open_api()
        assert not control._recorder.alarms()


async def test_what_only_a_restart_can_do_is_remembered_until_it_is_taken_back(
    tmp_path: Path,
) -> None:
    """A reload said it once, and it was forgotten; readyz and the page show alarms."""
    path = tmp_path / "rrdns.toml"
    write(path, 1, 2)

    def waiting(control: Control) -> list[str]:
        alarms = control._recorder.alarms()
        return [one.sentence for one in alarms if one.name == control_module.RESTART_NEEDED]

    async with controlling(path) as control:
        assert waiting(control) == []
        text = path.read_text()
        path.write_text(f'[dns]\nlisten = ["127.0.0.1:5300"]\nworkers = 7\n{text}')
        for _ in range(2):
            await control.reload()
            assert len(waiting(control)) == 1
            assert "another dns.listen, dns.workers, which waits" in waiting(control)[0]
        path.write_text(text)
        await control.reload()
        assert waiting(control) == []


async def test_a_control_process_that_comes_again_knows_what_is_bound(tmp_path: Path) -> None:
    """It takes up the config that was applied, and serves what was bound at the start."""
    path = tmp_path / "rrdns.toml"
    write(path, 1)
    async with controlling(path) as control:
        plan = control._plan
        plan.applied.keep(f'[api]\nlisten = "127.0.0.1:9999"\n{path.read_text()}')
        again = control_module._as_applied(plan)
        assert str(again.settings.api.listen) == "127.0.0.1:9999"
        assert again.bound is plan.settings


async def test_a_control_process_that_comes_again_keeps_its_store(tmp_path: Path) -> None:
    """Another one waits for a restart: taken at once, it would be empty, and drains forgotten."""
    path = tmp_path / "rrdns.toml"
    write(path, 1, 2)
    memory = '[store]\nbackend = "memory"'

    def stored(name: str) -> str:
        return path.read_text().replace(memory, f'[store]\npath = "{tmp_path / name}"')

    before, after = stored("old.db"), stored("new.db")
    path.write_text(before)
    async with controlling(path) as control:
        await control._admin_service.execute(
            OrderRequest((("boot", "pvs-2"),), OrderKind.DRAIN, "anna")
        )
    async with controlling(path, after) as control:
        assert control._worker_feed.snapshot.rrsets["boot"].addresses == ("10.0.0.1",)
        assert [one.name for one in control._recorder.alarms()] == [control_module.RESTART_NEEDED]
    assert not list(tmp_path.glob("new*"))
