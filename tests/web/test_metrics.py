"""Metrics, liveness and readiness, as Prometheus and an orchestrator see them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.status import Alarm, WorkerStatus
from rrdns.web.metrics import BUCKETS, ProbeMetrics
from tests.web.fake_admin_service import NOW, FakeAdminService, pool
from tests.web.serving import MEMBER, Client, serving

DOWN = Alarm("everything-down", "no member of pool 'boot' is healthy", NOW, "boot")
FULL_DISK = Alarm("store-failed", "the disk is full", NOW)
Sample = tuple[str, frozenset[tuple[str, str]]]


async def scraped(client: Client) -> dict[Sample, float]:
    """Return all samples by name and labels."""
    answer = await client.get("/metrics")
    assert answer.status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def key(sample: str, /, **labels: str) -> Sample:
    """Return what a sample is found under."""
    return f"rrdns_{sample}", frozenset(labels.items())


async def test_members_are_shown_as_observed_ordered_and_handed_out(client: Client) -> None:
    """A drained one is up and not handed out; a dead one is down."""
    await client.post(f"{MEMBER}/drain")
    client.admin_service.fall("boot", "pvs-2")
    client.admin_service.answers = 41
    found = await scraped(client)
    up = [found[key("member_up", pool="boot", member=f"pvs-{n}")] for n in (1, 2, 3)]
    shown = [found[key("member_in_rotation", pool="boot", member=f"pvs-{n}")] for n in (1, 2, 3)]
    assert (up, shown) == ([1, 0, 1], [0, 0, 1])
    assert found[key("member_override", pool="boot", member="pvs-1", order="drain")] == 1
    assert [sample for sample in found if sample[0] == "rrdns_member_override"] == [
        key("member_override", pool="boot", member="pvs-1", order="drain")
    ]
    assert found[key("answers_total", pool="boot", member="pvs-3")] == 41
    assert found[key("member_drift", pool="boot", member="pvs-3")] == 1
    assert found[key("member_last_probe_seconds", pool="boot", member="pvs-1")] == 0.012


async def test_the_service_is_shown(client: Client) -> None:
    """Queries, workers, the snapshot, alarms and the build."""
    client.admin_service.alarms = (DOWN,)
    client.admin_service.workers = (WorkerStatus(0, True, 7, 0), WorkerStatus(1, False, 6, 3))
    found = await scraped(client)
    assert found[key("queries_total", kind="a", rcode="NOERROR")] == 12
    assert found[key("queries_total", kind="other", rcode="REFUSED")] == 1
    assert found[key("pool_queries_total", pool="boot")] == 12
    assert found[key("log_dropped_total", process="control")] == 17
    assert found[key("log_dropped_total", process="supervisor")] == 0
    assert found[key("workers")] == 2
    assert found[key("workers_connected")] == 1
    assert found[key("worker_restarts_total", worker="1")] == 3
    assert found[key("worker_snapshot_serial", worker="1")] == 6
    assert found[key("snapshot_serial")] == 7
    assert found[key("snapshot_age_seconds")] == 5
    assert found[key("alarm", name="everything-down", pool="boot")] == 1
    assert found[key("ready")] == 0
    (build,) = [sample for sample in found if sample[0] == "rrdns_build_info"]
    assert dict(build[1])["version"] == "1.2.3"


async def test_a_pool_that_is_all_down_is_shown(client: Client) -> None:
    """And only then."""
    assert (await scraped(client))[key("pool_everything_down", pool="boot")] == 0
    client.admin_service.fall("boot", "pvs-1", "pvs-2", "pvs-3")
    assert (await scraped(client))[key("pool_everything_down", pool="boot")] == 1


async def test_probes_are_counted_by_duration_and_failures_by_verdict() -> None:
    """In buckets that each hold all below them."""
    stats = ProbeMetrics()
    passed = ProbeResult(Verdict.OK, "it serves", ProbeDepth.LIGHT, 0.004)
    for seconds in (0.001, 0.004, 0.3, 9.0):
        stats.observe("boot", "pvs-1", replace(passed, seconds=seconds))
    for verdict in (Verdict.TIMEOUT, Verdict.TIMEOUT, Verdict.REFUSED):
        stats.observe("boot", "pvs-2", replace(passed, verdict=verdict, depth=ProbeDepth.FULL))
    async with serving(stats=stats) as client:
        found = await scraped(client)
    by_bound = {
        bound: found[key("probe_duration_seconds_bucket", depth="light", le=bound)]
        for bound in [*map(str, BUCKETS), "+Inf"]
    }
    assert by_bound["0.001"] == 1
    assert by_bound["0.002"] == 1
    assert by_bound["0.005"] == 2
    assert by_bound["0.5"] == by_bound["5.0"] == 3
    assert by_bound["+Inf"] == found[key("probe_duration_seconds_count", depth="light")] == 4
    assert found[key("probe_duration_seconds_sum", depth="light")] == pytest.approx(9.305)
    assert found[key("probe_duration_seconds_count", depth="full")] == 3
    failures = {
        sample[1]: value for sample, value in found.items() if "failures_total" in sample[0]
    }
    of_member = {("pool", "boot"), ("member", "pvs-2")}
    assert failures == {
        frozenset(of_member | {("verdict", "timeout")}): 2,
        frozenset(of_member | {("verdict", "refused")}): 1,
    }


async def test_publications_are_timed_and_the_unanswered_counted(client: Client) -> None:
    """How long a change waits for the last worker; what no answer was sent to."""
    stats = ProbeMetrics()
    for seconds in (0.0005, 0.004):
        stats.publications.observe(seconds)
    async with serving(stats=stats) as watched:
        found = await scraped(watched)
    assert found[key("publish_duration_seconds_bucket", le="0.001")] == 1
    assert found[key("publish_duration_seconds_count")] == 2
    assert found[key("publish_duration_seconds_sum")] == pytest.approx(0.0045)
    assert found[key("unanswered_total")] == 3


async def test_webhooks_are_shown(client: Client) -> None:
    """What waits, what was lost, and who fails."""
    found = await scraped(client)
    assert found[key("webhook_failing", webhook="chat")] == 0
    assert found[key("webhook_failing", webhook="tickets")] == 1
    assert found[key("webhook_waiting", webhook="tickets")] == 7
    assert found[key("webhook_dropped_total", webhook="tickets")] == 2
    assert key("webhook_last_success_timestamp_seconds", webhook="chat") in found
    assert key("webhook_last_success_timestamp_seconds", webhook="tickets") not in found


async def test_failures_of_a_member_that_is_no_more_are_forgotten() -> None:
    """A reload must not let them pile up."""
    stats = ProbeMetrics()
    failed = ProbeResult(Verdict.TIMEOUT, "silence", ProbeDepth.LIGHT, 1.0)
    stats.observe("boot", "pvs-1", failed)
    stats.observe("boot", "gone", failed)
    async with serving(stats=stats) as client:
        await client.get("/metrics")
    assert list(stats.failures) == [("boot", "pvs-1")]


async def test_odd_names_cannot_break_the_format() -> None:
    """Quotes, backslashes and line breaks are escaped."""
    odd = 'a"b\\c\nd'
    async with serving(FakeAdminService(replace(pool(), name=odd))) as client:
        assert (await scraped(client))[key("pool_queries_total", pool=odd)] == 12


async def test_openmetrics_is_spoken_to_who_asks_for_it(client: Client) -> None:
    """Prometheus does."""
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await client.get("/metrics", headers=accept)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_a_service_in_order_is_alive_and_ready(client: Client) -> None:
    """With its version and its workers."""
    alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert (alive.status, alive.json["alive"]) == (200, True)
    assert (ready.status, ready.json["ready"], ready.json["alarms"]) == (200, True, [])
    assert [worker["number"] for worker in ready.json["workers"]] == [0, 1]


async def test_a_pool_that_is_all_down_makes_the_service_unready(client: Client) -> None:
    """Loudly: 503, with the sentence; it is alive all the same."""
    client.admin_service.alarms = (FULL_DISK, DOWN)
    answer = await client.get("/readyz")
    assert (answer.status, answer.json["ready"]) == (503, False)
    assert answer.json["alarms"][1] == {
        "name": "everything-down",
        "sentence": "no member of pool 'boot' is healthy",
        "since": "2026-02-02T02:40:00.000Z",
        "pool": "boot",
    }
    assert (await client.get("/healthz")).status == 200


async def test_other_alarms_are_told_and_leave_the_service_ready(client: Client) -> None:
    """With a full disk targets boot on; a restart would not help."""
    client.admin_service.alarms = (FULL_DISK,)
    answer = await client.get("/readyz")
    assert (answer.status, answer.json["ready"]) == (200, True)
    assert [alarm["name"] for alarm in answer.json["alarms"]] == ["store-failed"]


async def test_a_missing_worker_makes_the_service_unready(client: Client) -> None:
    """By the control process's own word."""
    client.admin_service.workers = (WorkerStatus(0, False, 0, 1),)
    answer = await client.get("/readyz")
    assert (answer.status, answer.json["ready"]) == (503, False)
