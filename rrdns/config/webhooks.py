"""What a `[[webhooks]]` table comes to, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rrdns.config.integrations import duplicates, unknown_pools
from rrdns.config.schema import File, WebhookTable
from rrdns.config.setting_path import InvalidPaths
from rrdns.errors import Mistake
from rrdns.export.settings import EventWebhookSettings, webhook_mistakes


def check(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    """Return every mistake in the webhooks that lies between values."""
    pools = {pool.name for pool in file.pools}
    yield from duplicates("webhooks", [table.name for table in file.webhooks], "webhook")
    for index, table in enumerate(file.webhooks):
        place = f"webhooks[{index}]"
        if "pools" not in broken:
            yield from unknown_pools(place, table.pools, pools)
        for name, problem in webhook_mistakes(hook_of(table)):
            if name in table.model_fields_set and f"{place}.{name}" not in broken:
                yield Mistake(f"{place}.{name}", problem)


def hook_of(table: WebhookTable) -> EventWebhookSettings:
    """Return the settings that a table without mistakes comes to."""
    return EventWebhookSettings(
        name=table.name,
        url=table.url,
        secret_file=Path(table.secret_file) if table.secret_file else None,
        ca_file=Path(table.ca_file) if table.ca_file else None,
        headers=tuple(table.headers.items()),
        events=tuple(subject for subject in table.events if subject is not None),
        pools=tuple(pool for pool in table.pools if pool is not None),
        timeout=float(table.timeout),
        queue=table.queue,
    )
