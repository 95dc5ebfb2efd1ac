"""Check what the settings of an exporter or webhook mean to one another."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence

from rrdns.config.integration_tables import FileExporterTable
from rrdns.config.schema import File
from rrdns.config.table import InvalidPaths, SettingPath
from rrdns.errors import Mistake
from rrdns.export.errors import ExportFailed
from rrdns.export.file.render import read_template
from rrdns.export.settings import find_mistakes


def check_exporters(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    """Return every contradiction in the exporters."""
    names = ((f"exporters[{i}].name", table.name) for i, table in enumerate(file.exporters))
    yield from duplicates(names, "each exporter needs its own name")
    for index, table in enumerate(file.exporters):
        path = f"exporters[{index}]"
        yield from _unknown_pools(path, table.pools, file, broken)
        if isinstance(table, FileExporterTable) and f"{path}.template" not in broken:
            yield from _unreadable(f"{path}.template", table.template)
        if not any(invalid.startswith(path) for invalid in broken):
            for name, problem in find_mistakes(table.build()):
                yield Mistake(f"{path}.{name}", problem)


def check_webhooks(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    """Return every contradiction in the webhooks."""
    names = ((f"webhooks[{i}].name", table.name) for i, table in enumerate(file.webhooks))
    yield from duplicates(names, "each webhook needs its own name")
    for index, table in enumerate(file.webhooks):
        yield from _unknown_pools(f"webhooks[{index}]", table.pools, file, broken)


def duplicates(values: Iterable[tuple[SettingPath, Hashable]], rule: str) -> Iterator[Mistake]:
    """Return a mistake for each value that an earlier setting has; empty values are unknown."""
    first: dict[Hashable, SettingPath] = {}
    for path, value in values:
        if value in ("", None):
            continue
        if value in first:
            yield Mistake(path, f'is "{value}", like {first[value]}; {rule}')
        first.setdefault(value, path)


def _unknown_pools(
    path: SettingPath, named: Sequence[str | None], file: File, broken: InvalidPaths
) -> Iterator[Mistake]:
    if "pools" in broken:
        return
    pools: Collection[str] = {pool.name for pool in file.pools}
    for index, name in enumerate(named):
        if name and name not in pools:
            known = ", ".join(sorted(filter(None, pools))) or "none"
            yield Mistake(
                f"{path}.pools[{index}]", f'is the unknown pool "{name}"; the pools are: {known}'
            )


def _unreadable(path: SettingPath, template: str) -> Iterator[Mistake]:
    try:
        read_template(template)
    except ExportFailed as error:
        yield Mistake(path, str(error))
