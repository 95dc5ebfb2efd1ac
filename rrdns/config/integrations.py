"""What an `[[exporters]]` table comes to: the settings of its type, or what is wrong with it.

One table holds the settings of all types, so that a mistake can be explained; which setting
belongs to which type is told by the dataclasses of `rrdns.export.settings` alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from rrdns.config.integration_tables import ExporterKind, ExporterTable, WebhookTable
from rrdns.config.schema import File
from rrdns.config.table import InvalidPaths, SettingPath
from rrdns.errors import Mistake
from rrdns.export.errors import ExportFailed
from rrdns.export.file.render import read_template
from rrdns.export.settings import (
    CommandSettings,
    ExporterSettings,
    FileSettings,
    KeaSettings,
    WebhookSettings,
    find_mistakes,
)
from rrdns.export.webhooks.settings import EventWebhookSettings, webhook_mistakes

_KINDS: dict[ExporterKind, type[ExporterSettings]] = {
    ExporterKind.FILE: FileSettings,
    ExporterKind.KEA: KeaSettings,
    ExporterKind.WEBHOOK: WebhookSettings,
    ExporterKind.COMMAND: CommandSettings,
}
_PATHS = frozenset({"path", "pid_file", "socket", "password_file", "ca_file", "secret_file"})
_EXAMPLES = {
    "path": 'path = "/var/lib/rrdns-export/dnsmasq.hosts"',
    "template": 'template = "dnsmasq-hosts"',
    "url": 'url = "https://ipam.example.test/hooks/pvs"',
    "command": 'command = ["/usr/local/bin/tell-ipam"]',
}


def check_exporters(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    """Return every mistake in the exporters that lies between values."""
    pools = {pool.name for pool in file.pools}
    yield from duplicates("exporters", [table.name for table in file.exporters], "exporter")
    for index, table in enumerate(file.exporters):
        place = f"exporters[{index}]"
        if "pools" not in broken:
            yield from unknown_pools(place, table.pools, pools)
        if not any(blamed.startswith(place) for blamed in broken):
            yield from _of_type(place, table)


def exporter_settings(table: ExporterTable) -> ExporterSettings:
    """Return the settings that a table without mistakes comes to."""
    if table.type is None:
        raise ValueError("an exporter without a type")
    written = {name: _value(name, getattr(table, name)) for name in _written(table)}
    return _KINDS[table.type](**written)


def duplicates(section: str, names: Sequence[str], each: str) -> Iterator[Mistake]:
    """Return a mistake for each table of a section that is called like one before it."""
    first: dict[str, SettingPath] = {}
    for index, name in enumerate(names):
        place = f"{section}[{index}].name"
        if name and name in first:
            problem = f'is "{name}", like {first[name]}; each {each} needs its own name'
            yield Mistake(place, problem)
        first.setdefault(name, place)


def unknown_pools(
    place: SettingPath, named: Sequence[str | None], pools: Collection[str]
) -> Iterator[Mistake]:
    """Return a mistake for each pool that a table names and that is none."""
    for index, pool in enumerate(named):
        if pool and pool not in pools:
            known = ", ".join(sorted(name for name in pools if name)) or "none"
            yield Mistake(
                f"{place}.pools[{index}]", f'is "{pool}", and no pool is called so ({known} are)'
            )


def _of_type(place: SettingPath, table: ExporterTable) -> Iterator[Mistake]:
    if table.type is None or not table.pools:
        return
    kind = _KINDS[table.type]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    foreign = [name for name in _written(table) if name not in fields]
    for name in foreign:
        yield Mistake(f"{place}.{name}", f"is no setting of an exporter of type {table.type}")
    missing = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and name not in table.model_fields_set
    ]
    for name in missing:
        example = _EXAMPLES.get(name)
        yield Mistake(f"{place}.{name}", f"is missing; add {example}" if example else "is missing")
    if not foreign and not missing:
        yield from _between(place, exporter_settings(table))


def _between(place: SettingPath, settings: ExporterSettings) -> Iterator[Mistake]:
    for name, problem in find_mistakes(settings):
        yield Mistake(f"{place}.{name}", problem)
    if isinstance(settings, FileSettings):
        try:
            read_template(settings.template)
        except ExportFailed as error:
            yield Mistake(f"{place}.template", str(error))


def _written(table: ExporterTable) -> list[str]:
    return [
        name for name in ExporterTable.model_fields if name in table.model_fields_set - {"type"}
    ]


def _value(name: str, value: Any) -> Any:
    match value:
        case list():
            return tuple(item for item in value if item is not None)
        case dict():
            return tuple(value.items())
        case str() if name in _PATHS:
            return Path(value)
        case int() if name in ("rotate_every", "refresh_every", "timeout"):
            return float(value)
        case _:
            return value


def check_webhooks(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    """Return every mistake in the webhooks that lies between values."""
    pools = {pool.name for pool in file.pools}
    yield from duplicates("webhooks", [table.name for table in file.webhooks], "webhook")
    for index, table in enumerate(file.webhooks):
        place = f"webhooks[{index}]"
        if "pools" not in broken:
            yield from unknown_pools(place, table.pools, pools)
        for name, problem in webhook_mistakes(webhook_settings(table)):
            if name in table.model_fields_set and f"{place}.{name}" not in broken:
                yield Mistake(f"{place}.{name}", problem)


def webhook_settings(table: WebhookTable) -> EventWebhookSettings:
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
