"""Make the exporter that its settings ask for."""

from __future__ import annotations

from rrdns.export.command_exporter import CommandExporter
from rrdns.export.exporter import Exporter
from rrdns.export.file.exporter import FileExporter
from rrdns.export.kea.exporter import KeaExporter
from rrdns.export.settings import (
    CommandSettings,
    ExporterSettings,
    FileSettings,
    KeaSettings,
    WebhookSettings,
)
from rrdns.export.webhook_exporter import WebhookExporter


def make_exporter(settings: ExporterSettings) -> Exporter:
    """Return the exporter of these settings."""
    match settings:
        case FileSettings():
            return FileExporter(settings)
        case KeaSettings():
            return KeaExporter(settings)
        case WebhookSettings():
            return WebhookExporter(settings)
        case CommandSettings():
            return CommandExporter(settings)
