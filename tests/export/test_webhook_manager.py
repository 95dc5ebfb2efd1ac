"""Webhooks over real HTTP: whatever the receiver does, each event arrives or is told as lost."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rrdns.core.events import Event
from rrdns.export import retry
from rrdns.export.json_exporters import SIGNATURE
from rrdns.export.retry import DeliveryEvent, back_off
from rrdns.export.webhooks.manager import WebhookManager
from rrdns.export.webhooks.settings import EventWebhookSettings
from tests.peers import free_port


class Receiver:
    """Keeps what was posted, and answers as it is set."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.bodies: list[tuple[bytes, str]] = []
        self.elsewhere = 0
        self.status, self.headers, self.seconds = 200, dict[str, str](), 0.0
        self.port = free_port()
        self.server: TestServer | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self.take)
        app.router.add_post("/elsewhere", self.stray)
        self.server = TestServer(app, port=self.port)
        await self.server.start_server()

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.close()

    async def take(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.seconds)
        if self.status == 200:
            body = await request.read()
            self.bodies.append((body, request.headers.get(SIGNATURE, "")))
            self.got.append(json.loads(body))
        return web.Response(status=self.status, headers=self.headers)

    async def stray(self, _: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()

    def hook(self, **settings: Any) -> EventWebhookSettings:
        url = f"http://127.0.0.1:{self.port}/hook"
        return EventWebhookSettings(**{"name": "chat", "url": url, **settings})

    async def has(self, count: int) -> list[int]:
        """Wait for so many; return the ids of all."""
        async with asyncio.timeout(10):
            while len(self.got) < count:  # noqa: ASYNC110 - another process's word, in effect
                await asyncio.sleep(0.01)
        return [value["id"] for value in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    it = Receiver()
    await it.start()
    yield it
    await it.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of the usual time between attempts; test_webhook_delivery tests the usual."""
    monkeypatch.setattr(retry, "back_off", lambda failures: back_off(failures) / 10)


def event(number: int) -> Event:
    return Event(1000.0 + number, "", "standing", "boot", "pvs-1", id=number)


class Scene:
    """Webhooks, what was heard of them, and what of their outbox."""

    def __init__(self, outbox: Path | None = None) -> None:
        self.news: list[DeliveryEvent] = []
        self.troubles: list[str] = []
        self.hooks = WebhookManager(self.news.append, self.troubles.append, lambda: 5000.0, outbox)
        self.keeping: asyncio.Task[None] | None = None

    def begin(self, *hooks: EventWebhookSettings) -> None:
        self.hooks.configure(hooks)
        self.keeping = asyncio.create_task(self.hooks.run_queue_saver())

    def tell(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.hooks.enqueue(event(number))

    async def end(self, *, kill: bool = False) -> None:
        """Stop, or fall as a killed process does: with nothing done any more."""
        if self.keeping is not None:
            self.keeping.cancel()
        if kill:
            self.hooks._left = None
        await self.hooks.stop()

    async def fails(self) -> str:
        async with asyncio.timeout(10):
            while not self.hooks.reports()[0].failing:  # noqa: ASYNC110 - it has no event for it
                await asyncio.sleep(0.01)
        return self.hooks.reports()[0].last_error


async def test_events_arrive_signed_and_in_order(receiver: Receiver, tmp_path: Path) -> None:
    """Whoever has the key can tell that it was us, from the body as it came."""
    (tmp_path / "key").write_text("s3cret\n")
    scene = Scene()
    scene.begin(receiver.hook(secret_file=tmp_path / "key"))
    scene.tell(range(1, 51))
    assert await receiver.has(50) == list(range(1, 51))
    for body, signature in receiver.bodies:
        assert signature == "sha256=" + hmac.new(b"s3cret", body, "sha256").hexdigest()
    await scene.end()


async def test_the_body_is_as_documented(receiver: Receiver) -> None:
    """Every key is always there."""
    scene = Scene()
    scene.begin(receiver.hook())
    scene.tell([7])
    await receiver.has(1)
    assert receiver.got[0] == {
        "version": 1,
        "webhook": "chat",
        "event": "standing",
        "id": 7,
        "at": 1007.0,
        "action": "standing",
        "pool": "boot",
        "member": "pvs-1",
        "by": "",
        "before": "",
        "after": "",
        "reason": "",
        "details": {},
        "text": "pvs-1 of pool boot: standing",
    }
    await scene.end()


def broken(it: Receiver) -> None:
    it.status = 500


def slow(it: Receiver) -> None:
    it.seconds = 5.0


def moved(it: Receiver) -> None:
    it.status, it.headers = 307, {"Location": "/elsewhere"}


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (broken, "HTTP status 500"),
        (slow, "it took more than 0.2 s"),
        (moved, "HTTP status 307"),
    ],
)
async def test_a_receiver_in_trouble_gets_everything_once_it_is_well(
    receiver: Receiver, trouble: Callable[[Receiver], None], sentence: str
) -> None:
    """In order; and no redirect is followed."""
    scene = Scene()
    scene.begin(receiver.hook(timeout=0.2))
    trouble(receiver)
    scene.tell([1, 2, 3])
    assert sentence in await scene.fails()
    receiver.status, receiver.seconds = 200, 0.0
    assert await receiver.has(3) == [1, 2, 3]
    assert receiver.elsewhere == 0
    await scene.end()


async def test_a_receiver_that_is_not_there_yet_gets_everything() -> None:
    """A refused connection is tried again."""
    receiver, scene = Receiver(), Scene()
    scene.begin(receiver.hook())
    scene.tell([1, 2])
    assert "Connect call failed" in await scene.fails()
    await receiver.start()
    assert await receiver.has(2) == [1, 2]
    await scene.end()
    await receiver.stop()


async def test_a_queue_that_is_full_tells_what_it_lost(receiver: Receiver) -> None:
    """The count of the lost and of the rest is the count of all."""
    scene = Scene()
    receiver.status = 503
    scene.begin(receiver.hook(queue=10))
    scene.tell(range(1, 1001))
    await scene.fails()
    assert scene.hooks.reports()[0].waiting == 10
    receiver.status = 200
    ids = await receiver.has(11)
    assert receiver.got[0]["event"] == "dropped"
    assert int(receiver.got[0]["details"]["count"]) == 990
    assert ids[1:] == list(range(991, 1001))
    await scene.end()


async def test_one_receiver_in_trouble_holds_up_no_other(receiver: Receiver) -> None:
    """Each has a task of its own."""
    scene = Scene()
    scene.begin(EventWebhookSettings(name="gone", url="http://127.0.0.1:1/"), receiver.hook())
    scene.tell([1, 2])
    assert await receiver.has(2) == [1, 2]
    async with asyncio.timeout(10):  # until the last response is read
        while scene.hooks.reports()[1].waiting:  # noqa: ASYNC110 - another party's doing
            await asyncio.sleep(0.01)
    gone, chat = scene.hooks.reports()
    assert (gone.name, gone.waiting, chat.name, chat.waiting) == ("gone", 2, "chat", 0)
    await scene.end()


@pytest.mark.parametrize("kill", [False, True])
async def test_a_restart_forgets_nothing_that_was_tried(
    receiver: Receiver, tmp_path: Path, *, kill: bool
) -> None:
    """What waits is on disk after a failure, also when the process is killed."""
    outbox = tmp_path / "rrdns.webhooks.json"
    before = Scene(outbox)
    receiver.status = 500
    before.begin(receiver.hook(queue=3))
    before.tell([1, 2, 3, 4, 5])
    await before.fails()
    async with asyncio.timeout(5):
        while not outbox.exists():  # noqa: ASYNC110 - a thread's work
            await asyncio.sleep(0.01)
    assert outbox.stat().st_mode & 0o777 == 0o600
    await before.end(kill=kill)
    receiver.status = 200
    after = Scene(outbox)
    after.begin(receiver.hook())
    after.tell([6])
    assert await receiver.has(5) == [2, 3, 4, 5, 6]
    assert receiver.got[0]["details"] == {"count": "2"}
    await after.end()
    assert not outbox.exists()
    assert set(after.troubles) <= {""}


async def test_a_webhook_that_moves_takes_its_events_along(receiver: Receiver) -> None:
    """A reload with another URL; one that is taken out of the config is forgotten."""
    scene = Scene()
    scene.begin(EventWebhookSettings(name="chat", url="http://127.0.0.1:1/"))
    scene.tell([1, 2])
    await scene.fails()
    scene.hooks.configure([receiver.hook()])
    assert await receiver.has(2) == [1, 2]
    same = scene.hooks.reports()
    scene.hooks.configure([receiver.hook()])
    assert scene.hooks.reports() == same
    scene.hooks.configure([])
    scene.tell([3])
    assert scene.hooks.reports() == ()
    await scene.end()
    assert len(receiver.got) == 2


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"chat": {}}', '{"chat": 3}', '{"chat": {"dropped": 1}}']
)
async def test_a_damaged_outbox_is_told_and_does_no_more_harm(
    receiver: Receiver, tmp_path: Path, text: str
) -> None:
    """Its events are lost; new ones go out."""
    outbox = tmp_path / "outbox"
    outbox.write_text(text)
    scene = Scene(outbox)
    scene.begin(receiver.hook())
    assert "cannot be read, and its events are lost" in scene.troubles[0]
    scene.tell([1])
    assert await receiver.has(1) == [1]
    await scene.end()


async def test_an_outbox_that_cannot_be_written_is_told(receiver: Receiver, tmp_path: Path) -> None:
    """Delivery goes on; only a restart would lose what waits."""
    scene = Scene(tmp_path / "nowhere" / "outbox")
    receiver.status = 500
    scene.begin(receiver.hook())
    scene.tell([1])
    await scene.fails()
    async with asyncio.timeout(5):
        while not any("cannot be saved" in trouble for trouble in scene.troubles):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    receiver.status = 200
    assert await receiver.has(1) == [1]
    await scene.end()
