"""Exporters and webhooks of the config in force, and the alarms of those that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from rrdns.config import Settings
from rrdns.export.manager import ExporterManager
from rrdns.export.retry import DeliveryEvent, Outcome
from rrdns.export.webhooks.manager import WebhookManager
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.runtime.log_setup import get_log

EXPORT_FAILED = "export-failed-{}"  # with the exporter's name
WEBHOOK_FAILED = "webhook-failed-{}"  # with the webhook's name
WEBHOOKS_NOT_KEPT = "webhooks-not-kept"


class Integrations:
    """The exporters and the webhooks of the config in force."""

    def __init__(
        self, recorder: EventRecorder, clock: Callable[[], float], outbox: Path | None = None
    ) -> None:
        self.exporters = ExporterManager(self._on_export, clock)
        self.webhooks = WebhookManager(self._on_webhook, self._on_queues_saved, clock, outbox)
        self._recorder = recorder
        self._alarms: set[str] = set()  # that the configured ones may raise
        self._log = get_log()
        recorder.subscribe(self.webhooks.enqueue)

    def configure(self, settings: Settings) -> None:
        """Run the exporters and webhooks of the config, and no others."""
        self.exporters.configure(settings.exporters)
        self.webhooks.configure(settings.webhooks)
        alarms = {
            *_alarms(EXPORT_FAILED, (exporter.name for exporter in settings.exporters)),
            *_alarms(WEBHOOK_FAILED, (webhook.name for webhook in settings.webhooks)),
        }
        for name in self._alarms - alarms:
            self._recorder.clear_alarm(name)
        self._alarms = alarms

    def _on_export(self, event: DeliveryEvent) -> None:
        self._update_alarm(EXPORT_FAILED, f"exporter {event.receiver!r}", event)
        if event.outcome is not Outcome.FAILED:
            self._log.info(
                "exported", exporter=event.receiver, serial=event.serial, said=event.sentence
            )

    def _on_webhook(self, event: DeliveryEvent) -> None:
        self._update_alarm(WEBHOOK_FAILED, f"webhook {event.receiver!r}", event)

    def _update_alarm(self, alarm: str, receiver: str, event: DeliveryEvent) -> None:
        name = alarm.format(event.receiver)
        if event.outcome is Outcome.FAILED:
            self._recorder.raise_alarm(name, f"{receiver}: {event.sentence}")
        elif event.outcome is Outcome.RECOVERED:
            self._recorder.clear_alarm(name)

    def _on_queues_saved(self, trouble: str) -> None:
        if trouble:
            self._recorder.raise_alarm(WEBHOOKS_NOT_KEPT, trouble)
        else:
            self._recorder.clear_alarm(WEBHOOKS_NOT_KEPT)


def _alarms(alarm: str, names: Iterable[str]) -> set[str]:
    return {alarm.format(name) for name in names}
