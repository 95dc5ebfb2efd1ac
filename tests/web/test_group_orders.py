"""Orders for several members, for later, as a trial, and with a wait until they are safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from rrdns.core.health.probe_timing import PUBLISH_SECONDS
from rrdns.core.model import OrderKind
from rrdns.core.roles import Role
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.app import make_app
from rrdns.web.handlers import wait_until_safe
from rrdns.web.transport.server import ApiServer
from tests.service.control_harness import Office
from tests.web.fake_admin_service import NOW, FakeAdminService, pool
from tests.web.serving import MEMBER, Client, bound, serving

DRAIN = "/v1/orders/drain"


@pytest.mark.parametrize(
    ("body", "drained"),
    [
        ({"members": ["pvs-2", "pvs-1"]}, ["pvs-1", "pvs-2"]),
        ({"glob": "*-[23]", "pool": "boot"}, ["pvs-2", "pvs-3"]),
        ({"tag": "rack-1", "force": True}, ["pvs-1", "pvs-2", "pvs-3"]),
    ],
)
async def test_members_are_named_by_list_pattern_or_tag(
    client: Client, body: dict[str, Any], drained: list[str]
) -> None:
    """The answer has each of them, and who is left."""
    answer = await client.post(DRAIN, {**body, "reason": "patch", "for": "2h"})
    assert answer.status == 200
    assert [one["member"]["name"] for one in answer.json["members"]] == drained
    assert all(one["changed"] for one in answer.json["members"])
    left = [name for name in ("pvs-1", "pvs-2", "pvs-3") if name not in drained]
    assert answer.json["remaining"] == {"boot": left}
    assert {member for _, member in client.admin_service.orders} == set(drained)


async def test_a_name_is_meant_in_every_pool_that_has_it() -> None:
    """A server that is to be rebooted leaves all answers; a pool may be named."""
    async with serving(FakeAdminService(pool("boot"), pool("login", members=2))) as client:
        both = await client.post(DRAIN, {"members": ["pvs-2"]})
        assert list(both.json["remaining"]) == ["boot", "login"]
        one = await client.post("/v1/orders/resume", {"members": ["pvs-2"], "pool": "login"})
        assert list(one.json["remaining"]) == ["login"]
        assert set(client.admin_service.orders) == {("boot", "pvs-2")}


async def test_all_or_nothing(client: Client) -> None:
    """What the guard refuses for one is refused for all."""
    refused = await client.post(DRAIN, {"glob": "pvs-*"})
    assert (refused.status, refused.problem) == (409, "last-member")
    assert refused.json["remaining"] == 0
    assert "'pvs-1', 'pvs-2', 'pvs-3' are the last members" in refused.json["detail"]
    unknown = await client.post(DRAIN, {"members": ["pvs-1", "pvs-9"]})
    assert (unknown.status, unknown.problem) == (404, "unknown-member")
    nobody = await client.post(DRAIN, {"tag": "rack-9"})
    assert (nobody.status, nobody.json["detail"]) == (404, "no member has the tag 'rack-9'")
    nowhere = await client.post(DRAIN, {"tag": "rack-1", "pool": "nope"})
    assert (nowhere.status, nowhere.problem) == (404, "unknown-pool")
    assert client.admin_service.orders == {}


@pytest.mark.parametrize("body", [{}, {"tag": "a", "glob": "b"}, {"members": []}, {"tag": ""}])
async def test_members_are_named_in_exactly_one_way(client: Client, body: dict[str, Any]) -> None:
    """Nobody is drained by an empty order."""
    answer = await client.post(DRAIN, body)
    assert (answer.status, answer.problem) == (422, "invalid")


async def test_forcing_several_takes_an_admin(strict: Client) -> None:
    """As it does for one."""
    body = {"tag": "rack-1"}
    answer = await strict.post("/v1/orders/force-up", body, Role.OPERATOR)
    assert answer.status == 403
    assert (await strict.post("/v1/orders/force-up", body, Role.ADMIN)).status == 200
    assert {one.order for one in strict.admin_service.orders.values()} == {OrderKind.FORCE_UP}


@pytest.mark.parametrize("path", [DRAIN, f"{MEMBER}/drain"])
async def test_a_trial_tells_the_guards_word_and_changes_nothing(client: Client, path: str) -> None:
    """Not even the audit trail."""
    client.admin_service.fall("boot", "pvs-2", "pvs-3")
    body = {"dry_run": True, **({"members": ["pvs-1"]} if path == DRAIN else {})}
    answer = await client.post(path, body)
    assert answer.status == 200
    assert (answer.json["dry_run"], answer.json["changed"], answer.json["id"]) == (True, True, "")
    assert "'pvs-1' is the last member" in answer.json["guard"]
    assert answer.json["safe"] is False
    assert (client.admin_service.orders, await client.admin_service.store.audit(9)) == ({}, ())


@pytest.mark.parametrize("at", ["+2h", "2026-02-02T04:40:00Z"])
async def test_an_order_for_later_is_shown_and_can_be_cancelled(client: Client, at: str) -> None:
    """`for` counts from its start; the entity tag tells of it."""
    tag = (await client.get(MEMBER)).headers["ETag"]
    answer = await client.post(f"{MEMBER}/drain", {"at": at, "for": "1h", "reason": "patch"})
    assert answer.status == 200
    shown = (await client.get(MEMBER)).json
    assert (shown["in"], shown["override"]) == (True, None)
    assert shown["plan"] == {
        "order": "drain",
        "by": "local",
        "reason": "patch",
        "at": "2026-02-02T04:40:00.000Z",
        "until": "2026-02-02T05:40:00.000Z",
        "force": False,
        "id": answer.json["id"],
        "sentence": "will be drained by local",
    }
    assert (await client.get(MEMBER)).headers["ETag"] != tag
    assert (await client.post(f"{MEMBER}/resume")).json["changed"] is True
    assert (await client.get(MEMBER)).json["plan"] is None


async def test_a_start_in_the_past_is_now(client: Client) -> None:
    """A script that is late is not wrong."""
    answer = await client.post(f"{MEMBER}/drain", {"at": "2026-02-02T02:39:59Z", "for": "1h"})
    assert answer.json["member"]["why"] == "drained"
    assert client.admin_service.orders["boot", "pvs-1"].until == NOW + 3600


@asynccontextmanager
async def an_office() -> AsyncIterator[tuple[Office, aiohttp.ClientSession]]:
    """Serve the real desk, whose clock runs as the test says."""
    office = Office(now=NOW)
    await office.open()
    sock = bound()
    port = sock.getsockname()[1]
    server = ApiServer(
        make_app(office.admin_service, TokenAuthenticator(()), clock=office.clock), sock
    )
    await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield office, session
    await server.stop()


async def until(happened: Any) -> None:
    """Let the server work until something holds."""
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.005)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that a test need not wait."""
    monkeypatch.setattr(wait_until_safe, "POLL_INTERVAL", 0.01)


@pytest.mark.usefixtures("quick")
async def test_an_order_can_wait_until_it_is_safe() -> None:
    """The answer comes when `safe_after` has passed, and not before."""
    async with an_office() as (office, session):
        call = asyncio.create_task(session.post(f"{MEMBER}/drain", json={"wait": True}))
        await until(lambda: len(office.answers()) == 2)
        office.now = NOW + PUBLISH_SECONDS + 5.9
        await asyncio.sleep(0.05)
        assert not call.done()
        office.now = NOW + PUBLISH_SECONDS + 6.0
        async with await call as response:
            done = await response.json()
        assert (done["safe"], done["safe_after"]) == (True, "2026-02-02T02:40:06.010Z")


@pytest.mark.usefixtures("quick")
async def test_a_wait_ends_when_somebody_brings_the_member_back() -> None:
    """It will not be safe, and the answer says so."""
    async with an_office() as (office, session):
        body = {"members": ["pvs-1", "pvs-2"], "wait": True}
        call = asyncio.create_task(session.post(DRAIN, json=body))
        await until(lambda: len(office.answers()) == 1)
        await office.resume("pvs-2")
        async with await call as response:
            done = await response.json()
        assert done["safe"] is False
        assert [one["member"]["in"] for one in done["members"]] == [False, True]


@pytest.mark.usefixtures("quick")
async def test_a_wait_does_not_last_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a TTL of a day the caller hears that it is not safe yet."""
    monkeypatch.setattr(wait_until_safe, "MAX_WAIT", 0.05)
    async with (
        an_office() as (_, session),
        session.post(f"{MEMBER}/drain", json={"wait": True}) as response,
    ):
        assert (await response.json())["safe"] is False


@pytest.mark.usefixtures("quick")
async def test_a_caller_that_goes_away_frees_its_place_and_its_order_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With all places taken an order that would wait is not given at all."""
    monkeypatch.setattr(wait_until_safe, "MAX_WAITERS", 1)
    async with an_office() as (office, session):
        call = asyncio.create_task(session.post(f"{MEMBER}/drain", json={"wait": True}))
        await until(lambda: len(office.answers()) == 2)
        second = MEMBER.replace("pvs-1", "pvs-2")
        async with session.post(f"{second}/drain", json={"wait": True}) as response:
            assert response.status == 429
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        office.now = NOW + 1

        async def is_free() -> bool:
            async with session.post(f"{MEMBER}/drain", json={"wait": True}) as response:
                return response.status == 200

        await asyncio.sleep(0.05)
        office.now = NOW + 60
        assert await is_free()
        assert office.answers() == ("10.0.0.2", "10.0.0.3")


async def test_two_admins_never_drain_the_last_two_members_over_http() -> None:
    """A hundred times at the same instant, each with a connection of their own."""
    async with an_office() as (office, session):
        for _ in range(100):
            assert (await office.drain("pvs-1")).members[0].report.override
            answers = await asyncio.gather(
                *(
                    session.post(f"/v1/pools/boot/members/{member}/drain", json={})
                    for member in ("pvs-2", "pvs-3")
                )
            )
            assert sorted(answer.status for answer in answers) == [200, 409]
            assert len(office.answers()) == 1
            for answer in answers:
                answer.release()
            await office.resume("pvs-1", "pvs-2", "pvs-3")
