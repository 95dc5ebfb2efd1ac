"""A Kea that is slow, garbled or changes under our hands: reported, and nothing is set."""

from __future__ import annotations

import asyncio
import copy
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rrdns.export.errors import DeliveryFailed, ExportFailed, KeaConfigError
from rrdns.export.kea.config import BootInfo, Targets, with_boot_info
from rrdns.export.kea.exporter import KeaExporter
from rrdns.export.pool_view import Option66
from rrdns.export.settings import KeaSettings
from tests.export.pool_views import view

CONFIG = {"Dhcp4": {"subnet4": [{"id": 1, "subnet": "10.0.0.0/24"}]}}


class FakeKea:
    """A server that takes a config as it comes, or misbehaves."""

    where = "fake"

    def __init__(self) -> None:
        self.config: dict[str, Any] = copy.deepcopy(CONFIG)
        self.commands: list[str] = []
        self.changes_while_tested = False
        self.forgets = False
        self.answers: dict[str, Any] = {}

    async def ask(self, request: dict[str, Any]) -> Any:
        """Answer as Kea does."""
        command = request["command"]
        self.commands.append(command)
        if command in self.answers:
            return self.answers[command]
        if command == "config-test" and self.changes_while_tested:
            self.config["Dhcp4"]["valid-lifetime"] = 60
        if command == "config-set" and not self.forgets:
            self.config = copy.deepcopy(request["arguments"])
        if command == "config-get":
            return {"result": 0, "arguments": {**copy.deepcopy(self.config), "hash": "5a5a"}}
        return {"result": 0, "text": "fine"}


def exporter(fake: FakeKea) -> KeaExporter:
    """Return an exporter of a fake server."""
    settings = KeaSettings(name="k", pools=("boot",), url="http://x.test/", subnets=(1,))
    return KeaExporter(settings, fake)


async def test_the_order_of_commands_is_get_test_look_again_set_check() -> None:
    """Nothing is set that was not tested, and nothing believed that was not seen."""
    fake = FakeKea()
    await exporter(fake).export([view(1)])
    assert fake.commands == ["config-get", "config-test", "config-get", "config-set", "config-get"]
    assert fake.config["Dhcp4"]["subnet4"][0]["next-server"] == "10.0.0.1"
    assert "hash" not in fake.config


async def test_a_config_that_somebody_else_changes_is_not_overwritten() -> None:
    """Their change is kept; ours is tried again on top of it."""
    fake = FakeKea()
    fake.changes_while_tested = True
    with pytest.raises(KeaConfigError, match="somebody else changed it"):
        await exporter(fake).export([view(1)])
    assert "config-set" not in fake.commands
    await exporter(fake).export([view(1)])
    assert fake.config["Dhcp4"]["valid-lifetime"] == 60


async def test_a_success_that_does_not_show_is_a_failure() -> None:
    """The config is read back."""
    fake = FakeKea()
    fake.forgets = True
    with pytest.raises(KeaConfigError, match="does not show it"):
        await exporter(fake).export([view(1)])


@pytest.mark.parametrize(
    ("command", "answer", "sentence"),
    [
        ("config-get", {"result": 1, "text": "no"}, "Kea at fake refused config-get: no"),
        ("config-get", {"result": 2}, "Kea at fake refused config-get: without a word"),
        ("config-get", "hello", "fake: this is no answer of Kea's: hello"),
        ("config-get", [], "fake: this is no answer of Kea's: []"),
        ("config-get", {"result": "0"}, "this is no answer of Kea's"),
        ("config-get", {"result": 0, "arguments": []}, "config-get returns none"),
        ("config-get", {"result": 0, "arguments": {"Dhcp6": {}}}, "it has no Dhcp4"),
        ("config-set", [{"result": 1, "text": "busy"}], "refused config-set: busy"),
    ],
)
async def test_every_other_answer_is_reported(command: str, answer: Any, sentence: str) -> None:
    """In Kea's own words where it has some."""
    fake = FakeKea()
    fake.answers[command] = answer
    with pytest.raises(ExportFailed) as caught:
        await exporter(fake).export([view(1)])
    assert sentence in str(caught.value)
    assert fake.config == CONFIG


def test_a_redacted_password_is_never_sent_back() -> None:
    """The asterisks would become the password."""
    config = {"Dhcp4": {**CONFIG["Dhcp4"], "lease-database": {"password": "*****"}}}
    with pytest.raises(KeaConfigError, match="asterisks"):
        with_boot_info(config, Targets(subnets=(1,)), BootInfo(next_server="10.0.0.1"))


def test_option_66_of_another_space_is_another_option() -> None:
    """A vendor's option with the same number stays."""
    vendor = {"code": 66, "space": "vendor-4491", "data": "x"}
    config: dict[str, Any] = {"Dhcp4": {"subnet4": [{"id": 1, "option-data": [vendor]}]}}
    new = with_boot_info(config, Targets(subnets=(1,)), BootInfo(option66="a;b"))
    options = new["Dhcp4"]["subnet4"][0]["option-data"]
    assert options[0] == vendor
    assert options[1]["data"] == "a;b"
    assert config["Dhcp4"]["subnet4"][0]["option-data"] == [vendor]


@pytest.fixture
async def socket_path() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kea-") as folder:
        yield Path(folder) / "s"


def over_socket(path: Path) -> KeaExporter:
    """Return an exporter that uses a control socket."""
    settings = KeaSettings(name="k", pools=("boot",), socket=path, subnets=(1,))
    return KeaExporter(settings)


@pytest.mark.parametrize(
    ("said", "reason"), [(b"", "without an answer"), (b'{"result": 0', "is not JSON")]
)
async def test_a_kea_that_breaks_off_is_reported(
    socket_path: Path, said: bytes, reason: str
) -> None:
    """Half an answer is none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(serve, socket_path)
    async with server:
        with pytest.raises(DeliveryFailed, match=reason):
            await over_socket(socket_path).export([view(1)])


async def test_a_kea_that_never_answers_is_left_at_the_time_limit(socket_path: Path) -> None:
    """The connection is closed, and no task is left behind."""
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        closed.set()
        writer.close()

    server = await asyncio.start_unix_server(serve, socket_path)
    async with server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await over_socket(socket_path).export([view(1)])
        await asyncio.wait_for(closed.wait(), 5)


async def test_text_beyond_ascii_goes_back_as_it_came(socket_path: Path) -> None:
    """Kea writes bytes above 0x7e as escapes of four digits each; they must return to it so."""
    config = json.dumps({"Dhcp4": {"subnet4": [{"id": 1, "comment": "@"}]}}).replace(
        "@", "Z\\u00c3\\u00bcrich"
    )
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(10_000))
        writer.write(b'{"result": 0, "arguments": %s}' % config.encode())
        writer.close()

    server = await asyncio.start_unix_server(serve, socket_path)
    async with server:
        with pytest.raises(KeaConfigError):  # this one never shows the new config
            await over_socket(socket_path).export([view(1)])
    assert b"Z\\u00c3\\u00bcrich" in requests[1]


async def test_a_boot_file_may_name_the_server() -> None:
    """`tftp://$first/...` boots iPXE without any DNS on the client."""
    fake = FakeKea()
    settings = KeaSettings(
        name="k",
        pools=("boot",),
        url="http://x.test/",
        subnets=(1,),
        next_server=False,
        boot_file="tftp://$first/ARDBP32.BIN",
        option66=Option66.NAME,
    )
    await KeaExporter(settings, fake).export([view(1, 2, first=2)])
    (subnet,) = fake.config["Dhcp4"]["subnet4"]
    assert subnet["boot-file-name"] == "tftp://10.0.0.2/ARDBP32.BIN"
    assert subnet["option-data"][0]["data"] == "boot.pvs.example.test"
    assert "next-server" not in subnet
