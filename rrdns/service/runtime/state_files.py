"""Where rrdns keeps its files beside the store."""

from __future__ import annotations

from pathlib import Path

from rrdns.config import Settings


def last_good_path(settings: Settings) -> Path | None:
    """Return where the last good snapshot is kept, beside the store."""
    if settings.store.backend == "memory":
        return None
    return settings.store.path.with_suffix(".last-good.db")


def outbox_path(settings: Settings) -> Path | None:
    """Return where events are kept that webhooks have yet to tell, beside the store."""
    if settings.store.backend == "memory":
        return None
    return settings.store.path.with_suffix(".webhooks.json")
