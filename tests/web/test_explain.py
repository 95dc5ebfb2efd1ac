"""`GET /v1/explain`: who is next, and why others are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.model import OnEmpty
from rrdns.core.status import WorkerStatus
from rrdns.web.handlers.explain import explained
from tests.web.fake_admin_service import NOW, FakeAdminService, pool
from tests.web.serving import MEMBER, Client, serving


async def test_a_pool_is_explained(client: Client) -> None:
    """The members that are out, with the order and what ends it."""
    await client.post(f"{MEMBER}/drain", {"reason": "patch", "for": "2h"})
    client.admin_service.fall("boot", "pvs-2")
    (boot,) = (await client.get("/v1/explain?pool=boot")).json["pools"]
    assert boot["next"] == [["pvs-3"]]
    drained, down, healthy = boot["members"]
    assert (drained["why"], drained["since"]) == ("drained", "2026-02-02T02:40:00.000Z")
    assert [way["at"] for way in drained["would_change"]] == ["2026-02-02T04:40:00.000Z", None]
    assert drained["would_change"][1]["command"] == "rrdns resume pvs-1 --pool boot"
    assert drained["sentence"] == "drained by local; its probes pass"
    assert [way["kind"] for way in drained["would_change"]] == ["order-ends", "order-resumed"]
    assert (down["in"], down["would_change"][0]["sentence"]) == (False, "2 probes in a row pass")
    assert healthy["would_change"][0]["probes"] == 3


async def test_all_pools_are_explained_where_none_is_named() -> None:
    """And an unknown one is a mistake."""
    async with serving(FakeAdminService(pool("boot"), pool("login"))) as client:
        told = (await client.get("/v1/explain")).json
        assert [each["name"] for each in told["pools"]] == ["boot", "login"]
        unknown = await client.get("/v1/explain?pool=nope")
        assert (unknown.status, unknown.problem) == (404, "unknown-pool")


@pytest.mark.parametrize(
    ("turn", "first", "said"),
    [
        (None, "pvs-1", "no worker has told its turns yet"),
        (7, "pvs-2", "the turns that all 2 workers take from one counter"),
    ],
)
def test_the_next_answers_go_on_from_the_turn_that_is_known(
    turn: int | None, first: str, said: str
) -> None:
    """One round, with as many addresses as an answer has; and how sure that is."""
    report = replace(FakeAdminService().pool("boot"), turn=turn)
    report = replace(report, pool=replace(report.pool, answers=2))
    told = explained(report, 2, NOW)
    assert [answer[0] for answer in told.next].index("pvs-1") == (0 if turn is None else 2)
    assert told.next[0][0] == first
    assert {len(answer) for answer in told.next} == {2}
    assert said in told.sentence


@pytest.mark.parametrize(
    ("on_empty", "said"), [(OnEmpty.SERVFAIL, "SERVFAIL"), (OnEmpty.SILENT, "get no answer")]
)
def test_nobody_next_is_said_with_what_is_answered_instead(on_empty: OnEmpty, said: str) -> None:
    """An admin must not take an empty list for a fault of the page."""
    admin_service = FakeAdminService(replace(pool(), on_empty=on_empty))
    admin_service.fall("boot", "pvs-1", "pvs-2", "pvs-3")
    told = explained(admin_service.pool("boot"), 1, NOW)
    assert told.next == []
    assert said in told.sentence


async def test_one_worker_has_turns_of_its_own(client: Client) -> None:
    """Nothing is shared there."""
    client.admin_service.workers = (WorkerStatus(0, True, 7, 0),)
    report = replace(client.admin_service.pool("boot"), turn=1)
    assert "the one worker's turns" in explained(report, 1, NOW).sentence
