"""How events reach a webhook: each once, in order, again and again, and told when lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rrdns.core.events import Event, alarm_cleared, alarm_raised
from rrdns.export.disk_io import Disk
from rrdns.export.errors import DeliveryFailed
from rrdns.export.http_client import HttpPost
from rrdns.export.retry import DeliveryEvent, Outcome
from rrdns.export.webhooks.delivery import (
    DELIVERY,
    EVENT,
    MAX_REFUSALS,
    PendingEvents,
    WebhookTask,
    where,
)
from rrdns.export.webhooks.payload import sentence, topic_of
from rrdns.export.webhooks.settings import EventTopic, EventWebhookSettings
from tests.virtual_time import run_virtually

URL = "https://chat.example.test:8443/hooks/key-of-the-chat?x=1"


ACTIONS = {EventTopic.STANDING: "standing", EventTopic.DRIFT: "drift", EventTopic.RELOAD: "reload"}


def event(number: int, topic: EventTopic = EventTopic.STANDING, pool: str = "boot") -> Event:
    return Event(1000.0 + number, "", ACTIONS[topic], pool=pool, member="pvs-1", id=number)


class DiskAtOnce(Disk):
    """A disk without a thread, which would not know of virtual time."""

    async def run(self, job: Callable[[], Any]) -> Any:
        return job()


class Receiver:
    """Takes what is posted, and fails or lingers on demand."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.seconds = 0.0
        self.got: list[dict[str, Any]] = []
        self.posts: list[HttpPost] = []
        self.tried_at: list[float] = []

    async def take(self, post: HttpPost) -> bytes:
        self.tried_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.posts.append(post)
        self.got.append(json.loads(post.body))
        return b""

    def ids(self) -> list[int]:
        return [value["id"] for value in self.got]


class Scene:
    """A messenger, its receiver, and what was heard of them."""

    def __init__(self, **settings: Any) -> None:
        self.receiver = Receiver()
        self.news: list[DeliveryEvent] = []
        self.kept = 0
        hook = EventWebhookSettings(**{"name": "chat", "url": URL, "timeout": 5.0, **settings})
        clock = asyncio.get_running_loop().time
        self.task = WebhookTask(
            hook,
            self.news.append,
            lambda: 1000 + clock(),
            self.keep,
            self.receiver.take,
            DiskAtOnce(),
        )

    def keep(self) -> None:
        self.kept += 1

    def tell(self, *numbers: int) -> None:
        for number in numbers:
            self.task.enqueue(event(number))


@asynccontextmanager
async def scene(**settings: Any) -> AsyncIterator[Scene]:
    it = Scene(**settings)
    it.task.start()
    try:
        yield it
    finally:
        await it.task.stop()


def test_each_event_is_told_once_and_in_order() -> None:
    """With its subject and its number in the headers, and no key in the report."""

    async def test() -> None:
        async with scene(headers=(("X-Site", "ulm"),)) as it:
            it.tell(1, 2, 3)
            await asyncio.sleep(1)
            assert it.receiver.ids() == [1, 2, 3]
            post = it.receiver.posts[0]
            assert post.url == URL
            assert post.headers == {"X-Site": "ulm", EVENT: "standing", DELIVERY: "1"}
            report = it.task.report()
            assert (report.delivered, report.waiting, report.failing) == (3, 0, False)
            assert (report.origin, report.last_success) == ("https://chat.example.test:8443/", 1000)
            assert not it.news

    run_virtually(test())


def test_only_what_was_asked_for_is_told() -> None:
    """By subject, and by pool where there is one."""

    async def test() -> None:
        async with scene(events=(EventTopic.DRIFT, EventTopic.RELOAD), pools=("boot",)) as it:
            it.task.enqueue(event(1))
            it.task.enqueue(event(2, EventTopic.DRIFT))
            it.task.enqueue(event(3, EventTopic.DRIFT, pool="other"))
            it.task.enqueue(event(4, EventTopic.RELOAD, pool=""))
            await asyncio.sleep(1)
            assert it.receiver.ids() == [2, 4]

    run_virtually(test())


def test_a_receiver_that_is_down_gets_everything_later_and_in_order() -> None:
    """Tried again after 1 s, doubling to 60 s; told of once, and that it is over."""

    async def test() -> None:
        async with scene() as it:
            it.receiver.error = DeliveryFailed("https://chat.example.test:8443/", "refused")
            it.tell(1, 2)
            await asyncio.sleep(200)
            waits = [after - before for before, after in pairwise(it.receiver.tried_at)]
            assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
            report = it.task.report()
            assert (report.failing, report.attempts, report.waiting) == (True, 9, 2)
            assert report.next_try == pytest.approx(1000 + sum(waits) + 60)
            it.receiver.error = None
            it.tell(3)
            await asyncio.sleep(60)
            assert it.receiver.ids() == [1, 2, 3]
            assert [news.outcome for news in it.news] == [Outcome.FAILED, Outcome.RECOVERED]
            report = it.task.report()
            assert (report.failing, report.next_try, report.failed) == (False, None, 9)
            assert report.last_error == "https://chat.example.test:8443/: refused"

    run_virtually(test())


def test_a_slow_receiver_is_given_up_and_holds_up_nobody() -> None:
    """The attempt ends at its limit; handing over takes no time."""

    async def test() -> None:
        async with scene() as it:
            it.receiver.seconds = 99
            it.tell(1)
            await asyncio.sleep(5.5)
            assert "it took more than 5 s" in it.task.report().last_error
            it.receiver.seconds = 0
            await asyncio.sleep(1)
            assert it.receiver.ids() == [1]

    run_virtually(test())


def test_a_full_queue_lets_the_oldest_go_and_says_how_many() -> None:
    """The receiver is told before what comes after them; the report counts them."""

    async def test() -> None:
        async with scene(queue=3) as it:
            it.receiver.error = DeliveryFailed("chat", "refused")
            it.tell(*range(1, 9))
            await asyncio.sleep(0.5)
            report = it.task.report()
            assert (report.waiting, report.queue_limit, report.dropped) == (3, 3, 5)
            it.receiver.error = None
            await asyncio.sleep(60)
            assert it.receiver.ids() == [5, 6, 7, 8]
            told = it.receiver.got[0]
            assert (told["event"], told["details"]) == ("dropped", {"count": "5"})
            assert told["text"] == "dropped (5 events could not be delivered and were dropped)"
            assert it.task.report().dropped == 5

    run_virtually(test())


def test_what_is_under_way_is_not_lost() -> None:
    """It may arrive yet; and what is lost while the loss is told is told next."""

    async def test() -> None:
        async with scene(queue=2) as it:
            it.receiver.seconds = 1
            it.tell(1)
            await asyncio.sleep(0.5)
            it.tell(2, 3, 4)  # 2 and 3 are let go, with 1 under way
            await asyncio.sleep(1)
            it.tell(5, 6)  # and 4, while the loss of 2 and 3 is told
            await asyncio.sleep(9)
            assert it.receiver.ids() == [1, 3, 4, 5, 6]
            counts = [value["details"].get("count") for value in it.receiver.got]
            assert counts == [None, "2", "1", None, None]

    run_virtually(test())


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_an_event_that_is_refused_does_not_hold_up_the_others(status: int) -> None:
    """These statuses say that it, and not the receiver, is the trouble: it counts as lost."""

    async def test() -> None:
        async with scene() as it:
            it.receiver.error = DeliveryFailed("chat", f"HTTP status {status}", status)
            it.tell(1, 2)
            await asyncio.sleep(3.5)
            assert len(it.receiver.tried_at) == MAX_REFUSALS
            it.receiver.error = None
            await asyncio.sleep(60)
            assert [value["event"] for value in it.receiver.got] == ["dropped", "standing"]
            assert it.receiver.ids() == [1, 2]
            assert it.task.report().dropped == 1

    run_virtually(test())


def test_a_receiver_that_refuses_everything_is_asked_no_more_than_that() -> None:
    """Nor about what it lost: each event is let go in its turn."""

    async def test() -> None:
        async with scene() as it:
            it.receiver.error = DeliveryFailed("chat", "HTTP status 400", 400)
            it.tell(1, 2)
            await asyncio.sleep(3600)
            assert it.task.waiting() == PendingEvents()
            assert it.task.report().dropped == 2

    run_virtually(test())


def test_other_statuses_are_tried_for_ever() -> None:
    """The receiver is broken, or the key is wrong: both can be mended."""

    async def test() -> None:
        async with scene() as it:
            for status in (302, 401, 404, 429, 500, 503):
                it.receiver.error = DeliveryFailed("chat", f"HTTP status {status}", status)
                it.tell(status)
                await asyncio.sleep(600)
            assert it.task.report().waiting == 6
            assert it.task.report().dropped == 0

    run_virtually(test())


def test_a_defect_of_ours_stays_in_the_report() -> None:
    """The task goes on."""

    async def test() -> None:
        async with scene() as it:
            it.receiver.error = ZeroDivisionError("oops")
            it.tell(1)
            await asyncio.sleep(0.5)
            assert "a defect of rrdns" in it.task.report().last_error
            it.receiver.error = None
            await asyncio.sleep(1)
            assert it.receiver.ids() == [1]

    run_virtually(test())


def test_a_key_that_cannot_be_read_sends_nothing(tmp_path: Path) -> None:
    """Better late than unsigned."""

    async def test() -> None:
        async with scene(secret_file=tmp_path / "no") as it:
            it.tell(1)
            await asyncio.sleep(0.5)
            assert not it.receiver.got
            assert "the secret cannot be read" in it.task.report().last_error
            (tmp_path / "no").write_text("s3cret\n")
            await asyncio.sleep(2)
            assert it.receiver.ids() == [1]

    run_virtually(test())


def test_another_messenger_goes_on_where_one_was_stopped() -> None:
    """Ahead of what came meanwhile, and with what is lost told first."""

    async def test() -> None:
        async with scene(queue=2) as old:
            old.receiver.error = DeliveryFailed("chat", "refused")
            old.tell(1, 2, 3, 4)
            await asyncio.sleep(0.5)
            assert old.kept > 0  # a failure is a reason to write it down
            left = old.task.waiting()
        assert left == PendingEvents((event(3), event(4)), 2, event(2))
        async with scene() as new:
            new.tell(5)
            new.task.restore(left)
            await asyncio.sleep(1)
            assert new.receiver.ids() == [2, 3, 4, 5]
            assert new.task.waiting() == PendingEvents()

    run_virtually(test())


def test_a_stop_gives_what_waits_a_moment() -> None:
    """Where the receiver is well, the last word still gets through."""

    async def test() -> None:
        async with scene() as it:
            it.receiver.seconds = 0.05
            it.tell(1, 2)
            await it.task.flush(0.3)
            assert it.receiver.ids() == [1, 2]
        async with scene() as slow:
            slow.receiver.seconds = 9
            slow.tell(1)
            began = asyncio.get_running_loop().time()
            await slow.task.flush(0.3)
            assert asyncio.get_running_loop().time() - began == pytest.approx(0.3)
            assert slow.task.waiting().events == (event(1),)

    run_virtually(test())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:word@chat.example/key?token=1", "https://chat.example/"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
        ("http://[::1]:80/x", "http://[::1]:80/"),
    ],
)
def test_no_key_is_shown(url: str, shown: str) -> None:
    """User, path and query of a URL may hold one."""
    assert where(url) == shown


def entry(action: str, by: str = "rrdns", **facts: Any) -> Event:
    return Event(1000.0, by, action, **facts)


@pytest.mark.parametrize(
    ("happened", "topic", "text"),
    [
        (
            entry(
                "standing",
                pool="boot",
                member="pvs-2",
                before="up",
                after="down",
                reason="no answer within 1 s",
            ),
            "standing",
            "pvs-2 of pool boot: up -> down (no answer within 1 s)",
        ),
        (
            entry("drain", pool="boot", member="pvs-1", by="anna", reason="patch"),
            "override",
            "pvs-1 of pool boot: drain by anna (patch)",
        ),
        (entry("drift", pool="boot", member="pvs-3", reason="differs"), "drift", None),
        (entry("warning", pool="boot", member="pvs-3"), "warning", None),
        (
            entry("reload", after="pool boot: ttl: 5 -> 3"),
            "reload",
            "reload pool boot: ttl: 5 -> 3",
        ),
        (entry("reload-failed", reason="2 mistakes"), "reload", None),
        (entry("start"), "service", "start"),
        (
            alarm_raised(1000.0, "everything-down", "no member is healthy", "boot"),
            "everything-down",
            "boot: alarm everything-down (no member is healthy)",
        ),
        (
            alarm_cleared(1000.0, "everything-down", "boot"),
            "everything-down",
            "boot: alarm-over everything-down is over",
        ),
        (alarm_raised(1000.0, "store-failed", "full"), "alarm", None),
    ],
)
def test_an_event_has_a_topic_and_a_sentence(happened: Event, topic: str, text: str | None) -> None:
    """A chat shows the sentence; a script goes by the topic."""
    assert topic_of(happened) == topic
    assert text is None or sentence(happened) == text
