"""Whom the service tells of itself: exporters and webhooks, and what their failures mean to us.

Each failure is an alarm for as long as it lasts. Nobody in here waits for another system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from rrdns.config import Settings
from rrdns.export.delivery import DeliveryEvent, Outcome
from rrdns.export.manager import ExporterManager
from rrdns.export.webhooks.event import webhook_event
from rrdns.export.webhooks.manager import WebhookManager
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.runtime.log_setup import get_log
from rrdns.web.event_buffer import Event

EXPORT_FAILED = "export-failed-{}"  # with the exporter's name
WEBHOOK_FAILED = "webhook-failed-{}"  # with the webhook's name
WEBHOOKS_NOT_KEPT = "webhooks-not-kept"


class Integrations:
    """The exporters and the webhooks of the config in force."""

    def __init__(
        self, recorder: EventRecorder, clock: Callable[[], float], outbox: Path | None = None
    ) -> None:
        self.exporters = ExporterManager(self._exporter_fares, clock)
        self.webhooks = WebhookManager(self._webhook_fares, self._is_kept, clock, outbox)
        self._recorder = recorder
        self._alarms: set[str] = set()  # that those who are configured may raise
        self._log = get_log()
        recorder.listeners.append(self._happened)

    def configure(self, settings: Settings) -> None:
        """Tell those that the config names, and no others."""
        self.exporters.configure(settings.exporters)
        self.webhooks.configure(settings.webhooks)
        alarms = {
            *_alarms(EXPORT_FAILED, (exporter.name for exporter in settings.exporters)),
            *_alarms(WEBHOOK_FAILED, (hook.name for hook in settings.webhooks)),
        }
        for name in self._alarms - alarms:
            self._recorder.clear_alarm(name)
        self._alarms = alarms

    def _happened(self, event: Event) -> None:
        self.webhooks.enqueue(webhook_event(event.id, event.at, event.kind, event.data))

    def _exporter_fares(self, news: DeliveryEvent) -> None:
        self._sound(EXPORT_FAILED, f"exporter {news.exporter!r}", news)
        if news.outcome is not Outcome.FAILED:
            self._log.info("told", exporter=news.exporter, serial=news.serial, said=news.sentence)

    def _webhook_fares(self, news: DeliveryEvent) -> None:
        self._sound(WEBHOOK_FAILED, f"webhook {news.exporter!r}", news)

    def _sound(self, alarm: str, who: str, news: DeliveryEvent) -> None:
        if news.outcome is Outcome.FAILED:
            self._recorder.raise_alarm(alarm.format(news.exporter), f"{who}: {news.sentence}")
        elif news.outcome is Outcome.RECOVERED:
            self._recorder.clear_alarm(alarm.format(news.exporter))

    def _is_kept(self, trouble: str) -> None:
        if trouble:
            self._recorder.raise_alarm(WEBHOOKS_NOT_KEPT, trouble)
        else:
            self._recorder.clear_alarm(WEBHOOKS_NOT_KEPT)


def _alarms(alarm: str, names: Iterable[str]) -> set[str]:
    return {alarm.format(name) for name in names}
