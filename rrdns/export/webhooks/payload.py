"""The JSON that webhooks receive, and the topic of an event."""

from __future__ import annotations

import json

from rrdns.core.events import EVERYTHING_DOWN, SYSTEM_ACTOR, Event
from rrdns.export.webhooks.settings import EventTopic

VERSION = 1
DROPPED = "dropped"  # action and topic of the event that replaces dropped ones
_TOPICS = {
    "standing": EventTopic.STANDING,
    "drift": EventTopic.DRIFT,
    "warning": EventTopic.WARNING,
    "reload": EventTopic.RELOAD,
    "reload-failed": EventTopic.RELOAD,
    "start": EventTopic.SERVICE,
    "stop": EventTopic.SERVICE,
    DROPPED: DROPPED,
}
_FIELDS = ("id", "at", "action", "pool", "member", "by", "before", "after", "reason", "details")


def topic_of(event: Event) -> str:
    """Return the topic of an event; all that an admin can order is one topic."""
    if event.is_alarm:
        return EventTopic.EVERYTHING_DOWN if event.alarm == EVERYTHING_DOWN else EventTopic.ALARM
    return _TOPICS.get(event.action, EventTopic.OVERRIDE)


def dropped_events(count: int, last: Event) -> Event:
    """Return the event that a receiver gets in place of those that were dropped, up to `last`."""
    return Event(
        last.at,
        "",
        DROPPED,
        reason=f"{count} events could not be delivered and were dropped",
        details={"count": str(count)},
        id=last.id,
    )


def to_json(webhook: str, event: Event) -> str:
    """Return the JSON text that a receiver gets, with a line end."""
    value = {
        "version": VERSION,
        "webhook": webhook,
        "event": str(topic_of(event)),
        **{name: getattr(event, name) for name in _FIELDS},
        "text": sentence(event),
    }
    return json.dumps(value, indent=2) + "\n"


def sentence(event: Event) -> str:
    """Return the event as one sentence, which chats show as it is."""
    subject = f"{event.member} of pool {event.pool}" if event.member else event.pool
    change = f"{event.before} -> {event.after}" if event.before else event.after
    action = event.action if change == "" or event.action != "standing" else ""
    by = f"by {event.by}" if event.by not in ("", SYSTEM_ACTOR) else ""
    because = f"({event.reason})" if event.reason else ""
    said = " ".join(part for part in (action, change, by, because) if part)
    return f"{subject}: {said}" if subject else said
