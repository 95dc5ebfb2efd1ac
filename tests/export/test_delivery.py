"""How a courier carries what is told: coalesced, limited, repeated; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from rrdns.export.delivery import COALESCE, ExporterTask
from rrdns.export.errors import DeliveryFailed
from rrdns.export.pool_view import PoolScope
from rrdns.export.retry import DeliveryEvent, Outcome
from rrdns.export.settings import ExporterSettingsBase
from tests.export.pool_views import Listener, view
from tests.virtual_time import run_virtually

DOWN = DeliveryFailed("kea", "it does not answer")


class Scene:
    """A courier, its exporter, and what was heard of them."""

    def __init__(self, **settings: Any) -> None:
        self.listener = Listener()
        self.news: list[DeliveryEvent] = []
        delivery = ExporterSettingsBase(
            **{"name": "kea", "pools": ("boot",), "timeout": 5.0, **settings}
        )
        clock = asyncio.get_running_loop().time
        self.task = ExporterTask(self.listener, delivery, self.news.append, lambda: 1000 + clock())

    def outcomes(self) -> list[Outcome]:
        """Return what the log would show."""
        return [news.outcome for news in self.news]


@asynccontextmanager
async def scene(**settings: Any) -> AsyncIterator[Scene]:
    """Run a courier for the length of the block."""
    it = Scene(**settings)
    it.task.start()
    try:
        yield it
    finally:
        await it.task.stop()


def test_changes_within_a_moment_are_told_once() -> None:
    """Of five changes in a row only the last one is told, and nothing is queued."""

    async def story() -> None:
        async with scene() as it:
            for number in range(1, 6):
                it.task.update([view(number)])
            await asyncio.sleep(1)
            assert [told[0].first for _, told in it.listener.outcome] == ["10.0.0.5"]
            assert it.listener.outcome[0][0] == pytest.approx(COALESCE)

    run_virtually(story())


def test_changes_during_a_slow_telling_become_one_more() -> None:
    """The latest wins: what changed thrice in the meantime is told once afterwards."""

    async def story() -> None:
        async with scene() as it:
            it.listener.seconds = 3.0
            it.task.update([view(1)])
            for number in (2, 3, 4):
                await asyncio.sleep(0.5)
                it.task.update([view(number)])
                assert it.task.report().pending
            await asyncio.sleep(10)
            assert it.listener.firsts() == ["1", "4"]
            assert not it.task.report().pending

    run_virtually(story())


def test_what_says_the_same_is_not_told_again() -> None:
    """A new serial alone is no news for another system."""

    async def story() -> None:
        async with scene() as it:
            for serial in (1, 2, 3):
                it.task.update([view(1, 2, serial=serial)])
                await asyncio.sleep(1)
            assert len(it.listener.outcome) == 1

    run_virtually(story())


def test_a_failure_is_repeated_with_growing_pauses() -> None:
    """1 s, doubling to 60 s; told in the log once, counted each time."""

    async def story() -> None:
        async with scene() as it:
            it.listener.error = DOWN
            it.task.update([view(1)])
            await asyncio.sleep(250)
            began = it.listener.began
            pauses = [after - before for before, after in pairwise(began)]
            assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
            report = it.task.report()
            assert (report.failing, report.pending, report.attempts) == (True, True, 10)
            assert report.last_error == "kea: it does not answer"
            assert report.next_try == pytest.approx(1000 + began[-1] + 60)
            assert it.outcomes() == [Outcome.FAILED]
            it.listener.error = None
            await asyncio.sleep(60)
            report = it.task.report()
            assert (report.failing, report.pending, report.attempts) == (False, False, 0)
            assert (report.delivered, report.failed, report.serial) == (1, 10, 7)
            assert report.last_success is not None
            assert report.last_error
            assert it.outcomes() == [Outcome.FAILED, Outcome.RECOVERED]

    run_virtually(story())


def test_a_change_does_not_wait_out_a_long_pause() -> None:
    """Something new is tried soon, but never twice within a second while it fails."""

    async def story() -> None:
        async with scene() as it:
            it.listener.error = DOWN
            it.task.update([view(1)])
            await asyncio.sleep(70)  # the next one is due after 127 s
            count = len(it.listener.began)
            it.task.update([view(2)])
            await asyncio.sleep(COALESCE + 0.01)
            assert len(it.listener.began) == count + 1
            for number in range(3, 13):
                it.task.update([view(number)])
                await asyncio.sleep(0.1)
            assert len(it.listener.began) == count + 2

    run_virtually(story())


def test_an_attempt_has_a_time_limit() -> None:
    """A system that does not answer is given up, cancelled, and tried again."""

    async def story() -> None:
        async with scene(timeout=2.0) as it:
            it.listener.seconds = 1000
            it.task.update([view(1)])
            await asyncio.sleep(2.5)
            assert it.listener.cancelled == 1
            assert it.task.report().last_error == "it took more than 2 s and was given up"

    run_virtually(story())


def test_a_defect_of_an_exporter_stays_in_its_report() -> None:
    """What nobody foresaw is reported and repeated, and ends no task."""

    async def story() -> None:
        async with scene() as it:
            it.listener.error = RuntimeError("unforeseen")
            it.task.update([view(1)])
            await asyncio.sleep(0.5)
            assert "unforeseen" in it.task.report().last_error
            it.listener.error = None
            await asyncio.sleep(5)
            assert it.listener.firsts() == ["1"]

    run_virtually(story())


def test_the_first_member_moves_on_in_its_time() -> None:
    """Each `rotate_every` another one leads, so that leases spread."""

    async def story() -> None:
        async with scene(scope=PoolScope.FIRST, rotate_every=10.0) as it:
            it.task.update([view(1, 2, 3)])
            await asyncio.sleep(55)
            assert it.listener.firsts() == ["1", "2", "3", "1", "2", "3"]
            assert all(len(told[0].in_rotation) == 1 for _, told in it.listener.outcome)

    run_virtually(story())


def test_one_member_alone_is_not_told_again_and_again() -> None:
    """With nobody to take turns with, there is nothing to rotate."""

    async def story() -> None:
        async with scene(scope=PoolScope.FIRST, rotate_every=10.0) as it:
            it.task.update([view(1)])
            await asyncio.sleep(100)
            assert it.listener.firsts() == ["1"]

    run_virtually(story())


def test_a_first_member_that_falls_is_replaced_at_once() -> None:
    """The next one leads without waiting for the rotation; another's fall changes no first."""

    async def story() -> None:
        async with scene(scope=PoolScope.FIRST, rotate_every=600.0) as it:
            it.task.update([view(1, 2, 3)])
            await asyncio.sleep(1)
            it.task.update([view(2, 3)])
            await asyncio.sleep(1)
            it.task.update([view(1, 2)])
            await asyncio.sleep(1)
            assert it.listener.firsts() == ["1", "2", "2"]

    run_virtually(story())


def test_a_pool_without_anybody_is_held_back() -> None:
    """An empty list boots nobody: what was told last stays, and the report says so."""

    async def story() -> None:
        async with scene() as it:
            it.task.update([view(1, 2)])
            await asyncio.sleep(1)
            it.task.update([view()])
            await asyncio.sleep(100)
            assert len(it.listener.outcome) == 1
            assert "no member of 'boot' is in rotation" in it.task.report().note
            it.task.update([view(2)])
            await asyncio.sleep(1)
            assert it.listener.firsts() == ["1", "2"]
            assert it.task.report().note == ""

    run_virtually(story())


def test_nothing_is_told_before_every_pool_is_known() -> None:
    """A file of two pools that lacks one would take that one away from its readers."""

    async def story() -> None:
        async with scene(pools=("boot", "login")) as it:
            it.task.update([view(1), view(9, pool="other")])
            await asyncio.sleep(10)
            assert not it.listener.outcome
            it.task.update([view(2, pool="login")])
            await asyncio.sleep(1)
            (_, told) = it.listener.outcome[0]
            assert [one.pool for one in told] == ["boot", "login"]

    run_virtually(story())


def test_a_refresh_tells_again_and_logs_nothing_when_all_was_known() -> None:
    """A system that may forget is told now and then; no news is no log line."""

    async def story() -> None:
        async with scene(refresh_every=30.0) as it:
            it.task.update([view(1)])
            await asyncio.sleep(1)
            it.listener.answer = None
            await asyncio.sleep(90)
            assert len(it.listener.outcome) == 4
            assert it.outcomes() == [Outcome.DELIVERED]

    run_virtually(story())


def test_a_courier_stops_in_the_middle_of_an_attempt() -> None:
    """A stop does not wait for anybody."""

    async def story() -> None:
        async with scene() as it:
            it.listener.seconds = 1000
            it.task.update([view(1)])
            await asyncio.sleep(1)
            await it.task.stop()
            assert it.listener.cancelled == 1
            assert asyncio.get_running_loop().time() == pytest.approx(1)

    run_virtually(story())
