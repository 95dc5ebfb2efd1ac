"""Exporters in the service: configured, told after a publication, and never in its way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from rrdns.config import describe_changes, parse
from rrdns.core.health.probe_result import Verdict
from rrdns.errors import ConfigInvalid
from rrdns.export.manager import ExporterManager
from rrdns.export.pool_view import Option66, PoolScope
from rrdns.export.retry import DeliveryEvent, Outcome
from rrdns.export.settings import CommandSettings, FileSettings, KeaSettings
from rrdns.service.publish.exporter_feed import ExporterFeed
from tests import sample_config
from tests.service.control_harness import Office

BASE = sample_config.farm()


def test_an_exporter_of_the_config_is_what_its_type_needs() -> None:
    """Each type takes its own settings, and the defaults of its dataclass."""
    text = (
        BASE
        + """
[[exporters]]
name = "kea"
type = "kea"
pools = ["boot"]
socket = "/run/kea.sock"
subnets = [1, "10.0.8.0/22"]
timeout = 3
[[exporters]]
name = "script"
type = "command"
pools = ["boot"]
command = ["/bin/tell", "--site", "ulm"]
"""
    )
    kea, script = parse(text, "x").exporters
    assert kea == KeaSettings(
        name="kea",
        pools=("boot",),
        socket=Path("/run/kea.sock"),
        subnets=(1, "10.0.8.0/22"),
        timeout=3.0,
    )
    assert isinstance(script, CommandSettings)
    assert script.command == ("/bin/tell", "--site", "ulm")
    assert describe_changes(parse(BASE, "x"), parse(text, "x")) == (
        "exporter kea: added",
        "exporter script: added",
    )
    later = parse(text.replace("timeout = 3", "timeout = 4"), "x")
    assert describe_changes(parse(text, "x"), later) == ("exporter kea: timeout: 3.0 -> 4.0",)


def test_every_mistake_of_an_exporter_is_named_with_its_place() -> None:
    """Unknown pools, foreign and missing settings, contradictions, doubles."""
    text = (
        BASE
        + """
[[exporters]]
name = "one"
type = "file"
pools = ["boots"]
path = "relative"
template = "no-such-template"
[[exporters]]
name = "one"
type = "command"
pools = ["boot"]
url = "http://x"
[[exporters]]
name = "three"
type = "fax"
pools = ["boot"]
[[exporters]]
name = "four"
type = "kea"
pools = ["boot"]
"""
    )
    with pytest.raises(ConfigInvalid) as caught:
        parse(text, "x")
    places = [mistake.path for mistake in caught.value.mistakes]
    assert places == [
        "exporters[0].path",
        "exporters[0].pools[0]",
        "exporters[0].template",
        "exporters[1].command",
        "exporters[1].name",
        "exporters[1].url",
        "exporters[2].type",
        "exporters[3].socket",
        "exporters[3].subnets",
    ]


async def told(path: Path, addresses: list[str]) -> None:
    """Wait until a file names these addresses."""
    async with asyncio.timeout(5):
        while True:
            if path.exists():
                pools = json.loads(path.read_text())["pools"]
                if [member["address"] for member in pools[0]["members"]] == addresses:
                    return
            await asyncio.sleep(0.01)


async def test_a_file_follows_the_answers(tmp_path: Path) -> None:
    """Told once every member was probed, again at each change; a pool that is gone stays."""
    path = tmp_path / "present.json"
    news: list[DeliveryEvent] = []
    office = Office()
    dispatch = ExporterManager(news.append, office.clock)
    office.publisher.subscribe(ExporterFeed(office.states, dispatch).on_publication)
    settings = FileSettings(name="json", pools=("boot",), path=path, template="json")
    dispatch.configure([settings])
    await office.open()
    await asyncio.sleep(0.2)
    assert not path.exists()  # nobody was probed yet: who is assumed to be up is not told
    for member in ("pvs-1", "pvs-2", "pvs-3"):
        office.probe(member, Verdict.OK)
        office.publisher.mark_changed("boot")
    office.publisher.flush()
    await told(path, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    await office.drain("pvs-2")
    await told(path, ["10.0.0.1", "10.0.0.3"])
    async with asyncio.timeout(5):
        while dispatch.reports()[0].pending:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)
    assert {one.outcome for one in news} == {Outcome.DELIVERED}
    assert dispatch.reports()[0].delivered >= 2
    await dispatch.stop()


def test_words_of_the_config_become_the_exporters_own() -> None:
    """Enumerations and paths, not bare text."""
    text = (
        BASE
        + """
[[exporters]]
name = "dnsmasq"
type = "file"
pools = ["boot"]
scope = "first"
path = "/tmp/x"
template = "dnsmasq-options"
option66 = "list"
"""
    )
    (settings,) = parse(text, "x").exporters
    assert isinstance(settings, FileSettings)
    assert (settings.scope, settings.option66) == (PoolScope.FIRST, Option66.LIST)
    assert settings.path == Path("/tmp/x")
