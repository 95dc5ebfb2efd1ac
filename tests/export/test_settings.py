"""What is wrong between the settings of one exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rrdns.export.pool_view import Option66, PoolScope
from rrdns.export.settings import (
    CommandSettings,
    ExporterSettings,
    FileSettings,
    KeaSettings,
    WebhookSettings,
    find_mistakes,
)

POOLS = ("boot",)
FILE: dict[str, Any] = {"name": "f", "pools": POOLS, "path": Path("/x"), "template": "hosts"}
KEA: dict[str, Any] = {"name": "k", "pools": POOLS, "socket": Path("/k"), "subnets": (1,)}


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        (FileSettings(**FILE), []),
        (KeaSettings(**KEA), []),
        (WebhookSettings(name="w", pools=POOLS, url="https://x.test/"), []),
        (CommandSettings(name="c", pools=POOLS, command=("true",)), []),
        (FileSettings(**{**FILE, "rotate_every": 0.5}), ["rotate_every"]),
        (FileSettings(**FILE, command=("x",), pid_file=Path("/y")), ["pid_file"]),
        (
            FileSettings(
                **{**FILE, "template": "isc-dhcpd", "pools": ("a", "b"), "option66": Option66.NONE}
            ),
            ["pools", "option66"],
        ),
        (KeaSettings(name="k", pools=("a", "b")), ["socket", "pools", "subnets"]),
        (KeaSettings(**KEA, url="x"), ["socket"]),
        (KeaSettings(**KEA, next_server=False), ["next_server"]),
        (KeaSettings(**KEA, user="u"), ["user"]),
    ],
)
def test_each_mistake_is_named_with_its_setting(
    settings: ExporterSettings, places: list[str]
) -> None:
    """All of them at once, each with a sentence."""
    mistakes = list(find_mistakes(settings))
    assert [place for place, _ in mistakes] == places
    assert all(len(sentence) > 10 for _, sentence in mistakes)


def test_one_that_tells_the_first_rotates_by_itself() -> None:
    """Else all targets would boot from the same server for as long as it lives."""
    assert KeaSettings(**KEA).rotation == 60.0
    assert KeaSettings(**KEA, rotate_every=0.0).rotation == 0.0
    assert FileSettings(**FILE).rotation == 0.0
    assert FileSettings(**FILE, scope=PoolScope.FIRST).rotation == 60.0
