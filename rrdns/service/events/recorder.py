"""Say what changed, once, to everyone who should know: the log, the audit trail, watchers.

Alarms are what an admin should know of for as long as they last. Saying never waits: the
audit trail is written behind the speaker's back, and a store that fails is an alarm itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace

from rrdns.core.model import AuditEntry
from rrdns.core.status import Alarm
from rrdns.errors import StoreFailed
from rrdns.service.runtime.log_setup import get_log
from rrdns.store.base import Store
from rrdns.web.event_buffer import Event, EventBuffer

STORE_FAILED = "store-failed"
SYSTEM_ACTOR = "rrdns"  # in the audit trail, for what nobody ordered
TRY_STORE_INTERVAL = 5.0  # seconds, while lines wait for a store that failed
MAX_WAITING = 10_000  # audit lines that wait for a slow store; the oldest are let go


class EventRecorder:
    """The one place where changes are told."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.events = EventBuffer(clock=clock)
        self.listeners: list[Callable[[Event], None]] = []  # called at once; they must not wait
        self._store = store
        self._clock = clock
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._waiting: list[AuditEntry] = []
        self._something = asyncio.Event()
        self._log = get_log()

    def system_entry(
        self,
        action: str,
        *,
        pool: str = "",
        member: str = "",
        before: str = "",
        after: str = "",
        reason: str = "",
        details: dict[str, str] | None = None,
    ) -> AuditEntry:
        """Return an audit entry of now, for what rrdns did by itself."""
        return AuditEntry(
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

    def record(self, entry: AuditEntry, *, bad: bool = False, kept: bool = False) -> None:
        """Tell of a change; `kept`: the audit trail has it already."""
        facts = {
            "by": entry.by if entry.by != SYSTEM_ACTOR else "",
            "pool": entry.pool,
            "member": entry.member,
            "before": entry.before,
            "after": entry.after,
            "because": entry.reason,
            **entry.details,
        }
        shown = {name: fact for name, fact in facts.items() if fact}
        (self._log.warning if bad else self._log.info)(entry.action, **shown)
        self._publish(entry.action, asdict(entry))
        if not kept:
            self._waiting.append(entry)
            del self._waiting[:-MAX_WAITING]
            self._something.set()

    def raise_alarm(self, name: str, sentence: str, pool: str = "") -> None:
        """Raise an alarm, or change its sentence; the same one again is not told twice."""
        key = (name, pool)
        known = self._alarms.get(key)
        if known is not None:
            self._alarms[key] = replace(known, sentence=sentence)
            return
        self._alarms[key] = Alarm(name, sentence, self._clock(), pool)
        self._log.critical(name, alarm=sentence, **({"pool": pool} if pool else {}))
        self._publish("alarm", {"name": name, "sentence": sentence, "pool": pool})

    def clear_alarm(self, name: str, pool: str = "") -> None:
        """End an alarm, if there is one."""
        if self._alarms.pop((name, pool), None) is not None:
            self._log.warning(name, alarm="over", **({"pool": pool} if pool else {}))
            self._publish("alarm-over", {"name": name, "pool": pool})

    def clear_pool_alarms(self, pool: str) -> None:
        """End all alarms of a pool that is no more."""
        for name, of_pool in list(self._alarms):
            if of_pool == pool:
                self.clear_alarm(name, pool)

    def _publish(self, kind: str, data: Mapping[str, object]) -> None:
        event = self.events.publish(kind, data)
        for listener in self.listeners:
            listener(event)

    def alarms(self) -> tuple[Alarm, ...]:
        """Return the alarms that last, the oldest first."""
        return tuple(self._alarms.values())

    async def run_audit_writer(self) -> None:
        """Write what was told to the audit trail, for as long as the service runs."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._something.wait(), TRY_STORE_INTERVAL if self._waiting else None
                )
            await self.flush()

    async def flush(self) -> None:
        """Write what is not yet in the audit trail; a failure is an alarm, and no more."""
        self._something.clear()
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
