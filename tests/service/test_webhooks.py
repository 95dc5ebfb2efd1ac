"""Webhooks in the service: configured, told of what happens, and documented as they are."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.config import describe_changes, parse
from rrdns.core.events import Event
from rrdns.errors import ConfigInvalid
from rrdns.export.json_exporters import signature
from rrdns.export.webhooks.payload import to_json
from rrdns.export.webhooks.settings import DEFAULT_TOPICS, EventTopic, EventWebhookSettings
from rrdns.service.events.integrations import Integrations
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.runtime.log_setup import set_up
from rrdns.store.base import MemoryStore
from tests.peers import free_port, peer
from tests.service.test_exporters import BASE

DOCS = Path(__file__).parents[2] / "docs" / "events.md"


def test_a_webhook_of_the_config_has_its_defaults() -> None:
    """A name and a URL are enough."""
    text = BASE + '[[webhooks]]\nname = "chat"\nurl = "https://chat.example/x"\n'
    (hook,) = parse(text, "x").webhooks
    assert hook == EventWebhookSettings(name="chat", url="https://chat.example/x")
    assert hook.events == DEFAULT_TOPICS


def test_the_documented_webhook_is_a_right_one() -> None:
    """The page's example says what the table in it says."""
    (toml,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (hook,) = parse(BASE + toml, "x").webhooks
    assert hook == EventWebhookSettings(
        name="chat",
        url="https://chat.example.test/hooks/rrdns",
        secret_file=Path("/etc/rrdns/chat.secret"),
        ca_file=Path("/etc/rrdns/ca.pem"),
        headers=(("X-Site", "ulm"),),
        pools=("boot",),
    )
    told = set(re.findall(r"^\| `([a-z-]+)` \|", DOCS.read_text(), re.MULTILINE))
    assert told == {*EventTopic, "dropped"}


def test_every_mistake_of_a_webhook_is_named_with_its_place() -> None:
    """Wrong types, unknown names, doubles, and what is missing."""
    text = (
        BASE
        + """
[[webhooks]]
name = "chat"
url = "chat.example"
events = ["standing", "orders"]
pools = ["boots"]
timeout = 0
[[webhooks]]
name = "chat"
events = []
queue = 0
secret = "x"
"""
    )
    with pytest.raises(ConfigInvalid) as caught:
        parse(text, "x")
    found = [str(mistake) for mistake in caught.value.mistakes]
    starts = [
        "webhooks[0].events[1]: is 'orders'",
        'webhooks[0].pools[0]: is the unknown pool "boots"; the pools are: boot',
        "webhooks[0].timeout: is 0.0; must be above 0 and up to 86,400 seconds",
        "webhooks[0].url: must begin with http:// or https://",
        "webhooks[1].events: is empty; name some of standing, override,",
        'webhooks[1].name: is "chat", like webhooks[0].name; each webhook needs its own name',
        "webhooks[1].queue: is 0",
        "webhooks[1].secret: is not a setting of [[webhooks]]",
        'webhooks[1].url: is missing; add url = "https://chat.example.test/hooks/rrdns"',
    ]
    assert len(found) == len(starts), found
    for mistake, start in zip(found, starts, strict=True):
        assert mistake.startswith(start.replace("'", '"')), mistake


@pytest.mark.parametrize("url", ["https://", "http:///hook", "https://[::1/hook"])
def test_a_url_without_a_host_is_a_mistake(url: str) -> None:
    """It is found when the config is read, not when the first event comes."""
    with pytest.raises(ConfigInvalid, match=r"webhooks\[0\].url: has no host"):
        parse(BASE + f'[[webhooks]]\nname = "chat"\nurl = "{url}"\n', "x")


def test_a_reload_tells_what_changed_and_no_key() -> None:
    """URL and headers may hold one."""
    hook = '[[webhooks]]\nname = "chat"\nurl = "https://chat.example/KEY1"\nqueue = 5\n'
    before, after = parse(BASE, "x"), parse(BASE + hook, "x")
    assert describe_changes(before, after) == ("webhook chat: added",)
    assert describe_changes(after, before) == ("webhook chat: removed",)
    other = hook.replace("KEY1", "KEY2").replace("queue = 5", 'headers = { Authorization = "K" }')
    assert describe_changes(after, parse(BASE + other, "x")) == (
        "webhook chat: queue: 5 -> 1000",
        "webhook chat: url: replaced",
        "webhook chat: headers: replaced",
    )


@asynccontextmanager
async def documented_receiver(folder: Path) -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
    """Run the receiver of the documentation."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (folder / "receiver.py").write_text(program)
    (folder / "chat.secret").write_text("s3cret\n")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(folder / "receiver.py"),
        str(folder / "chat.secret"),
        str(port),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield port, process.stdout
    finally:
        process.kill()
        await process.communicate()


async def test_what_happens_is_told_to_the_documented_receiver(tmp_path: Path) -> None:
    """It verifies the signature, and prints one sentence for each event that was asked for."""
    set_up("json")
    recorder = EventRecorder(MemoryStore(), lambda: 1000.0)
    integrations = Integrations(recorder, lambda: 1000.0)
    async with documented_receiver(tmp_path) as (port, said), asyncio.timeout(20):
        text = f"""
[[webhooks]]
name = "chat"
url = "http://127.0.0.1:{port}/"
secret_file = "{tmp_path}/chat.secret"
[[webhooks]]
name = "stranger"
url = "http://127.0.0.1:{port}/"
events = ["reload"]
"""
        integrations.configure(parse(BASE + text, "x"))
        fell = replace(recorder.system_event("standing"), pool="boot", member="pvs-2", before="up")
        recorder.record(replace(fell, after="down", reason="silence"))
        recorder.record(recorder.system_event("start"))
        recorder.raise_alarm("everything-down", "no member is healthy", "boot")
        recorder.raise_alarm("store-failed", "the disk is full")
        recorder.clear_alarm("everything-down", "boot")
        recorder.record(recorder.system_event("reload", after="pool boot: ttl: 5 -> 3"))
        lines = [(await said.readline()).decode().strip() for _ in range(4)]
        assert lines == [
            "pvs-2 of pool boot: up -> down (silence)",
            "boot: alarm everything-down (no member is healthy)",
            "boot: alarm-over everything-down is over",
            "reload pool boot: ttl: 5 -> 3",
        ]
        # One without the key is refused, and that is an alarm until it is gone.
        names = {alarm.name for alarm in recorder.alarms()}
        while "webhook-failed-stranger" not in names:
            await asyncio.sleep(0.01)
            names = {alarm.name for alarm in recorder.alarms()}
        integrations.configure(parse(BASE, "x"))
        assert {alarm.name for alarm in recorder.alarms()} == {"store-failed"}
    await integrations.webhooks.stop()


def test_openssl_makes_the_same_signature(tmp_path: Path) -> None:
    """By the command of the documentation."""
    peer("openssl")
    (command,) = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    body = to_json("chat", Event(2.0, "anna", "reload", id=1))
    (tmp_path / "body.json").write_text(body)
    (tmp_path / "chat.secret").write_text("s3cret\n")
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    assert "sha256=" + done.stdout.decode().strip() == signature("s3cret", body.encode())


def test_the_documented_body_is_the_one_that_is_sent() -> None:
    """The same keys in the same order, and the same sentence."""
    (text,) = re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)
    documented = json.loads(text)
    facts = {name: documented[name] for name in documented}
    for name in ("version", "webhook", "event", "text"):
        del facts[name]
    sent = to_json("chat", Event(**facts))
    assert list(json.loads(sent).items()) == list(documented.items())
