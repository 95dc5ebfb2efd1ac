"""The stream of events, as a watcher sees it on a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from rrdns.core.events import alarm_cleared, alarm_raised
from rrdns.core.roles import Role
from tests.web.fake_admin_service import NOW, happened
from tests.web.serving import TOKENS, Client, serving


@dataclass(slots=True)
class Stream:
    """Reads one stream, message by message."""

    response: aiohttp.ClientResponse

    async def message(self) -> dict[str, str]:
        """Return the next message by field; a comment has the field ''."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(5):
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        return fields

    async def messages(self, count: int) -> list[dict[str, str]]:
        """Return the next few messages."""
        return [await self.message() for _ in range(count)]


@asynccontextmanager
async def watching(client: Client, last_id: int | None = None) -> AsyncIterator[Stream]:
    """Open a stream, as a watcher that saw `last_id` last."""
    headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
    async with client.session.get("/v1/events", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        stream = Stream(response)
        assert "retry" in await stream.message()
        yield stream


async def test_a_watcher_is_told_what_happens(client: Client) -> None:
    """With an id, a kind, a time, and the facts; line breaks in them break nothing."""
    async with watching(client) as stream:
        client.admin_service.events.append(happened("standing", pool="boot", reason="a\nb"))
        message = await stream.message()
    assert (message["id"], message["event"]) == ("100", "standing")
    assert json.loads(message["data"]) == {
        "id": 100,
        "at": "2026-02-02T02:40:00.000Z",
        "kind": "standing",
        "by": "anna",
        "action": "standing",
        "pool": "boot",
        "member": "",
        "reason": "a\nb",
        "before": "",
        "after": "",
        "details": {},
    }


async def test_an_alarm_has_a_name_and_a_sentence(client: Client) -> None:
    """Both when it is raised and when it is cleared."""
    async with watching(client) as stream:
        client.admin_service.events.append(alarm_raised(NOW, "store-failed", "the disk is full"))
        client.admin_service.events.append(alarm_cleared(NOW, "everything-down", "boot"))
        found = await stream.messages(2)
    at = "2026-02-02T02:40:00.000Z"
    assert [json.loads(message["data"]) for message in found] == [
        {
            "id": 100,
            "at": at,
            "kind": "alarm",
            "name": "store-failed",
            "sentence": "the disk is full",
            "pool": "",
        },
        {
            "id": 101,
            "at": at,
            "kind": "alarm-over",
            "name": "everything-down",
            "sentence": "",
            "pool": "boot",
        },
    ]


async def test_a_new_watcher_is_not_told_of_the_past(client: Client) -> None:
    """Only of what comes after it came, and it knows from which id on."""
    client.admin_service.events.append(happened("old"))
    async with client.session.get("/v1/events") as response:
        first = await Stream(response).message()
        assert first == {"retry": "2000", "id": "100"}
        client.admin_service.events.append(happened("new"))
        assert (await Stream(response).message())["event"] == "new"


async def test_a_watcher_that_comes_back_misses_nothing(client: Client) -> None:
    """Each event once and in order, whatever happened while it was away."""
    for kind in ("a", "b", "c"):
        client.admin_service.events.append(happened(kind))
    async with watching(client, last_id=100) as stream:
        client.admin_service.events.append(happened("d"))
        found = await stream.messages(3)
    assert [message["event"] for message in found] == ["b", "c", "d"]
    assert [message["id"] for message in found] == ["101", "102", "103"]


@pytest.mark.parametrize("last_id", [0, 101, 999_999])
async def test_a_watcher_that_was_away_too_long_is_told_so(client: Client, last_id: int) -> None:
    """Once, with the id to go on from; an id from another run is the same."""
    for _ in range(12):  # the log keeps 8
        client.admin_service.events.append(happened("tick"))
    async with watching(client, last_id) as stream:
        gap = await stream.message()
        client.admin_service.events.append(happened("after"))
        after = await stream.message()
    assert gap == {"id": "111", "event": "gap", "data": "{}"}
    assert (after["id"], after["event"]) == ("112", "after")


@pytest.mark.parametrize("last_id", ["x", "-1", "1.5", "٣", "9" * 30])
async def test_an_id_that_never_was_one_is_refused(client: Client, last_id: str) -> None:
    """Rather than guessed at."""
    answer = await client.get("/v1/events", headers={"Last-Event-ID": last_id})
    assert (answer.status, answer.problem) == (400, "bad-request")


async def test_a_quiet_stream_shows_signs_of_life() -> None:
    """So that a watcher can tell quiet from dead."""
    async with serving(heartbeat=0.02) as client, watching(client) as stream:
        assert await stream.messages(2) == [{"": "alive"}, {"": "alive"}]


async def test_orders_reach_watchers(strict: Client) -> None:
    """From the call of one admin to the page of another."""
    headers = {"Authorization": "Bearer secret-of-viewer"}
    async with strict.session.get("/v1/events", headers=headers) as response:
        stream = Stream(response)
        await stream.message()
        await strict.post("/v1/pools/boot/members/pvs-1/drain", role=Role.OPERATOR)
        assert json.loads((await stream.message())["data"])["member"] == "pvs-1"


async def test_only_so_many_may_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves makes room."""
    monkeypatch.setattr("rrdns.web.handlers.event_stream.MAX_SUBSCRIBERS", 1)
    async with serving(heartbeat=0.01) as client:
        async with watching(client):
            answer = await client.get("/v1/events")
            assert (answer.status, answer.problem) == (429, "too-many")
            assert answer.headers["Retry-After"]
        async with asyncio.timeout(5):
            while True:
                async with client.session.get("/v1/events") as response:
                    if response.status == 200:
                        break


async def test_many_watchers_see_the_same() -> None:
    """They share one log and have no queues of their own."""
    async with serving(tokens=TOKENS) as client:
        headers = {"Authorization": "Bearer secret-of-viewer"}
        answers = [await client.session.get("/v1/events", headers=headers) for _ in range(20)]
        streams = [Stream(answer) for answer in answers]
        for stream in streams:
            await stream.message()
        client.admin_service.events.append(happened("tick"))
        found = await asyncio.gather(*(stream.message() for stream in streams))
        assert {message["id"] for message in found} == {"100"}
        for answer in answers:
            answer.close()
