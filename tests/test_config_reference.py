"""The reference of all settings is that of the tables, and conf/rrdns.toml names each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from rrdns.config import schema
from rrdns.config.integration_tables import ExporterTable, WebhookTable
from rrdns.config.reference import descriptions, reference
from rrdns.config.table import Table

ROOT = Path(__file__).parents[1]
SAMPLE = (ROOT / "conf" / "rrdns.toml").read_text()


def tables(table: type[Table] = schema.File) -> Iterator[type[Table]]:
    """Yield the tables of a config file."""
    for info in table.model_fields.values():
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, Table):
                yield kind
                yield from tables(kind)


TABLES = list(dict.fromkeys(tables()))


def test_the_page_is_made_from_the_tables() -> None:
    """`make reference` has been run since the last change of a setting."""
    assert (ROOT / "docs" / "config.md").read_text() == reference()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_setting_is_described_and_in_the_sample_config(table: type[Table]) -> None:
    """Exporters have too many kinds for the sample: there each name is enough."""
    texts = descriptions(table)
    settings = {
        name
        for name, info in table.model_fields.items()
        if not any(
            isinstance(kind, type) and issubclass(kind, Table) and name not in texts
            for kind in (info.annotation, *get_args(info.annotation))
        )
    }
    assert settings == texts.keys()
    assert all(text.endswith(".") for text in texts.values())
    is_integration = table in {ExporterTable, WebhookTable}
    ends = r"\b" if is_integration else r" *="
    headed = {"members", "probe", "tokens"}  # tables with a heading of their own
    missing = [name for name in settings - headed if not re.search(rf"\b{name}{ends}", SAMPLE)]
    assert missing == []
