"""The calls that order: drain, resume, force up, force down."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rrdns.core.model import OrderKind
from tests.web.fake_admin_service import NOW
from tests.web.serving import MEMBER, Client


async def test_a_drain_takes_a_member_out_and_tells_when_that_is_safe(client: Client) -> None:
    """Out at once, safe when the last answer has expired."""
    answer = await client.post(f"{MEMBER}/drain", {"reason": "patch night", "for": "2h"})
    assert answer.status == 200
    assert answer.json["changed"] is True
    assert answer.json["safe_after"] == "2026-02-02T02:40:05.000Z"
    member = answer.json["member"]
    assert (member["in"], member["why"]) == (False, "drained")
    assert member["override"]["until"] == "2026-02-02T04:40:00.000Z"
    shown = (await client.get(f"{MEMBER}?recent=0")).json
    assert shown == member


@pytest.mark.parametrize(
    ("body", "until"),
    [
        ({}, None),
        ({"for": None, "until": None}, None),
        ({"for": "1h30m"}, NOW + 5400),
        ({"for": 90}, NOW + 90),
        ({"for": 0.5}, NOW + 0.5),
        ({"until": "2026-02-02T03:40:00Z"}, NOW + 3600),
        ({"until": "2026-02-02T04:40:00.5+01:00"}, NOW + 3600.5),
    ],
)
async def test_an_order_ends_when_it_was_said_to(
    client: Client, body: dict[str, Any], until: float | None
) -> None:
    """After a length of time, at a time, or not by itself."""
    assert (await client.post(f"{MEMBER}/drain", body)).status == 200
    assert client.admin_service.orders["boot", "pvs-1"].until == until


async def test_an_empty_body_is_an_order_without_particulars(client: Client) -> None:
    """The media type is needed all the same."""
    headers = {"Content-Type": "application/json"}
    answer = await client.call("POST", f"{MEMBER}/drain", data=b"", headers=headers)
    assert (answer.status, answer.json["changed"]) == (200, True)


async def test_the_same_order_twice_is_one(client: Client) -> None:
    """The second is a success that changed nothing, and leaves no line in the trail."""
    body = {"reason": "patch", "for": "2h"}
    first = await client.post(f"{MEMBER}/drain", body)
    second = await client.post(f"{MEMBER}/drain", body)
    assert (first.json["changed"], second.json["changed"]) == (True, False)
    assert second.json["member"] == first.json["member"]
    assert len((await client.get("/v1/audit")).json["entries"]) == 1


async def test_resuming_brings_a_member_back(client: Client) -> None:
    """Once; the second time there is nothing to end."""
    await client.post(f"{MEMBER}/drain")
    first = await client.post(f"{MEMBER}/resume", {"reason": "patched"})
    second = await client.post(f"{MEMBER}/resume")
    assert (first.json["changed"], second.json["changed"]) == (True, False)
    assert first.json["member"]["in"] is True
    newest = (await client.get("/v1/audit?limit=1")).json["entries"][0]
    assert (newest["action"], newest["by"], newest["reason"]) == ("resume", "local", "patched")


@pytest.mark.parametrize(
    ("verb", "order", "is_in"),
    [
        ("drain", OrderKind.DRAIN, False),
        ("force-up", OrderKind.FORCE_UP, True),
        ("force-down", OrderKind.FORCE_DOWN, False),
    ],
)
async def test_each_verb_gives_its_order(
    client: Client, verb: str, order: OrderKind, is_in: bool
) -> None:
    """Whatever the probes say."""
    client.admin_service.fall("boot", "pvs-1")
    answer = await client.post(f"{MEMBER}/{verb}", {"reason": "because"})
    assert answer.json["member"]["in"] is is_in
    assert answer.json["member"]["override"]["order"] == order.value
    assert client.admin_service.orders["boot", "pvs-1"].order is order


async def test_the_last_member_is_kept_unless_it_is_forced(client: Client) -> None:
    """The refusal says which and how many are left."""
    for name in ("pvs-2", "pvs-3"):
        await client.post(f"/v1/pools/boot/members/{name}/drain")
    for verb in ("drain", "force-down"):
        refused = await client.post(f"{MEMBER}/{verb}")
        assert (refused.status, refused.problem) == (409, "last-member")
        assert "'pvs-1' is the last member" in refused.json["detail"]
        assert (refused.json["remaining"], refused.json["min_members"]) == (0, 1)
        assert (refused.json["pool"], refused.json["staying"]) == ("boot", [])
    assert (await client.get(MEMBER)).json["in"] is True
    forced = await client.post(f"{MEMBER}/drain", {"force": True})
    assert (forced.status, forced.json["changed"]) == (200, True)


@pytest.mark.parametrize("verb", ["drain", "resume", "force-up", "force-down"])
async def test_unknown_names_are_refused(client: Client, verb: str) -> None:
    """A pool and a member."""
    pool = await client.post(f"/v1/pools/nope/members/pvs-1/{verb}", {})
    member = await client.post(f"/v1/pools/boot/members/nope/{verb}", {})
    assert (pool.status, pool.problem) == (404, "unknown-pool")
    assert (member.status, member.problem) == (404, "unknown-member")


@pytest.mark.parametrize("verb", ["drain", "resume", "force-up", "force-down"])
async def test_a_store_that_fails_fails_the_order(client: Client, verb: str) -> None:
    """Nothing has changed, and the answer says why."""
    await client.post(f"{MEMBER}/drain", {"reason": "before"})
    tag = (await client.get(MEMBER)).headers["ETag"]
    client.admin_service.store_is_broken = True
    answer = await client.post(f"{MEMBER}/{verb}", {"reason": "after"})
    assert (answer.status, answer.problem) == (503, "store-failed")
    assert "the disk is full" in answer.json["detail"]
    assert (await client.get(MEMBER)).headers["ETag"] == tag


async def test_all_mistakes_in_a_body_are_listed(client: Client) -> None:
    """Each with its place and what would be right."""
    body = {"reason": "two\nlines", "for": "soon", "until": 5, "force": "yes", "dry": True}
    answer = await client.post(f"{MEMBER}/drain", body)
    assert (answer.status, answer.problem) == (422, "invalid")
    field_errors = {slip["place"]: slip["problem"] for slip in answer.json["errors"]}
    assert list(field_errors) == ["reason", "for", "until", "force", "dry"]
    assert '"2h", "90s" or "1h30m"' in field_errors["for"]
    assert "RFC 3339" in field_errors["until"]
    assert field_errors["force"] == "must be true or false"
    assert field_errors["dry"] == "unknown field"
    assert answer.json["detail"].startswith("5 mistakes: reason: ")
    assert client.admin_service.orders == {}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"tag": "rack-1", "reason": "x" * 501}, "must have at most 500 characters"),
        ({"tag": ""}, "must not be empty"),
        ({"members": []}, "must not be empty"),
        ({"members": "pvs-1"}, "must be a list"),
        ({"members": ["pvs-1"] * 1001}, "must be a list of at most 1000, not 1001"),
    ],
)
async def test_a_mistake_is_told_in_words_of_the_request(
    client: Client, body: object, problem: str
) -> None:
    """Nobody needs to know what a validator calls it."""
    answer = await client.post("/v1/orders/drain", body)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert [slip["problem"] for slip in answer.json["errors"]] == [problem]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"for": 0}, "for"),
        ({"for": -5}, "for"),
        ({"for": True}, "for"),
        ({"for": ["2h"]}, "for"),
        ({"for": 10**400}, "for"),
        ({"for": "99999d"}, "for"),
        ({"until": "2026-02-02T02:40:00Z"}, "until"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"until": "9999-12-31T23:59:59Z"}, "until"),
        ({"until": "tomorrow"}, "until"),
        ({"for": 60, "until": "2026-02-03T00:00:00Z"}, ""),
        ({"wait": True, "dry_run": True}, ""),
        ({"wait": True, "at": "+2h"}, ""),
        ({"at": "22:00"}, "at"),
        ({"at": 5}, "at"),
        ({"at": "+2 hours"}, "at"),
        ({"at": "9999-12-31T23:59:59Z"}, "at"),
        ({"at": "+2h", "until": "2026-02-02T03:40:00Z"}, "until"),
        ({"force": 1}, "force"),
        ({"reason": 5}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "\x1b[31mred"}, "reason"),
        ({"lasting": 60}, "lasting"),
        ([], ""),
        ("drain", ""),
        (None, ""),
    ],
)
async def test_each_mistake_has_its_place(client: Client, body: object, place: str) -> None:
    """One mistake, one slip; nothing is ordered."""
    headers = {"Content-Type": "application/json"}
    text = json.dumps(body).encode()
    answer = await client.call("POST", f"{MEMBER}/drain", data=text, headers=headers)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert [slip["place"] for slip in answer.json["errors"]] == [place]
    assert client.admin_service.orders == {}


async def test_a_resume_takes_a_reason_and_nothing_else(client: Client) -> None:
    """A length of time would be ignored, so it is refused."""
    answer = await client.post(f"{MEMBER}/resume", {"for": "2h"})
    assert (answer.status, answer.problem) == (422, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"reason=patch",
        b'{"reason": "\xff"}',
        b'{"for": NaN}',
        b'{"reason": "\\ud800"}',
        b"[" * 60_000,
        b"{}{}",
    ],
)
async def test_a_body_that_is_no_json_is_refused(client: Client, body: bytes) -> None:
    """Broken, another format, not UTF-8, half a surrogate, nested without end."""
    headers = {"Content-Type": "application/json"}
    answer = await client.call("POST", f"{MEMBER}/drain", data=body, headers=headers)
    assert (answer.status, answer.problem) == (400, "bad-json")


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_only_json_may_order(client: Client, media: str | None) -> None:
    """A page of another site can send the other media types from an admin's browser."""
    headers = {} if media is None else {"Content-Type": media}
    answer = await client.call("POST", f"{MEMBER}/drain", data=b"{}", headers=headers)
    assert (answer.status, answer.problem) == (415, "wrong-media-type")
    assert client.admin_service.orders == {}


async def test_a_compressed_body_is_refused(client: Client) -> None:
    """A small one could unpack to something huge."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await client.call("POST", f"{MEMBER}/drain", data=b"\x1f\x8b", headers=headers)
    assert (answer.status, answer.problem) == (415, "wrong-media-type")


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
async def test_a_body_may_have_64_kib(client: Client, size: int, status: int) -> None:
    """And not one byte more."""
    headers = {"Content-Type": "application/json"}
    body = b"{" + b" " * (size - 2) + b"}"
    answer = await client.call("POST", f"{MEMBER}/drain", data=body, headers=headers)
    assert answer.status == status
    assert status == 200 or answer.problem == "too-large"


async def test_an_order_on_an_outdated_view_is_refused(client: Client) -> None:
    """The tag of before the other admin's order no longer holds; the new one does."""
    seen = (await client.get(MEMBER)).headers["ETag"]
    other = await client.post(f"{MEMBER}/drain", {"reason": "mine"})
    late = await client.post(f"{MEMBER}/resume", headers={"If-Match": seen})
    assert (late.status, late.problem) == (412, "stale")
    assert late.headers["ETag"] == other.headers["ETag"]
    assert client.admin_service.orders["boot", "pvs-1"].reason == "mine"
    again = await client.post(f"{MEMBER}/resume", headers={"If-Match": other.headers["ETag"]})
    assert again.status == 200


@pytest.mark.parametrize("tag", ["*", '"other", {}', "{}"])
async def test_a_current_tag_lets_an_order_through(client: Client, tag: str) -> None:
    """Any of a list; a star asks only that the member exists."""
    now = (await client.get(MEMBER)).headers["ETag"]
    answer = await client.post(f"{MEMBER}/drain", headers={"If-Match": tag.format(now)})
    assert answer.status == 200


async def test_the_pool_s_tag_holds_while_no_member_changes(client: Client) -> None:
    """Who looks at the page decides on the pool as a whole."""
    seen = (await client.get("/v1/pools/boot")).headers["ETag"]
    client.admin_service.answers += 100
    assert (await client.get("/v1/pools/boot")).headers["ETag"] == seen, "counters are no matter"
    client.admin_service.fall("boot", "pvs-3")
    late = await client.post(f"{MEMBER}/drain", headers={"If-Match": seen})
    assert (late.status, late.problem) == (412, "stale")
    seen = (await client.get("/v1/pools/boot")).headers["ETag"]
    assert (await client.post(f"{MEMBER}/drain", headers={"If-Match": seen})).status == 200


async def test_of_two_admins_with_the_same_view_one_is_first(client: Client) -> None:
    """Both saw both members in; never are both orders carried out."""
    for _ in range(20):
        seen = (await client.get("/v1/pools/boot")).headers["ETag"]
        answers = await asyncio.gather(
            *(
                client.post(f"/v1/pools/boot/members/{name}/drain", headers={"If-Match": seen})
                for name in ("pvs-1", "pvs-2")
            )
        )
        assert sorted(answer.status for answer in answers) == [200, 412]
        for name in ("pvs-1", "pvs-2"):
            await client.post(f"/v1/pools/boot/members/{name}/resume")
