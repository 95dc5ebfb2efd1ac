"""Settings of an event webhook, and what is wrong between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rrdns.export.settings import _of_url


class EventTopic(StrEnum):
    """What an event is about, as a webhook chooses it."""

    STANDING = "standing"  # the probes say otherwise of a member
    OVERRIDE = "override"  # an order was given, ended, lifted or put off
    EVERYTHING_DOWN = "everything-down"  # no member of a pool is healthy, or one is again
    DRIFT = "drift"  # a member's files differ from the others'
    RELOAD = "reload"  # the config was read again, or refused
    WARNING = "warning"  # a boot file is odd
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
    """A URL that is told of events as they happen."""

    name: str
    url: str = field(repr=False)  # may hold a key
    secret_file: Path | None = None  # the key that signs
    ca_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    events: tuple[EventTopic, ...] = DEFAULT_TOPICS
    pools: tuple[str, ...] = ()  # none: of all
    timeout: float = 10.0  # seconds, of one attempt
    queue: int = 1000  # most events that wait for a receiver


def webhook_mistakes(settings: EventWebhookSettings) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a webhook's settings, as (setting, problem)."""
    yield from _of_url("url", settings.url)
    if not settings.events:
        yield "events", f"is empty; name some of {', '.join(EventTopic)}, or leave it out"
    if not settings.timeout > 0:
        yield "timeout", "must be more than 0 seconds"
