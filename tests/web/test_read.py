"""The calls that look: pools, members, the audit trail."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rrdns.core.events import Event
from rrdns.web.api.response_models import MAX_RECENT_MEMBERS
from tests.web.fake_admin_service import NOW, FakeAdminService, pool
from tests.web.serving import MEMBER, Client, serving


async def test_pools_are_listed_with_their_members(client: Client) -> None:
    """Everything of the contract is there, times as RFC 3339."""
    answer = await client.get("/v1/pools")
    assert answer.status == 200
    (found,) = answer.json["pools"]
    members = found.pop("members")
    assert found == {
        "name": "boot",
        "hostname": "boot.pvs.example.test",
        "ttl": 5,
        "answers": 4,
        "policy": "round-robin",
        "on_empty": "serve-all",
        "min_members": 1,
        "everything_down": False,
        "detection": 4.4,
        "worst_case": 9.5,
        "queries": 12,
    }
    assert [member["name"] for member in members] == ["pvs-1", "pvs-2", "pvs-3"]


async def test_a_member_is_shown_with_all_that_is_known(client: Client) -> None:
    """Observed, ordered and combined stand side by side."""
    file = {"name": "ARDBP32.BIN", "size": 10240, "sha256": "ab" * 32, "version": "7.15.0.11"}
    answer = await client.get("/v1/pools/boot/members/pvs-3")
    assert answer.json == {
        "name": "pvs-3",
        "address": "10.0.0.13",
        "backup": False,
        "tags": ["rack-1"],
        "pool": "boot",
        "standing": {
            "up": True,
            "probed": True,
            "contradicting_probes": 0,
            "since": "2026-02-02T02:39:30.000Z",
            "sentence": "its probes pass",
        },
        "override": None,
        "plan": None,
        "in": True,
        "why": "healthy",
        "sentence": "healthy",
        "share": pytest.approx(1 / 3),
        "answers": 0,
        "safe_after": None,
        "last_probe": {
            "verdict": "ok",
            "sentence": "it serves ARDBP32.BIN",
            "depth": "full",
            "seconds": 0.012,
            "at": "2026-02-02T02:39:59.000Z",
            "warnings": [],
            "seen": [file],
        },
        "drift": ["pvs-3 serves another ARDBP32.BIN"],
        "files": [file],
        "recent": [
            {"at": f"2026-02-02T02:39:5{7 + step}.000Z", "seconds": 0.01 * step, "passed": True}
            for step in range(3)
        ],
    }


async def test_a_member_that_is_down_and_drained_shows_both(client: Client) -> None:
    """The order does not hide what the probes say."""
    await client.post(f"{MEMBER}/drain", {"reason": "patch", "for": 60})
    client.admin_service.fall("boot", "pvs-1")
    member = (await client.get(MEMBER)).json
    assert member["standing"]["up"] is False
    assert member["last_probe"]["verdict"] == "timeout"
    assert (member["in"], member["why"]) == (False, "drained")
    assert member["override"] == {
        "order": "drain",
        "by": "local",
        "reason": "patch",
        "since": "2026-02-02T02:40:00.000Z",
        "until": "2026-02-02T02:41:00.000Z",
        "sentence": "drained by local",
    }
    assert member["standing"]["sentence"] == "its probes fail"
    assert member["sentence"] == "drained by local; its probes fail"
    assert member["safe_after"] == "2026-02-02T02:40:05.000Z"


async def test_a_member_that_was_not_probed_yet_shows_no_probe(client: Client) -> None:
    """None is shown as null, not as a failed one; metrics leave it out."""
    client.admin_service.unprobed.add("pvs-1")
    assert (await client.get(MEMBER)).json["last_probe"] is None
    metrics = (await client.get("/metrics")).text
    assert 'rrdns_member_last_probe_seconds{member="pvs-1"' not in metrics
    assert 'rrdns_member_last_probe_seconds{member="pvs-2"' in metrics


@pytest.mark.parametrize(("recent", "expected"), [(0, 0), (2, 2), (1000, 3)])
async def test_recent_probes_can_be_left_out(client: Client, recent: int, expected: int) -> None:
    """The last ones are shown; with many pools they are most of the answer."""
    for path in (MEMBER, "/v1/pools/boot", "/v1/pools"):
        found = (await client.get(f"{path}?recent={recent}")).json
        member = found.get("pools", [found])[0]
        member = member.get("members", [member])[0]
        assert [probe["seconds"] for probe in member["recent"]] == [0.0, 0.01, 0.02][3 - expected :]


@pytest.mark.parametrize(("query", "expected"), [("", 0), ("?recent=2", 2)])
async def test_a_long_list_leaves_recent_probes_out_unless_asked(query: str, expected: int) -> None:
    """They would be most of it; a short list has them (above)."""
    admin_service = FakeAdminService(
        *(pool(f"p{number}") for number in range(MAX_RECENT_MEMBERS // 3 + 1))
    )
    async with serving(admin_service) as client:
        pools = (await client.get(f"/v1/pools{query}")).json["pools"]
    assert [one["name"] for one in pools] == [report.pool.name for report in admin_service.pools()]
    found = {len(member["recent"]) for one in pools for member in one["members"]}
    assert found == {expected}


async def test_names_with_odd_characters_are_found() -> None:
    """They are encoded in the path, slashes too."""
    odd = "bo/ot ü%"
    async with serving(FakeAdminService(replace(pool(), name=odd))) as client:
        answer = await client.get("/v1/pools/bo%2Fot%20%C3%BC%25/members/pvs-1")
        assert answer.json["pool"] == odd


@pytest.mark.parametrize("path", ["/v1/pools/{}", "/v1/pools/{}/members/pvs-1"])
async def test_an_unknown_pool_is_named(client: Client, path: str) -> None:
    """In the sentence of the error itself."""
    answer = await client.get(path.format("nope"))
    assert (answer.status, answer.problem) == (404, "unknown-pool")
    assert answer.json["detail"] == "no pool is called 'nope'"


async def test_an_unknown_member_is_named(client: Client) -> None:
    """With the pool that does not have it."""
    answer = await client.get("/v1/pools/boot/members/pvs-9")
    assert (answer.status, answer.problem) == (404, "unknown-member")
    assert answer.json["detail"] == "pool 'boot' has no member 'pvs-9'"


async def test_the_audit_trail_is_read_in_pages(client: Client) -> None:
    """`next` leads on until there is no more; exactly full pages end too."""
    await client.admin_service.store.append_audit(
        [Event(NOW + step, "ops", "drain", "boot", "pvs-1", f"r{step}") for step in range(4)]
    )
    first = (await client.get("/v1/audit?limit=2")).json
    assert [entry["reason"] for entry in first["entries"]] == ["r3", "r2"]
    assert first["next"] == 3
    second = (await client.get(f"/v1/audit?limit=2&before={first['next']}")).json
    assert [entry["reason"] for entry in second["entries"]] == ["r1", "r0"]
    assert second["next"] is None


async def test_an_audit_entry_is_shown_whole(client: Client) -> None:
    """Who did what to whom, when, why, from what to what."""
    entry = Event(NOW, "ops", "drain", "boot", "pvs-1", "patch", "", "drain", {"forced": "yes"})
    await client.admin_service.store.append_audit([entry])
    (shown,) = (await client.get("/v1/audit")).json["entries"]
    assert shown == {
        "id": 1,
        "at": "2026-02-02T02:40:00.000Z",
        "by": "ops",
        "action": "drain",
        "pool": "boot",
        "member": "pvs-1",
        "reason": "patch",
        "before": "",
        "after": "drain",
        "details": {"forced": "yes"},
    }


async def test_the_audit_trail_can_be_read_for_one_pool_or_member(client: Client) -> None:
    """Filters hold together, in pages and in the export."""
    await client.admin_service.store.append_audit(
        [
            Event(NOW, "ops", "drain", pool, member)
            for pool in ("boot", "aux")
            for member in ("pvs-1", "pvs-2")
        ]
    )
    for query, ids in {
        "pool=aux": [4, 3],
        "member=pvs-1": [3, 1],
        "pool=aux&member=pvs-1": [3],
    }.items():
        found = (await client.get(f"/v1/audit?{query}")).json["entries"]
        assert [entry["id"] for entry in found] == ids
        lines = (await client.get(f"/v1/audit/export?{query}")).text.splitlines()
        assert [json.loads(line)["id"] for line in lines] == ids


async def test_the_whole_trail_is_exported_as_json_lines(client: Client) -> None:
    """However long it is; each line as the audit shows it."""
    await client.admin_service.store.append_audit(
        [Event(NOW, "ops", "drain", "boot", "pvs-1")] * 1203
    )
    answer = await client.get("/v1/audit/export")
    lines = answer.text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(1203, 0, -1))
    assert answer.headers["Content-Type"] == "application/jsonl"
    assert json.loads(lines[0]) == (await client.get("/v1/audit?limit=1")).json["entries"][0]


async def test_an_empty_trail_is_exported_as_nothing(client: Client) -> None:
    """No line is no line."""
    answer = await client.get("/v1/audit/export")
    assert (answer.status, answer.text) == (200, "")


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/export"])
async def test_a_store_that_cannot_be_read_is_said(client: Client, path: str) -> None:
    """The sentence is the store's own."""
    client.admin_service.store_is_broken = True
    answer = await client.get(path)
    assert (answer.status, answer.problem) == (503, "store-failed")
    assert "could not read the audit trail: the disk is full" in answer.json["detail"]
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("/v1/audit?limit=0&before=x&nope=1", ["limit", "before", "nope"]),
        ("/v1/audit?limit=1001", ["limit"]),
        (f"/v1/audit?before={2**63}", ["before"]),
        ("/v1/audit?limit=1&limit=2", ["limit"]),
        ("/v1/audit/export?limit=1", ["limit"]),
        ("/v1/pools?recent=-1", ["recent"]),
        ("/v1/pools/boot?recent=x", ["recent"]),
        (f"{MEMBER}?recents=1", ["recents"]),
    ],
)
async def test_all_mistakes_in_a_query_are_listed(
    client: Client, path: str, places: list[str]
) -> None:
    """Each with its place."""
    answer = await client.get(path)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert sorted(slip["place"] for slip in answer.json["errors"]) == sorted(places)
    assert not any("Input" in slip["problem"] for slip in answer.json["errors"])
