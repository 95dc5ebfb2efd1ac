"""The settings of an event webhook."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class EventTopic(StrEnum):
    """The topics of events that a webhook can choose."""

    STANDING = "standing"  # a member came up or went down
    OVERRIDE = "override"  # an order began, ended, or was scheduled
    EVERYTHING_DOWN = "everything-down"  # no member of a pool is healthy, or one is again
    DRIFT = "drift"  # a member's files differ from the others'
    RELOAD = "reload"  # the config was read again, or refused
    WARNING = "warning"  # something is unusual about a boot file
    ALARM = "alarm"  # any other alarm, and its end
    SERVICE = "service"  # rrdns started or stopped


DEFAULT_TOPICS = (
    EventTopic.STANDING,
    EventTopic.OVERRIDE,
    EventTopic.EVERYTHING_DOWN,
    EventTopic.DRIFT,
    EventTopic.RELOAD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWebhookSettings:
    """A URL that gets events as they happen."""

    name: str
    url: str = field(repr=False)  # may hold a key
    secret_file: Path | None = None  # the key that signs
    ca_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    events: tuple[EventTopic, ...] = DEFAULT_TOPICS
    pools: tuple[str, ...] = ()  # empty: all
    timeout: float = 10.0  # of one attempt, in seconds
    queue: int = 1000  # events that may wait
