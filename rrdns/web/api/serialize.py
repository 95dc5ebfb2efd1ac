"""Turn reports into the JSON that callers see, and into the tags that name a state."""

from __future__ import annotations

from collections.abc import Iterable

from rrdns.core.events import Event
from rrdns.core.health.probe_result import LoadedFile
from rrdns.core.model import Override, ScheduledOverride
from rrdns.core.orders.version import member_version, pool_version
from rrdns.core.status import (
    Alarm,
    ExporterStatus,
    MemberStatus,
    PoolStatus,
    ServiceStatus,
    WebhookStatus,
)
from rrdns.timeformat import rfc3339
from rrdns.web.api import response_models
from rrdns.web.api.admin_service import MemberOrderResult, OrderResult


def pool_view(report: PoolStatus, recent: int) -> response_models.Pool:
    """Return a pool as the API shows it, with up to `recent` probes of each member."""
    pool = report.pool
    return response_models.Pool(
        name=pool.name,
        hostname=pool.hostname,
        ttl=pool.ttl,
        answers=pool.answers,
        policy=pool.policy,
        on_empty=pool.on_empty,
        min_members=pool.min_members,
        everything_down=report.everything_down,
        detection=report.detection,
        worst_case=report.worst_case,
        queries=report.queries,
        members=[member_view(pool.name, member, recent) for member in report.members],
    )


def exporter_view(report: ExporterStatus) -> response_models.Exporter:
    """Return an exporter as the API shows it."""
    return response_models.Exporter(
        name=report.name,
        kind=report.kind,
        pools=list(report.pools),
        pending=report.pending,
        failing=report.failing,
        last_success=_time(report.last_success),
        last_error=report.last_error,
        last_error_at=_time(report.last_error_at),
        next_try=_time(report.next_try),
        serial=report.serial,
        delivered=report.delivered,
        failed=report.failed,
        note=report.note,
    )


def webhook_view(report: WebhookStatus) -> response_models.Webhook:
    """Return a webhook as the API shows it."""
    return response_models.Webhook(
        name=report.name,
        origin=report.origin,
        events=list(report.events),
        pools=list(report.pools),
        failing=report.failing,
        waiting=report.waiting,
        queue_limit=report.queue_limit,
        attempts=report.attempts,
        last_success=_time(report.last_success),
        last_error=report.last_error,
        last_error_at=_time(report.last_error_at),
        next_try=_time(report.next_try),
        delivered=report.delivered,
        failed=report.failed,
        dropped=report.dropped,
    )


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)


def member_view(pool: str, report: MemberStatus, recent: int) -> response_models.Member:
    """Return a member as the API shows it, with up to `recent` of its last probes."""
    return response_models.Member(
        name=report.member.name,
        address=report.member.address,
        backup=report.member.backup,
        tags=list(report.member.tags),
        pool=pool,
        standing=response_models.Standing(
            up=report.standing.up,
            probed=report.standing.probed,
            contradicting_probes=report.standing.contradicting_probes,
            since=rfc3339(report.since),
        ),
        override=override_view(report.override),
        plan=_plan(report.plan),
        is_in=report.why.in_rotation,
        why=report.why,
        share=report.share,
        answers=report.answers,
        safe_after=_time(report.safe_after),
        last_probe=_probe(report),
        drift=[drift.sentence for drift in report.drift],
        files=_files(report.seen),
        recent=[
            response_models.RecentProbe(at=rfc3339(at), seconds=seconds, passed=passed)
            for at, seconds, passed in report.recent[max(len(report.recent) - recent, 0) :]
        ],
    )


def ordered_view(done: MemberOrderResult) -> response_models.MemberOrderResponse:
    """Return what became of an order for one member as the API shows it."""
    return response_models.MemberOrderResponse(
        member=member_view(done.pool, done.report, recent=0),
        safe_after=rfc3339(done.safe_after),
        changed=done.changed,
    )


def done_view(done: OrderResult, now: float) -> response_models.OrderResponse:
    """Return what became of an order for a single member as the API shows it."""
    one = done.members[0]
    return response_models.OrderResponse(
        **dict(ordered_view(one)),
        safe=not done.dry_run and is_safe(one, now),
        id=done.id,
        dry_run=done.dry_run,
        guard=str(done.guard) if done.guard else None,
        remaining=list(done.remaining[one.pool]),
    )


def together_view(done: OrderResult, now: float) -> response_models.GroupOrderResponse:
    """Return what became of an order for several members as the API shows it."""
    return response_models.GroupOrderResponse(
        members=[ordered_view(one) for one in done.members],
        safe_after=rfc3339(max(one.safe_after for one in done.members)),
        changed=any(one.changed for one in done.members),
        safe=not done.dry_run and all(is_safe(one, now) for one in done.members),
        id=done.id,
        dry_run=done.dry_run,
        guard=str(done.guard) if done.guard else None,
        remaining={pool: list(names) for pool, names in done.remaining.items()},
    )


def is_safe(done: MemberOrderResult, now: float) -> bool:
    """Tell whether a member is out, and nobody can believe any more that it is in."""
    return not done.report.why.in_rotation and done.safe_after <= now


def audit_view(entry: Event) -> response_models.AuditEntry:
    """Return a line of the audit trail as the API shows it."""
    return response_models.AuditEntry(
        id=entry.id,
        at=rfc3339(entry.at),
        by=entry.by,
        action=entry.action,
        pool=entry.pool,
        member=entry.member,
        reason=entry.reason,
        before=entry.before,
        after=entry.after,
        details=entry.details,
    )


def readiness_view(report: ServiceStatus) -> response_models.Readiness:
    """Return whether targets are served; with a pool all down they are served by luck only."""
    everything_down = any(alarm.name == "everything-down" for alarm in report.alarms)
    return response_models.Readiness(
        ready=report.ready and not everything_down,
        alarms=[_alarm(alarm) for alarm in report.alarms],
        version=report.version,
        started_at=rfc3339(report.started_at),
        serial=report.serial,
        published_at=rfc3339(report.published_at),
        workers=[
            response_models.Worker(
                number=worker.number,
                connected=worker.connected,
                serial=worker.serial,
                restarts=worker.restarts,
            )
            for worker in report.workers
        ],
        orphaned=[
            response_models.OrphanedOrder(
                pool=one.pool, member=one.member, address=one.address, order=one.order
            )
            for one in report.orphaned
        ],
    )


def member_tag(report: MemberStatus) -> str:
    """Return the entity tag of what an admin decides on: the order in force and the reason.

    Counters and probe times are left out, as no decision rests on them and with them a
    tag would be out of date within a second.
    """
    return entity_tag(_version(report))


def pool_tag(report: PoolStatus) -> str:
    """Return the entity tag of a pool: it changes when any member's does."""
    return entity_tag(pool_version(_version(member) for member in report.members))


def entity_tag(version: str) -> str:
    """Return a version as a strong entity tag (RFC 9110, section 8.8.3)."""
    return f'"{version}"'


def _version(report: MemberStatus) -> str:
    return member_version(report.member, report.why, report.override, report.plan)


def override_view(override: Override | None) -> response_models.Override | None:
    """Return an order in force as the API shows it."""
    if override is None:
        return None
    return response_models.Override(
        order=override.order,
        by=override.by,
        reason=override.reason,
        since=rfc3339(override.since),
        until=None if override.until is None else rfc3339(override.until),
    )


def _plan(plan: ScheduledOverride | None) -> response_models.Plan | None:
    if plan is None:
        return None
    return response_models.Plan(
        order=plan.override.order,
        by=plan.override.by,
        reason=plan.override.reason,
        at=rfc3339(plan.override.since),
        until=_time(plan.override.until),
        force=plan.force,
        id=plan.id,
    )


def _probe(report: MemberStatus) -> response_models.Probe | None:
    result, at = report.last_probe, report.probed_at
    if result is None or at is None:
        return None
    return response_models.Probe(
        verdict=result.verdict,
        sentence=result.sentence,
        depth=result.depth,
        seconds=result.seconds,
        at=rfc3339(at),
        warnings=list(result.warnings),
        seen=_files(result.seen),
    )


def _files(seen: Iterable[LoadedFile]) -> list[response_models.File]:
    return [
        response_models.File(
            name=file.name, size=file.size, sha256=file.sha256, version=file.version
        )
        for file in seen
    ]


def _alarm(alarm: Alarm) -> response_models.Alarm:
    return response_models.Alarm(
        name=alarm.name, sentence=alarm.sentence, since=rfc3339(alarm.since), pool=alarm.pool
    )
