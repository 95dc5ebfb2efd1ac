"""The examples that people copy: each setting of theirs exists, and none is a mistake."""

from __future__ import annotations

import dataclasses
import re
import tomllib

import pytest

from rrdns.config import parse
from rrdns.export.pool_view import to_json
from rrdns.export.settings import CommandSettings, FileSettings, KeaSettings, WebhookSettings
from tests.export.pool_views import view
from tests.peers import ROOT
from tests.service.test_exporters import BASE

KINDS = {kind.kind: kind for kind in (FileSettings, KeaSettings, WebhookSettings, CommandSettings)}
DOCS = (ROOT / "docs/exporters.md").read_text()
TEXTS = [
    (ROOT / "conf/examples/exporters.toml").read_text(),
    *re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL),
]


@pytest.mark.parametrize("text", TEXTS)
def test_each_example_can_be_copied(text: str) -> None:
    """Known settings only, and nothing wrong between them."""
    tables = tomllib.loads(text)["exporters"]
    assert len(parse(BASE + text, "x").exporters) == len(tables) > 0


def test_the_settings_of_a_type_are_all_in_the_docs() -> None:
    """Nothing that can be set is a secret."""
    for kind in KINDS.values():
        for field in dataclasses.fields(kind):
            assert re.search(rf"\b{field.name}\b", DOCS), field.name


def test_the_json_of_the_docs_is_what_is_told() -> None:
    """The same keys, in the same places."""
    import json

    (text,) = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)
    shown, told = json.loads(text), json.loads(to_json("ipam", [view(1, 2)]))
    assert shown.keys() == told.keys()
    assert shown["pools"][0].keys() == told["pools"][0].keys()
    assert shown["pools"][0]["members"][0].keys() == told["pools"][0]["members"][0].keys()
