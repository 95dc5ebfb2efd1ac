"""Say in JSON what happened, for the receivers of webhooks; and what an event is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from rrdns.export.settings import Subject

VERSION = 1
LOST = "lost"  # what a receiver is told where events were let go
EVERYTHING_DOWN = "everything-down"  # the alarm
_SUBJECTS = {
    "standing": Subject.STANDING,
    "drift": Subject.DRIFT,
    "warning": Subject.WARNING,
    "reload": Subject.RELOAD,
    "reload-failed": Subject.RELOAD,
    "start": Subject.SERVICE,
    "stop": Subject.SERVICE,
}
OURSELVES = "rrdns"  # in `by`, for what nobody ordered
_ALARMS = ("alarm", "alarm-over")


@dataclass(frozen=True, slots=True)
class Notice:
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
        deed = self.action if change == "" or self.subject != Subject.STANDING else ""
        by = f"by {self.by}" if self.by not in ("", OURSELVES) else ""
        because = f"({self.reason})" if self.reason else ""
        said = " ".join(part for part in (deed, change, by, because) if part)
        return f"{whom}: {said}" if whom else said


def notice_of(id_: int, at: float, kind: str, data: Mapping[str, object]) -> Notice:
    """Return the notice of an event, as the stream of events has it."""
    if kind in _ALARMS:
        name, over = str(data["name"]), kind == "alarm-over"
        return Notice(
            id_,
            at,
            Subject.EVERYTHING_DOWN if name == EVERYTHING_DOWN else Subject.ALARM,
            kind,
            pool=str(data["pool"]),
            after=f"{name} is over" if over else name,
            reason=str(data.get("sentence", "")),
        )
    details = data.get("details")
    return Notice(
        id_,
        at,
        _SUBJECTS.get(kind, Subject.OVERRIDE),
        kind,
        **{name: str(data.get(name, "")) for name in _TEXTS},
        details=dict(details) if isinstance(details, Mapping) else {},
    )


def lost(count: int, until: Notice) -> Notice:
    """Return what a receiver is told of events that were let go, up to one."""
    return Notice(
        until.id,
        until.at,
        LOST,
        LOST,
        reason=f"{count} events could not be delivered and were let go",
        details={"count": str(count)},
    )


def to_json(webhook: str, notice: Notice) -> str:
    """Return the JSON text that a receiver gets, with a line end."""
    value = {
        "version": VERSION,
        "webhook": webhook,
        "event": notice.subject,
        **to_values(notice),
        "text": notice.text,
    }
    del value["subject"]
    return json.dumps(value, indent=2) + "\n"


def to_values(notice: Notice) -> dict[str, object]:
    """Return a notice as JSON values; `Notice(**values)` reads it back."""
    return {
        "id": notice.id,
        "at": notice.at,
        "subject": str(notice.subject),
        "action": notice.action,
        **{name: getattr(notice, name) for name in _TEXTS},
        "details": dict(notice.details),
    }


_TEXTS = ("pool", "member", "by", "before", "after", "reason")
