"""Keep a messenger for each webhook that is configured, and on disk what they have yet to tell.

Nothing here waits for a receiver: `tell` only hands over. What waits for one that fails is
written to a file, so that a restart forgets nothing but what came since the last attempt.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rrdns.core.status import WebhookReport
from rrdns.export.atomic_write import write_atomically
from rrdns.export.delivery import News
from rrdns.export.errors import FileNotWritten
from rrdns.export.settings import HookSettings
from rrdns.export.webhooks.delivery import Messenger, Waiting
from rrdns.export.webhooks.event import Notice, to_values

GRACE = 0.3  # seconds that a stop gives to what is under way
KEEP_EVERY = 1.0  # seconds between two writes
_MODE = 0o600


class Hooks:
    """All webhooks."""

    def __init__(
        self,
        heard: Callable[[News], None],
        trouble: Callable[[str], None],
        clock: Callable[[], float],
        outbox: Path | None,
    ) -> None:
        self._heard = heard
        self._trouble = trouble  # told why what waits cannot be kept; empty: it can
        self._clock = clock
        self._outbox = outbox  # None: a restart forgets what waits
        self._messengers: dict[HookSettings, Messenger] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._left: dict[str, Waiting] | None = None  # by name, by those before; None: not read yet
        self._to_keep = asyncio.Event()

    def configure(self, hooks: Sequence[HookSettings]) -> None:
        """Tell these from now on, and no others; who keeps its name goes on where it was."""
        if self._left is None:
            self._left = self._read()
        for settings in self._messengers.keys() - set(hooks):
            messenger = self._messengers.pop(settings)
            self._left[settings.name] = messenger.waiting()
            self._dismiss(messenger)
        for settings in hooks:
            if settings not in self._messengers:
                self._messengers[settings] = self._begin(settings, self._left)
        self._messengers = {settings: self._messengers[settings] for settings in hooks}
        self._left.clear()
        self._to_keep.set()

    def tell(self, notice: Notice) -> None:
        """Hand over an event."""
        for messenger in self._messengers.values():
            messenger.take(notice)

    def reports(self) -> tuple[WebhookReport, ...]:
        """Return how each webhook stands, in the order of the config."""
        return tuple(messenger.report() for messenger in self._messengers.values())

    async def keep(self) -> None:
        """Keep on disk what waits, for as long as the service runs."""
        while True:
            await self._to_keep.wait()
            self._to_keep.clear()
            await self._keep()
            await asyncio.sleep(KEEP_EVERY)

    async def stop(self) -> None:
        """End all of it, and keep what could not be told."""
        stopping = (messenger.stop(GRACE) for messenger in self._messengers.values())
        await asyncio.gather(*stopping, *self._leaving)
        if self._left is not None:
            await self._keep()

    def _begin(self, settings: HookSettings, left: dict[str, Waiting]) -> Messenger:
        messenger = Messenger(settings, self._heard, self._clock, self._to_keep.set)
        if settings.name in left:
            messenger.take_up(left[settings.name])
        messenger.start()
        return messenger

    def _dismiss(self, messenger: Messenger) -> None:
        task = asyncio.create_task(messenger.stop())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _keep(self) -> None:
        waiting = {
            settings.name: messenger.waiting() for settings, messenger in self._messengers.items()
        }
        try:
            await asyncio.to_thread(self._write, waiting)
        except OSError as error:
            self._trouble(f"{self._outbox} cannot be deleted: {error}")
        except FileNotWritten as error:
            self._trouble(f"what waits for webhooks cannot be kept: {error}")
        else:
            self._trouble("")

    def _write(self, waiting: dict[str, Waiting]) -> None:
        if self._outbox is None:
            return
        if not any(each.notices or each.lost for each in waiting.values()):
            self._outbox.unlink(missing_ok=True)
            return
        values = {name: _to_values(each) for name, each in waiting.items()}
        write_atomically(self._outbox, json.dumps(values).encode(), _MODE)

    def _read(self) -> dict[str, Waiting]:
        if self._outbox is None:
            return {}
        try:
            values = json.loads(self._outbox.read_bytes())
            return {name: _from_values(each) for name, each in values.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._trouble(f"{self._outbox} cannot be read, and its events are lost: {error}")
            return {}


def _to_values(waiting: Waiting) -> dict[str, Any]:
    until = waiting.lost_until
    return {
        "notices": [to_values(notice) for notice in waiting.notices],
        "lost": waiting.lost,
        "lost_until": None if until is None else to_values(until),
    }


def _from_values(value: dict[str, Any]) -> Waiting:
    until = value["lost_until"]
    return Waiting(
        tuple(Notice(**each) for each in value["notices"]),
        int(value["lost"]),
        None if until is None else Notice(**until),
    )
