"""Carry to one exporter what it is to be told: the latest only, one attempt at a time.

A change waits a moment for others, an attempt has a time limit, a failed one is repeated
after 1 s, doubling to 60 s, and all of it happens in a task of its own: whoever publishes
hands over and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from rrdns.core.status import ExporterStatus
from rrdns.export.errors import ExportFailed
from rrdns.export.exporter import Exporter
from rrdns.export.pool_view import PoolView, limited_to, with_first
from rrdns.export.settings import ExporterSettingsBase

COALESCE = 0.1  # seconds that a change waits for others
RETRY_FIRST, RETRY_MOST = 1.0, 60.0


def back_off(failures: int) -> float:
    """Return how long to wait after one more failure than these in a row."""
    return min(RETRY_FIRST * 2.0 ** min(failures, 10), RETRY_MOST)


class Outcome(StrEnum):
    """What became of an attempt, as far as it is worth a line in the log."""

    DELIVERED = "delivered"
    FAILED = "failed"  # for the first time, or for another reason than before
    RECOVERED = "recovered"  # told, after it had failed


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """What happened to a delivery of an exporter."""

    exporter: str
    outcome: Outcome
    sentence: str  # what the exporter or its command said, or why it failed
    serial: int


class ExporterTask:
    """One exporter's task."""

    def __init__(
        self,
        exporter: Exporter,
        delivery: ExporterSettingsBase,
        heard: Callable[[DeliveryEvent], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.delivery = delivery
        self._exporter = exporter
        self._heard = heard
        self._clock = clock
        self._latest: dict[str, PoolView] = {}
        self._led: dict[str, PoolView] = {}  # as last composed, for who stood first
        self._held: set[str] = set()
        self._changed = asyncio.Event()
        self._fresh_at: float | None = None  # loop time; None: nothing new
        self._retry_at: float | None = None
        self._trying = False
        self._tried_at = self._told_at = self._turned_at = 0.0
        self._report = ExporterStatus(
            name=delivery.name,
            kind=delivery.kind,
            pools=delivery.pools,
            pending=False,
            failing=False,
        )
        self._task: asyncio.Task[None] | None = None

    def update(self, views: Iterable[PoolView]) -> None:
        """Take what is true now; pools of others, and what is known already, pass by.

        A pool that has nobody to hand out is held back: what was told last may still boot a
        target, and an empty list boots none.
        """
        for view in views:
            if view.pool not in self.delivery.pools:
                continue
            if not view.in_rotation:
                self._held.add(view.pool)
                continue
            self._held.discard(view.pool)
            known = self._latest.get(view.pool)
            self._latest[view.pool] = view
            if not view.has_same_content(known):
                if self._fresh_at is None:
                    self._fresh_at = asyncio.get_running_loop().time()
                self._changed.set()

    def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End, in the middle of an attempt too."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def report(self) -> ExporterStatus:
        """Return how it stands."""
        pending = self._trying or self._fresh_at is not None or self._report.failing
        return replace(self._report, pending=pending, next_try=self._next_try(), note=self._note())

    async def _run(self) -> None:
        while True:
            await self._until_due()
            await self._attempt()

    async def _until_due(self) -> None:
        clock = asyncio.get_running_loop().time
        while (due := self._due_at()) is None or due > clock():
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._changed.wait()

    def _due_at(self) -> float | None:
        """Return the loop time of the next attempt; None: when something new comes."""
        if any(pool not in self._latest for pool in self.delivery.pools):
            return None
        times: list[float] = []
        if self._fresh_at is not None:
            # Something new need not wait for a long back-off, but is no way round it either.
            soonest = self._tried_at + RETRY_FIRST if self._retry_at is not None else 0.0
            times.append(max(self._fresh_at + COALESCE, soonest))
        if self._retry_at is not None:
            times.append(self._retry_at)
        elif self._report.delivered:
            times += [self._turned_at + self.delivery.rotation] if self._may_turn() else []
            refresh = self.delivery.refresh_every
            times += [self._told_at + refresh] if refresh else []
        return min(times, default=None)

    def _may_turn(self) -> bool:
        several = any(len(view.in_rotation) > 1 for view in self._latest.values())
        return several and self.delivery.rotation > 0

    async def _attempt(self) -> None:
        views = self._compose()
        self._fresh_at, self._trying = None, True
        self._tried_at = asyncio.get_running_loop().time()
        limit = self.delivery.timeout
        try:
            async with asyncio.timeout(limit):
                said = await self._exporter.export(views)
        except ExportFailed as error:
            self._failed(str(error))
        except TimeoutError:
            self._failed(f"it took more than {limit:g} s and was given up")
        except Exception as error:  # noqa: BLE001 - a defect of one exporter stays in its report
            self._failed(f"a defect of rrdns: {error!r}")
        else:
            self._succeeded(said, max(view.serial for view in views))
        finally:
            self._trying = False

    def _compose(self) -> tuple[PoolView, ...]:
        now = asyncio.get_running_loop().time()
        turn = bool(self._led) and self._may_turn()
        turn = turn and now >= self._turned_at + self.delivery.rotation
        if turn or not self._led:
            self._turned_at = now
        at = self._clock()
        self._led = {
            pool: with_first(replace(self._latest[pool], at=at), self._led.get(pool), turn=turn)
            for pool in self.delivery.pools
        }
        return tuple(limited_to(view, self.delivery.scope) for view in self._led.values())

    def _succeeded(self, said: str | None, serial: int) -> None:
        outcome = Outcome.RECOVERED if self._report.failing else Outcome.DELIVERED
        self._retry_at = None
        self._told_at = asyncio.get_running_loop().time()
        self._report = replace(
            self._report,
            failing=False,
            attempts=0,
            last_success=self._clock(),
            serial=serial,
            delivered=self._report.delivered + 1,
        )
        if said is not None or outcome is Outcome.RECOVERED:
            self._heard(DeliveryEvent(self.delivery.name, outcome, said or "", serial))

    def _failed(self, sentence: str) -> None:
        known = self._report.failing and self._report.last_error == sentence
        self._retry_at = asyncio.get_running_loop().time() + back_off(self._report.attempts)
        self._report = replace(
            self._report,
            failing=True,
            attempts=self._report.attempts + 1,
            last_error=sentence,
            last_error_at=self._clock(),
            failed=self._report.failed + 1,
        )
        if not known:
            self._heard(
                DeliveryEvent(self.delivery.name, Outcome.FAILED, sentence, self._report.serial)
            )

    def _next_try(self) -> float | None:
        if self._retry_at is None:
            return None
        due = self._due_at() or self._retry_at
        return self._clock() + max(0.0, due - asyncio.get_running_loop().time())

    def _note(self) -> str:
        if not self._held:
            return ""
        pools = ", ".join(repr(pool) for pool in self.delivery.pools if pool in self._held)
        return f"nobody of {pools} is handed out; what was told last stays as it is"
