"""The Kea exporter against the real server: what it changes, and what it leaves alone."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrdns.export.delivery import ExporterTask
from rrdns.export.errors import DeliveryFailed, KeaConfigError, KeaRefused
from rrdns.export.kea.exporter import KeaExporter
from rrdns.export.pool_view import Option66
from rrdns.export.retry import DeliveryEvent, Outcome
from rrdns.export.settings import KeaSettings
from tests.export.dhcp_client import discover
from tests.export.kea_peer import CONFIG, Kea, control_agent, differences, kea
from tests.export.pool_views import view
from tests.peers import need_root, peer

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def shared() -> Iterator[Kea]:
    """Return a server that the tests of this module change."""
    peer("kea-dhcp4")
    with kea() as server:
        yield server


@pytest.fixture
def server(shared: Kea) -> Iterator[Kea]:
    """Return the shared server, with the config that it started with."""
    before = shared.config()
    before.pop("hash", None)
    yield shared
    assert shared.ask("config-set", **before)["result"] == 0


def settings(server: Kea, **others: Any) -> KeaSettings:
    """Return the settings of an exporter of that server."""
    return KeaSettings(**{"name": "kea", "pools": ("boot",), "socket": server.socket, **others})


async def test_only_what_is_named_is_changed(server: Kea) -> None:
    """300 subnets, reservations, comments, contexts and hooks stay as they were, to the byte."""
    before = server.config()
    assert len(before["Dhcp4"]["hooks-libraries"]) == 2
    exporter = KeaExporter(
        settings(
            server,
            subnets=("127.0.0.0/8", 102),
            shared_networks=("floor-2",),
            classes=("pvs-uefi",),
            boot_file="tftp://$hostname/pvsnbpx64.efi",
            option66=Option66.LIST,
        )
    )
    said = await exporter.export([view(1, 2, first=2)])
    assert said == f"Kea at {server.socket} has a new config"
    found = differences(before, server.config())
    found.pop("/hash", None)
    file, many = "tftp://boot.pvs.example.test/pvsnbpx64.efi", "10.0.0.2;10.0.0.1"
    option66 = {
        "always-send": False,
        "code": 66,
        "csv-format": True,
        "data": many,
        "name": "tftp-server-name",
        "space": "dhcp4",
    }
    assert found == {
        "/Dhcp4/subnet4/0/next-server": "10.0.0.2",
        "/Dhcp4/subnet4/0/boot-file-name": file,
        "/Dhcp4/subnet4/0/option-data/1/data": many,
        "/Dhcp4/shared-networks/0/subnet4/1/next-server": "10.0.0.2",
        "/Dhcp4/shared-networks/0/subnet4/1/boot-file-name": file,
        "/Dhcp4/shared-networks/0/subnet4/1/option-data": [option66],
        "/Dhcp4/shared-networks/1/next-server": "10.0.0.2",
        "/Dhcp4/shared-networks/1/boot-file-name": file,
        "/Dhcp4/shared-networks/1/option-data": [option66],
        "/Dhcp4/client-classes/0/next-server": "10.0.0.2",
        "/Dhcp4/client-classes/0/boot-file-name": file,
        "/Dhcp4/client-classes/0/option-data": [option66],
    }


async def test_a_client_is_offered_the_server_that_was_told(server: Kea) -> None:
    """What counts is the lease: siaddr, file and option 66 of a real offer."""
    need_root("a DHCP server")
    exporter = KeaExporter(settings(server, subnets=(1,), option66=Option66.ADDRESS))
    for first in (1, 2):
        await exporter.export([view(1, 2, first=first)])
        offer = discover(server.dhcp_port, server.reply_port, architecture=7)
        assert offer.next_server == f"10.0.0.{first}"
        assert offer.file == "pvsnbpx64.efi"
        assert offer.text(66) == f"10.0.0.{first}"
    reserved = discover(server.dhcp_port, server.reply_port, architecture=7, last_byte=1)
    assert (reserved.address, reserved.next_server) == ("127.9.0.200", "192.0.2.8")


async def test_what_kea_says_already_is_not_set_again(server: Kea) -> None:
    """A refresh costs one look: setting a config makes Kea read its leases anew."""
    exporter = KeaExporter(settings(server, subnets=(1,)))
    assert await exporter.export([view(1)])
    log = server.folder / "kea.log"
    sets = log.read_text().count("COMMAND_RECEIVED Received command 'config-set'")
    assert sets
    assert await exporter.export([view(1)]) is None
    again = log.read_text().count("COMMAND_RECEIVED Received command 'config-set'")
    assert again == sets


async def test_a_target_that_is_not_there_changes_nothing(server: Kea) -> None:
    """All that is missing is named at once, and the others are left alone too."""
    before = server.config()
    exporter = KeaExporter(
        settings(server, subnets=(1, 77, "10.99.0.0/24"), shared_networks=("x",), classes=("y",))
    )
    with pytest.raises(KeaConfigError) as caught:
        await exporter.export([view(1)])
    assert str(caught.value) == (
        "Kea's config is left alone: it has no subnet 77, no subnet 10.99.0.0/24, "
        "no 'x' among its shared-networks, no 'y' among its client-classes"
    )
    assert server.config() == before


async def test_a_refused_config_is_left_alone_and_reported(server: Kea) -> None:
    """Kea's own words are in the report; its running config is as it was."""
    before = server.config()
    exporter = KeaExporter(settings(server, subnets=(1,), boot_file="x" * 200))
    with pytest.raises(
        KeaRefused, match=r"refused config-test: .*boot-file-name must be at most 127"
    ):
        await exporter.export([view(1)])
    assert server.config() == before


async def test_two_exporters_of_one_kea_take_turns(server: Kea) -> None:
    """Each would else set a config without what the other has just changed."""
    uefi = KeaExporter(settings(server, name="uefi", classes=("pvs-uefi",)))
    subnet = KeaExporter(settings(server, name="subnet", subnets=(1,)))
    await asyncio.gather(uefi.export([view(1)]), subnet.export([view(2)]))
    dhcp4 = server.config()["Dhcp4"]
    assert dhcp4["client-classes"][0]["next-server"] == "10.0.0.1"
    assert dhcp4["subnet4"][0]["next-server"] == "10.0.0.2"


async def test_the_control_agent_is_asked_over_http(server: Kea, tmp_path: Path) -> None:
    """With basic authentication; a wrong password is told and changes nothing."""
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    with control_agent(server) as url:
        over_http = settings(
            server, socket=None, url=url, user="rrdns", password_file=password, subnets=(1,)
        )
        assert await KeaExporter(over_http).export([view(5)])
        assert server.config()["Dhcp4"]["subnet4"][0]["next-server"] == "10.0.0.5"
        password.write_text("wrong")
        with pytest.raises(DeliveryFailed, match="HTTP status 401"):
            await KeaExporter(over_http).export([view(6)])
        password.write_text("s3cret")
        with pytest.raises(KeaRefused, match=r"refused config-get: .*dhcp6"):
            await KeaExporter(replace(over_http, service="dhcp6")).export([view(6)])
    assert server.config()["Dhcp4"]["subnet4"][0]["next-server"] == "10.0.0.5"


async def test_the_file_is_rewritten_where_that_is_wanted(tmp_path: Path) -> None:
    """`config-write` makes it last over a restart; its comments are gone then."""
    with kea() as server:
        file = server.folder / "kea.conf"
        await KeaExporter(settings(server, subnets=(1,))).export([view(1)])
        assert "an admin's comment" in file.read_text()
        await KeaExporter(settings(server, subnets=(1,), write=True)).export([view(2)])
        assert json.loads(file.read_text())["Dhcp4"]["subnet4"][0]["next-server"] == "10.0.0.2"


async def test_a_kea_that_comes_back_is_told(tmp_path: Path) -> None:
    """Down: reported and repeated. Up: told. Restarted with its own file: told again."""
    news: list[DeliveryEvent] = []
    small = {key: CONFIG[key] for key in ("client-classes",)}
    folder = tmp_path if len(str(tmp_path)) < 80 else Path("/tmp")  # a socket's path is short
    delivery = settings(
        Kea(folder / "kea.sock", folder, 0, 0), classes=("phones",), refresh_every=0.3
    )
    task = ExporterTask(KeaExporter(delivery), delivery, news.append)
    task.update([view(3)])
    task.start()
    try:
        await _until(lambda: task.report().failed > 0)
        assert "Kea cannot be reached" in task.report().last_error
        for _ in range(2):
            async with _in_thread(small, folder) as server:
                await _until(lambda server=server: _phones(server) == "10.0.0.3")
            await _until(lambda: task.report().failing)
    finally:
        await task.stop()
    assert {item.outcome for item in news} >= {Outcome.FAILED, Outcome.RECOVERED}


def _phones(server: Kea) -> str:
    return str(server.config()["Dhcp4"]["client-classes"][1]["next-server"])


@asynccontextmanager
async def _in_thread(config: dict[str, Any], folder: Path) -> Any:
    manager = kea(config, folder)
    server = await asyncio.to_thread(manager.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def _until(ready: Any) -> None:
    async with asyncio.timeout(15):
        while not ready():  # noqa: ASYNC110 - a real server has no event to set
            await asyncio.sleep(0.02)


def test_differences_sees_every_change() -> None:
    """The measure of these tests is itself no blind one."""
    changed = copy.deepcopy(CONFIG)
    changed["subnet4"][5]["comment"] = "other"
    changed["option-data"].append({})
    changed["valid-lifetime"] = 3600.0
    assert differences(CONFIG, changed).keys() == {
        "/subnet4/5/comment",
        "/option-data",
        "/valid-lifetime",
    }
