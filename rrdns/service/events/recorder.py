"""Record events: in the log, the audit trail and the event stream, and with subscribers.

An alarm lasts until its cause is gone. Recording never waits: the audit trail is written by a
task of its own, and a store that fails raises an alarm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from rrdns.core.events import SYSTEM_ACTOR, Event, alarm_cleared, alarm_raised
from rrdns.core.status import Alarm
from rrdns.errors import StoreFailed
from rrdns.service.runtime.log_setup import get_log
from rrdns.store.base import Store
from rrdns.web.event_buffer import EventBuffer

STORE_FAILED = "store-failed"
RETRY_INTERVAL = 5.0  # seconds, while events wait for a store that failed
MAX_WAITING = 10_000  # events that wait for a slow store; the oldest are dropped


class EventRecorder:
    """The one place where events are recorded."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.events = EventBuffer(clock=clock)
        self._subscribers: list[Callable[[Event], None]] = []
        self._store = store
        self._clock = clock
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._waiting: list[Event] = []  # for the audit trail
        self._added = asyncio.Event()
        self._log = get_log()

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Call `subscriber` with each event, in order; it must not wait."""
        self._subscribers.append(subscriber)

    def system_event(
        self,
        action: str,
        *,
        pool: str = "",
        member: str = "",
        before: str = "",
        after: str = "",
        reason: str = "",
        details: dict[str, str] | None = None,
    ) -> Event:
        """Return an event of now, of what rrdns did by itself."""
        return Event(
            at=self._clock(),
            by=SYSTEM_ACTOR,
            action=action,
            pool=pool,
            member=member,
            reason=reason,
            before=before,
            after=after,
            details=details or {},
        )

    def record(self, event: Event, *, bad: bool = False, kept: bool = False) -> None:
        """Record an event; `kept`: the audit trail has it already."""
        facts = {
            "by": event.by if event.by != SYSTEM_ACTOR else "",
            "pool": event.pool,
            "member": event.member,
            "before": event.before,
            "after": event.after,
            "because": event.reason,
            **event.details,
        }
        shown = {name: fact for name, fact in facts.items() if fact}
        (self._log.warning if bad else self._log.info)(event.action, **shown)
        self._publish(event)
        if not kept:
            self._waiting.append(event)
            del self._waiting[:-MAX_WAITING]
            self._added.set()

    def raise_alarm(self, name: str, sentence: str, pool: str = "") -> None:
        """Raise an alarm; one that is raised already only gets the new sentence."""
        key = (name, pool)
        known = self._alarms.get(key)
        if known is not None:
            self._alarms[key] = replace(known, sentence=sentence)
            return
        now = self._clock()
        self._alarms[key] = Alarm(name, sentence, now, pool)
        self._log.critical(name, alarm=sentence, **({"pool": pool} if pool else {}))
        self._publish(alarm_raised(now, name, sentence, pool))

    def clear_alarm(self, name: str, pool: str = "") -> None:
        """Clear an alarm, if it is raised."""
        if self._alarms.pop((name, pool), None) is not None:
            self._log.warning(name, alarm="over", **({"pool": pool} if pool else {}))
            self._publish(alarm_cleared(self._clock(), name, pool))

    def clear_pool_alarms(self, pool: str) -> None:
        """Clear all alarms of a pool that is gone."""
        for name, of_pool in list(self._alarms):
            if of_pool == pool:
                self.clear_alarm(name, pool)

    def _publish(self, event: Event) -> None:
        numbered = self.events.append(event)
        for subscriber in self._subscribers:
            subscriber(numbered)

    def alarms(self) -> tuple[Alarm, ...]:
        """Return the alarms that are raised, the oldest first."""
        return tuple(self._alarms.values())

    async def run_audit_writer(self) -> None:
        """Write events to the audit trail, for as long as the service runs."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._added.wait(), RETRY_INTERVAL if self._waiting else None
                )
            await self.flush()

    async def flush(self) -> None:
        """Write the events that wait to the audit trail; a failure raises an alarm."""
        self._added.clear()
        entries, self._waiting = self._waiting, []
        if not entries:
            return
        try:
            await self._store.append_audit(entries)
        except StoreFailed as error:
            self.raise_alarm(STORE_FAILED, str(error))
            self._waiting = entries + self._waiting  # tried again soon, or with the next one
        else:
            self.clear_alarm(STORE_FAILED)
