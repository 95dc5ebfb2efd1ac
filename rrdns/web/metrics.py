"""Show Prometheus what is known: collected from the reports at each scrape."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult
from rrdns.core.status import MemberStatus, PoolStatus, ServiceStatus, WebhookStatus

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds


disable_created_metrics()  # type: ignore[no-untyped-call]


class ProbeMetrics:
    """Counts probes as they end, and times publications; the control process feeds it."""

    def __init__(self) -> None:
        self.publications = Histogram(
            "rrdns_publish_duration_seconds",
            "From a change until the last worker answered by it.",
            buckets=BUCKETS,
            registry=None,
        )
        self.durations = Histogram(
            "rrdns_probe_duration_seconds",
            "How long probes took, failed ones included.",
            ["depth"],
            buckets=BUCKETS,
            registry=None,
        )
        for depth in ProbeDepth:
            self.durations.labels(depth.value)
        self.failures: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def observe(self, pool: str, member: str, result: ProbeResult) -> None:
        """Count a probe."""
        self.durations.labels(result.depth.value).observe(result.seconds)
        if not result.passed:
            self.failures[pool, member][result.verdict.value] += 1

    def keep_only(self, members: set[tuple[str, str]]) -> None:
        """Forget members that were removed."""
        for gone in self.failures.keys() - members:
            del self.failures[gone]

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, as of now."""
        yield from self.durations.collect()
        yield from self.publications.collect()
        failures = CounterMetricFamily(
            "rrdns_probe_failures", "Probes that failed.", labels=["pool", "member", "verdict"]
        )
        for (pool, member), verdicts in self.failures.items():
            for verdict, count in verdicts.items():
                failures.add_metric([pool, member, verdict], count)
        yield failures


@dataclass(frozen=True, slots=True, eq=False)  # the registry keeps collectors by identity
class Scrape(Collector):
    """All that one scrape shows, as of one moment."""

    pools: Sequence[PoolStatus]
    service: ServiceStatus
    probes: Sequence[Metric]
    now: float

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        yield from _service_metrics(self.service, self.now)
        yield from _worker_metrics(self.service)
        yield from _export_metrics(self.service)
        yield from _webhook_metrics(self.service)
        yield from _pool_metrics(self.pools)
        yield from _member_metrics(self.pools)
        yield from self.probes


def scrape(
    pools: Sequence[PoolStatus], service: ServiceStatus, stats: ProbeMetrics, now: float
) -> Scrape:
    """Return what a scrape shows now; another thread may then write it out."""
    stats.keep_only({(pool.pool.name, one.member.name) for pool in pools for one in pool.members})
    return Scrape(pools, service, tuple(stats.collect()), now)


def exposition(taken: Scrape, accept: Sequence[str]) -> tuple[bytes, str]:
    """Return a scrape in the format that the scraper prefers, and its content type.

    `accept`: what it accepts, the most preferred first.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(taken)
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(", ".join(_to_plain(accept)))
    return encode(registry), content_type


def _to_plain(accept: Sequence[str]) -> Iterator[str]:
    """Return what is accepted up to plain text: `choose_encoder` knows no weights."""
    for each in accept:
        yield each
        if each.partition(";")[0].strip().lower() in {"text/plain", "text/*"}:
            return


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _service_metrics(service: ServiceStatus, now: float) -> Iterator[Metric]:
    about = {"version": service.version, "python": platform.python_version()}
    yield InfoMetricFamily("rrdns_build", "Which rrdns this is.", value=about)
    yield _gauge(
        "rrdns_start_time_seconds",
        "When the control process started, Unix time.",
        service.started_at,
    )
    yield _gauge("rrdns_ready", "1: all workers answer, and no pool is all down.", service.ready)
    yield _gauge("rrdns_snapshot_serial", "Serial of the published snapshot.", service.serial)
    yield _gauge(
        "rrdns_snapshot_published_timestamp_seconds",
        "When the last snapshot was published, Unix time.",
        service.published_at,
    )
    age = max(now - service.published_at, 0.0)
    yield _gauge(
        "rrdns_snapshot_age_seconds", "Seconds since the last snapshot was published.", age
    )
    yield _gauge(
        "rrdns_config_last_reload_successful",
        "0: the config was read again, and refused.",
        not service.reload_failed,
    )
    yield _gauge(
        "rrdns_config_last_reload_success_timestamp_seconds",
        "When the config in force was read, Unix time.",
        service.configured_at,
    )
    alarms = GaugeMetricFamily(
        "rrdns_alarm", "1 for each alarm that lasts.", labels=["name", "pool"]
    )
    for alarm in service.alarms:
        alarms.add_metric([alarm.name, alarm.pool], 1)
    yield alarms
    queries = CounterMetricFamily(
        "rrdns_queries", "Queries by kind and RCODE, over all workers.", labels=["kind", "rcode"]
    )
    for labels, count in service.counts.items():
        queries.add_metric(labels, count)
    yield queries
    yield CounterMetricFamily(
        "rrdns_unanswered",
        "Datagrams met with silence, and answers that could not be sent.",
        value=service.unanswered,
    )
    dropped = CounterMetricFamily(
        "rrdns_log_dropped",
        "Lines of the log that could not be written, or that nobody read in time.",
        labels=["process"],
    )
    for process, lines in service.dropped_lines.items():
        dropped.add_metric([process], lines)
    yield dropped


def _worker_metrics(service: ServiceStatus) -> Iterator[Metric]:
    workers = service.workers
    yield _gauge("rrdns_workers", "DNS workers that should be.", len(workers))
    connected = sum(worker.connected for worker in workers)
    yield _gauge("rrdns_workers_connected", "DNS workers that are connected.", connected)
    restarts = CounterMetricFamily(
        "rrdns_worker_restarts", "Times a DNS worker was started again.", labels=["worker"]
    )
    serials = GaugeMetricFamily(
        "rrdns_worker_snapshot_serial", "Serial that a worker answers from.", labels=["worker"]
    )
    for worker in workers:
        restarts.add_metric([str(worker.number)], worker.restarts)
        serials.add_metric([str(worker.number)], worker.serial)
    yield restarts
    yield serials


def _export_metrics(service: ServiceStatus) -> Iterator[Metric]:
    failing = GaugeMetricFamily(
        "rrdns_exporter_failing", "1: the last attempt failed.", labels=["exporter"]
    )
    success = GaugeMetricFamily(
        "rrdns_exporter_last_success_timestamp_seconds",
        "When it last got through.",
        labels=["exporter"],
    )
    delivered = CounterMetricFamily(
        "rrdns_exporter_success", "Deliveries that succeeded.", labels=["exporter"]
    )
    failed = CounterMetricFamily("rrdns_exporter_failed", "Failed attempts.", labels=["exporter"])
    for report in service.exporters:
        failing.add_metric([report.name], report.failing)
        delivered.add_metric([report.name], report.delivered)
        failed.add_metric([report.name], report.failed)
        if report.last_success is not None:
            success.add_metric([report.name], report.last_success)
    yield from (failing, success, delivered, failed)


def _webhook_metrics(service: ServiceStatus) -> Iterator[Metric]:
    for name, text, read in _WEBHOOK_GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=["webhook"])
        for report in service.webhooks:
            value = read(report)
            if value is not None:
                gauge.add_metric([report.name], value)
        yield gauge
    for name, text, count in _WEBHOOK_COUNTERS:
        counter = CounterMetricFamily(name, text, labels=["webhook"])
        for report in service.webhooks:
            counter.add_metric([report.name], count(report))
        yield counter


def _pool_metrics(pools: Iterable[PoolStatus]) -> Iterator[Metric]:
    down = GaugeMetricFamily(
        "rrdns_pool_everything_down", "1: no member is healthy.", labels=["pool"]
    )
    worst = GaugeMetricFamily(
        "rrdns_pool_worst_case_seconds",
        "From a member's silence to the end of the last answer that names it, at most.",
        labels=["pool"],
    )
    queries = CounterMetricFamily("rrdns_pool_queries", "A queries answered.", labels=["pool"])
    for report in pools:
        name = [report.pool.name]
        down.add_metric(name, report.everything_down)
        worst.add_metric(name, report.worst_case)
        queries.add_metric(name, report.queries)
    yield from (down, worst, queries)


def _member_metrics(pools: Sequence[PoolStatus]) -> Iterator[Metric]:
    for name, text, read in _MEMBER_GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=["pool", "member"])
        for pool, report in _members(pools):
            value = read(report)
            if value is not None:
                gauge.add_metric([pool, report.member.name], value)
        yield gauge
    answers = CounterMetricFamily(
        "rrdns_answers", "Answers that named the member first.", labels=["pool", "member"]
    )
    orders = GaugeMetricFamily(
        "rrdns_member_override", "1 for the order in force.", labels=["pool", "member", "order"]
    )
    for pool, report in _members(pools):
        answers.add_metric([pool, report.member.name], report.answers)
        if report.override is not None:
            orders.add_metric([pool, report.member.name, report.override.order.value], 1)
    yield from (answers, orders)


def _members(pools: Iterable[PoolStatus]) -> Iterator[tuple[str, MemberStatus]]:
    return ((pool.pool.name, report) for pool in pools for report in pool.members)


def _probe_seconds(report: MemberStatus) -> float | None:
    return None if report.last_probe is None else report.last_probe.seconds


_Read = Callable[[WebhookStatus], float | None]
_WEBHOOK_GAUGES: tuple[tuple[str, str, _Read], ...] = (
    ("rrdns_webhook_failing", "1: the last attempt failed.", lambda report: report.failing),
    ("rrdns_webhook_waiting", "Events not delivered yet.", lambda report: report.waiting),
    (
        "rrdns_webhook_last_success_timestamp_seconds",
        "When it last got through.",
        lambda report: report.last_success,
    ),
)
_WEBHOOK_COUNTERS: tuple[tuple[str, str, Callable[[WebhookStatus], int]], ...] = (
    ("rrdns_webhook_delivered", "Events delivered.", lambda report: report.delivered),
    ("rrdns_webhook_failed", "Failed attempts.", lambda report: report.failed),
    (
        "rrdns_webhook_dropped",
        "Events dropped because the queue was full or the receiver refused them.",
        lambda report: report.dropped,
    ),
)
_MEMBER_GAUGES = (
    ("rrdns_member_up", "1: the probes say it is up.", lambda report: report.standing.up),
    ("rrdns_member_in_rotation", "1: it is in the answers.", lambda report: report.why.in_rotation),
    ("rrdns_member_drift", "Files that differ from the others'.", lambda report: len(report.drift)),
    ("rrdns_member_last_probe_seconds", "How long its last probe took.", _probe_seconds),
    (
        "rrdns_member_last_probe_timestamp_seconds",
        "When its last probe ended, Unix time.",
        lambda report: report.probed_at,
    ),
)
