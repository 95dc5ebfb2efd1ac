"""Repeat attempts to reach a receiver, one at a time, in a task of their own.

A failed attempt is repeated after 1 s, doubling to 60 s. What is delivered, and when an
attempt is due, is up to the class that derives from `RetryingTask`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from rrdns.core.status import ExporterStatus, WebhookStatus
from rrdns.export.errors import ExportFailed

RETRY_FIRST, RETRY_MAX = 1.0, 60.0  # seconds
Status = TypeVar("Status", ExporterStatus, WebhookStatus)


def back_off(failures: int) -> float:
    """Return the seconds to wait after one more failure than these in a row."""
    return min(RETRY_FIRST * 2.0 ** min(failures, 10), RETRY_MAX)


class Outcome(StrEnum):
    """What an attempt came to, where that is worth a line in the log."""

    DELIVERED = "delivered"
    FAILED = "failed"  # for the first time, or for another reason than before
    RECOVERED = "recovered"  # delivered, after it had failed


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """The outcome of an attempt."""

    receiver: str  # name of the exporter or webhook
    outcome: Outcome
    sentence: str  # what the exporter or its command returned, or why it failed
    serial: int = 0  # of the snapshot that was exported


class RetryingTask(ABC, Generic[Status]):
    """The task of one receiver, and the account of its attempts."""

    def __init__(
        self,
        status: Status,
        timeout: float,
        on_event: Callable[[DeliveryEvent], None],
        clock: Callable[[], float],
    ) -> None:
        self._status: Status = status
        self._timeout = timeout  # seconds, of one attempt
        self._on_event = on_event
        self._clock = clock
        self._retry_at: float | None = None  # on the loop's clock; None: the last attempt succeeded
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop the task, in the middle of an attempt too."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @abstractmethod
    async def _until_due(self) -> None:
        """Return when the next attempt is due."""

    @abstractmethod
    async def _deliver(self) -> None:
        """Make one attempt, and call `_succeeded`.

        Raises:
            ExportFailed: the attempt failed.
        """

    def _failure(self, reason: str) -> ExportFailed:
        """Return the error of an attempt that did not fail by itself."""
        return ExportFailed(reason)

    async def _run(self) -> None:
        while True:
            await self._until_due()
            await self._attempt()

    async def _attempt(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._deliver()
        except ExportFailed as error:
            self._failed(error)
        except TimeoutError:
            self._failed(self._failure(f"it took more than {self._timeout:g} s and was given up"))
        except Exception as error:  # noqa: BLE001 - a defect of one receiver stays in its status
            self._failed(self._failure(f"a defect of rrdns: {error!r}"))

    def _succeeded(self, said: str | None = None, serial: int = 0) -> None:
        """Note a success; `said` goes to the log, None if there is nothing to log."""
        was_failing, self._retry_at = self._status.failing, None
        self._status = replace(
            self._status,
            failing=False,
            attempts=0,
            last_success=self._clock(),
            delivered=self._status.delivered + 1,
        )
        if said is not None or was_failing:
            outcome = Outcome.RECOVERED if was_failing else Outcome.DELIVERED
            self._on_event(DeliveryEvent(self._status.name, outcome, said or "", serial))

    def _failed(self, error: ExportFailed) -> None:
        status, sentence = self._status, str(error)
        is_known = status.failing and status.last_error == sentence
        self._retry_at = asyncio.get_running_loop().time() + back_off(status.attempts)
        self._status = replace(
            status,
            failing=True,
            attempts=status.attempts + 1,
            last_error=sentence,
            last_error_at=self._clock(),
            failed=status.failed + 1,
        )
        if not is_known:
            self._on_event(DeliveryEvent(status.name, Outcome.FAILED, sentence))

    def _date_of(self, loop_time: float | None) -> float | None:
        """Return a time of the loop's clock as Unix seconds; a time in the past is now."""
        if loop_time is None:
            return None
        return self._clock() + max(0.0, loop_time - asyncio.get_running_loop().time())
