"""All exporters together: configured anew, handed changes, stopped."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.export.exporter import Exporter
from rrdns.export.file.exporter import FileExporter
from rrdns.export.json_exporters import CommandExporter, WebhookExporter
from rrdns.export.kea.exporter import KeaExporter
from rrdns.export.manager import ExporterManager, make_exporter
from rrdns.export.settings import (
    CommandSettings,
    ExporterSettings,
    FileSettings,
    KeaSettings,
    WebhookSettings,
)
from tests.export.pool_views import Listener, view
from tests.virtual_time import run_virtually

HOOK = WebhookSettings(name="hook", pools=("boot",), url="https://example.test/")
OTHER = replace(HOOK, name="other", pools=("login",))


class Makes:
    """Makes listeners in place of exporters."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Listener]] = []

    def __call__(self, settings: ExporterSettings) -> Exporter:
        listener = Listener(settings.name)
        self.made.append((settings.name, listener))
        return listener


def test_each_exporter_is_told_of_its_own_pools() -> None:
    """A change goes to those that name its pool."""

    async def story() -> None:
        make = Makes()
        dispatch = ExporterManager(lambda _: None, lambda: 0.0, make)
        dispatch.configure([HOOK, OTHER])
        dispatch.publish([view(1), view(2, pool="login")])
        await asyncio.sleep(1)
        dispatch.publish([view(3)])
        await asyncio.sleep(1)
        hook, other = (listener for _, listener in make.made)
        assert (hook.firsts(), other.firsts()) == (["1", "3"], ["2"])
        assert [report.name for report in dispatch.reports()] == ["hook", "other"]
        await dispatch.stop()
        assert dispatch.reports() == ()

    run_virtually(story())


def test_a_new_config_leaves_unchanged_exporters_alone() -> None:
    """Who is unchanged goes on; who changed starts anew and is told what is true now."""

    async def story() -> None:
        make = Makes()
        dispatch = ExporterManager(lambda _: None, lambda: 0.0, make)
        dispatch.configure([HOOK, OTHER])
        dispatch.publish([view(1), view(2, pool="login")])
        await asyncio.sleep(1)
        dispatch.configure([replace(OTHER, url="https://new.example.test/"), HOOK])
        await asyncio.sleep(1)
        assert [name for name, _ in make.made] == ["hook", "other", "other"]
        assert [len(listener.outcome) for _, listener in make.made] == [1, 1, 1]
        assert [report.name for report in dispatch.reports()] == ["other", "hook"]
        dispatch.configure([])
        dispatch.publish([view(9)])
        await asyncio.sleep(1)
        assert [len(listener.outcome) for _, listener in make.made] == [1, 1, 1]
        await dispatch.stop()

    run_virtually(story())


def test_one_exporter_that_hangs_holds_up_no_other() -> None:
    """Each has its own task, and handing over never waits."""

    async def story() -> None:
        make = Makes()
        dispatch = ExporterManager(lambda _: None, lambda: 0.0, make)
        dispatch.configure([HOOK, replace(HOOK, name="quick")])
        make.made[0][1].seconds = 1e6
        dispatch.publish([view(1)])
        await asyncio.sleep(1)
        assert make.made[1][1].firsts() == ["1"]
        await dispatch.stop()
        assert asyncio.get_running_loop().time() == pytest.approx(1)

    run_virtually(story())


def test_a_stop_waits_less_than_a_second_for_one_that_will_not_end() -> None:
    """Even what resists its cancellation does not hold up the service's end."""

    class Stubborn(Listener):
        async def export(self, views: object) -> str | None:
            try:
                await asyncio.sleep(50)
            except asyncio.CancelledError:
                await asyncio.sleep(50)
            return None

    async def story() -> None:
        dispatch = ExporterManager(lambda _: None, lambda: 0.0, lambda _: Stubborn())
        dispatch.configure([HOOK])
        dispatch.publish([view(1)])
        await asyncio.sleep(1)
        await dispatch.stop()
        assert asyncio.get_running_loop().time() < 2

    run_virtually(story())


def test_each_type_makes_its_exporter() -> None:
    """The settings decide which exporter is made."""
    file = FileSettings(name="f", pools=("boot",), path=Path("/x"), template="hosts")
    kea = KeaSettings(name="k", pools=("boot",), url="http://127.0.0.1:8000/", classes=("pvs",))
    command = CommandSettings(name="c", pools=("boot",), command=("true",))
    made = [make_exporter(settings) for settings in (file, kea, HOOK, command)]
    assert [type(exporter) for exporter in made] == [
        FileExporter,
        KeaExporter,
        WebhookExporter,
        CommandExporter,
    ]
    assert [exporter.name for exporter in made] == ["f", "k", "hook", "c"]
