"""What happened, as one value for the audit trail, the log, the event stream and the webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field

SYSTEM_ACTOR = "rrdns"  # in `by`, of what no admin ordered
EVERYTHING_DOWN = "everything-down"  # the alarm of a pool without a healthy member
ALARM_RAISED, ALARM_CLEARED = "alarm", "alarm-over"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: who did what to which member, when and why."""

    at: float  # Unix seconds
    by: str  # a token's name, or `SYSTEM_ACTOR`; empty of an alarm
    action: str  # "drain", "resume", "expire", "standing", "reload", "start", "alarm" ...
    pool: str = ""
    member: str = ""
    reason: str = ""
    before: str = ""
    after: str = ""
    details: dict[str, str] = field(default_factory=dict)
    alarm: str = ""  # the name of the alarm that was raised or cleared
    id: int = 0  # its number in the audit trail or the event stream that it was read from

    @property
    def is_alarm(self) -> bool:
        """Return whether an alarm was raised or cleared; the audit trail has no such events."""
        return self.action in {ALARM_RAISED, ALARM_CLEARED}


def alarm_raised(at: float, name: str, sentence: str, pool: str = "") -> Event:
    """Return the event of an alarm that begins."""
    return Event(at, "", ALARM_RAISED, pool, reason=sentence, after=name, alarm=name)


def alarm_cleared(at: float, name: str, pool: str = "") -> Event:
    """Return the event of an alarm that ends."""
    return Event(at, "", ALARM_CLEARED, pool, after=f"{name} is over", alarm=name)
