"""Make the JSON of the API from the values of the core, and the entity tags that name a state.

A model takes each field from the attribute of the same name; only what differs is written here.
"""

from __future__ import annotations

from typing import TypeVar

from rrdns.core.events import EVERYTHING_DOWN
from rrdns.core.orders.version import member_version, pool_version
from rrdns.core.status import MemberStatus, PoolStatus, ServiceStatus
from rrdns.web.api import response_models
from rrdns.web.api.admin_service import MemberOrderResult, OrderResult
from rrdns.web.api.response_models import ResponseModel
from rrdns.web.api.sentences import sentences_of

M = TypeVar("M", bound=ResponseModel)


def view(model: type[M], *sources: object, **others: object) -> M:
    """Return a model of `others`, and of attributes of the first source that has them."""
    return model.model_validate(values(model, *sources, **others))


def values(model: type[ResponseModel], *sources: object, **others: object) -> dict[str, object]:
    """Return the values of a model that is part of another, which validates them."""
    for name in model.model_fields.keys() - others.keys():
        source = next(source for source in sources if hasattr(source, name))
        others[name] = getattr(source, name)
    return others


def pool_view(report: PoolStatus, recent: int) -> response_models.Pool:
    """Return a pool with up to `recent` probes of each member."""
    members = [member_view(report.pool.name, member, recent) for member in report.members]
    return view(response_models.Pool, report.pool, report, members=members)


def member_view(pool: str, report: MemberStatus, recent: int) -> response_models.Member:
    """Return a member with up to `recent` of its last probes."""
    return view(response_models.Member, **_member(pool, report, recent))


def _member(pool: str, report: MemberStatus, recent: int) -> dict[str, object]:
    """Return the values of a member, as part of another model."""
    override, plan, probes = report.override, report.plan, report.recent
    probe = None if report.probed_at is None else report.last_probe
    words, models = sentences_of(report), response_models
    return values(
        response_models.Member,
        report.member,
        report,
        pool=pool,
        standing=values(models.Standing, report.standing, report, sentence=words.standing),
        override=override and values(models.Override, override, sentence=words.override),
        plan=plan
        and values(models.Plan, plan.override, plan, at=plan.override.since, sentence=words.plan),
        is_in=report.why.in_rotation,
        sentence=words.member,
        last_probe=probe and values(models.Probe, probe, at=report.probed_at),
        drift=[drift.sentence for drift in report.drift],
        files=report.seen,
        recent=[
            {"at": at, "seconds": seconds, "passed": passed}
            for at, seconds, passed in probes[max(len(probes) - recent, 0) :]
        ],
    )


def done_view(done: OrderResult, now: float) -> response_models.OrderResponse:
    """Return the result of an order for a single member."""
    member = done.members[0]
    return view(
        response_models.OrderResponse,
        member,
        done,
        member=_member(member.pool, member.report, recent=0),
        safe=not done.dry_run and is_safe(member, now),
        guard=done.guard and str(done.guard),
        remaining=done.remaining[member.pool],
    )


def together_view(done: OrderResult, now: float) -> response_models.GroupOrderResponse:
    """Return the result of an order for several members."""
    return view(
        response_models.GroupOrderResponse,
        done,
        members=[
            values(
                response_models.MemberOrderResponse,
                member,
                member=_member(member.pool, member.report, recent=0),
            )
            for member in done.members
        ],
        safe_after=max(member.safe_after for member in done.members),
        changed=any(member.changed for member in done.members),
        safe=not done.dry_run and all(is_safe(member, now) for member in done.members),
        guard=done.guard and str(done.guard),
    )


def is_safe(done: MemberOrderResult, now: float) -> bool:
    """Return whether a member is out, and no cache has it any longer."""
    return not done.report.why.in_rotation and done.safe_after <= now


def readiness_view(report: ServiceStatus) -> response_models.Readiness:
    """Return the service's readiness; it is not ready if all members of a pool are down."""
    everything_down = any(alarm.name == EVERYTHING_DOWN for alarm in report.alarms)
    return view(response_models.Readiness, report, ready=report.ready and not everything_down)


def member_tag(report: MemberStatus) -> str:
    """Return the entity tag of a member's state, from the order in force and the reason.

    Counters and probe times are left out, because they change every second.
    """
    return entity_tag(_version(report))


def pool_tag(report: PoolStatus) -> str:
    """Return the entity tag of a pool; it changes when any member's does."""
    return entity_tag(pool_version(_version(member) for member in report.members))


def entity_tag(version: str) -> str:
    """Return a version as a strong entity tag (RFC 9110, section 8.8.3)."""
    return f'"{version}"'


def _version(report: MemberStatus) -> str:
    return member_version(report.member, report.why, report.override, report.plan)
