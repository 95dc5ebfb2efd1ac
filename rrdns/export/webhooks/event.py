"""Say in JSON what happened, for the receivers of webhooks; and what an event is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from rrdns.export.webhooks.settings import EventTopic

VERSION = 1
DROPPED = "dropped"  # what a receiver is told where events were let go
EVERYTHING_DOWN = "everything-down"  # the alarm
_SUBJECTS = {
    "standing": EventTopic.STANDING,
    "drift": EventTopic.DRIFT,
    "warning": EventTopic.WARNING,
    "reload": EventTopic.RELOAD,
    "reload-failed": EventTopic.RELOAD,
    "start": EventTopic.SERVICE,
    "stop": EventTopic.SERVICE,
}
SYSTEM_ACTOR = "rrdns"  # in `by`, for what nobody ordered
_ALARMS = ("alarm", "alarm-over")


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event, as webhooks are told it."""

    id: int  # as in the stream of events: rising, also across restarts
    at: float  # Unix seconds
    subject: str  # a Subject, or LOST
    action: str  # "standing", "drain", "resume", "reload-failed", "alarm", "alarm-over" ...
    pool: str = ""
    member: str = ""
    by: str = ""
    before: str = ""
    after: str = ""
    reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return it as one sentence, which chats show as it is."""
        whom = f"{self.member} of pool {self.pool}" if self.member else self.pool
        change = f"{self.before} -> {self.after}" if self.before else self.after
        deed = self.action if change == "" or self.subject != EventTopic.STANDING else ""
        by = f"by {self.by}" if self.by not in ("", SYSTEM_ACTOR) else ""
        because = f"({self.reason})" if self.reason else ""
        said = " ".join(part for part in (deed, change, by, because) if part)
        return f"{whom}: {said}" if whom else said


def webhook_event(id_: int, at: float, kind: str, data: Mapping[str, object]) -> WebhookEvent:
    """Return the notice of an event, as the stream of events has it."""
    if kind in _ALARMS:
        name, over = str(data["name"]), kind == "alarm-over"
        return WebhookEvent(
            id_,
            at,
            EventTopic.EVERYTHING_DOWN if name == EVERYTHING_DOWN else EventTopic.ALARM,
            kind,
            pool=str(data["pool"]),
            after=f"{name} is over" if over else name,
            reason=str(data.get("sentence", "")),
        )
    details = data.get("details")
    return WebhookEvent(
        id_,
        at,
        _SUBJECTS.get(kind, EventTopic.OVERRIDE),
        kind,
        **{name: str(data.get(name, "")) for name in _TEXTS},
        details=dict(details) if isinstance(details, Mapping) else {},
    )


def dropped_events(count: int, until: WebhookEvent) -> WebhookEvent:
    """Return what a receiver is told of events that were let go, up to one."""
    return WebhookEvent(
        until.id,
        until.at,
        DROPPED,
        DROPPED,
        reason=f"{count} events could not be delivered and were dropped",
        details={"count": str(count)},
    )


def to_json(webhook: str, event: WebhookEvent) -> str:
    """Return the JSON text that a receiver gets, with a line end."""
    value = {
        "version": VERSION,
        "webhook": webhook,
        "event": event.subject,
        **to_values(event),
        "text": event.text,
    }
    del value["subject"]
    return json.dumps(value, indent=2) + "\n"


def to_values(event: WebhookEvent) -> dict[str, object]:
    """Return a notice as JSON values; `Notice(**values)` reads it back."""
    return {
        "id": event.id,
        "at": event.at,
        "subject": str(event.subject),
        "action": event.action,
        **{name: getattr(event, name) for name in _TEXTS},
        "details": dict(event.details),
    }


_TEXTS = ("pool", "member", "by", "before", "after", "reason")
