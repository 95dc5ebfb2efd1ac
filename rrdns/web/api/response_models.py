"""The JSON that the API returns; the OpenAPI document is made from these models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from rrdns.core.explanation import ChangeKind
from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import OnEmpty, OrderKind, Policy
from rrdns.core.roles import Role
from rrdns.timeformat import rfc3339

RECENT = 120  # probes of each member in a response
MAX_RECENT_MEMBERS = 500  # with more members, a list has no recent probes

Time = Annotated[
    str, BeforeValidator(rfc3339), WithJsonSchema({"type": "string", "format": "date-time"})
]


class ResponseModel(BaseModel):
    """The base of everything that the API returns."""

    model_config = ConfigDict(frozen=True, from_attributes=True, serialize_by_alias=True)


class Standing(ResponseModel):
    """The result of a member's probes so far."""

    up: bool
    probed: bool = Field(description="false: assumed, no probe has ended yet")
    contradicting_probes: int = Field(description="probes in a row that contradict `up`")
    since: Time
    sentence: str = Field(description="the standing in words")


class Override(ResponseModel):
    """An order in force for a member."""

    order: OrderKind
    by: str = Field(description="the name of the token that gave it")
    reason: str
    since: Time
    until: Time | None = Field(description="null: until it is resumed")
    sentence: str = Field(description="the order in words, without times and reason")


class Plan(ResponseModel):
    """An order that is scheduled for later."""

    order: OrderKind
    by: str = Field(description="the name of the token that gave it")
    reason: str
    at: Time = Field(description="when it begins, if the guard allows it then")
    until: Time | None = Field(description="null: until it is resumed")
    force: bool = Field(description="the order overrides the guard")
    id: str = Field(description="of the order; members that were ordered together share it")
    sentence: str = Field(description="the order in words, without times and reason")


class File(ResponseModel):
    """A boot file as a full download found it."""

    name: str
    size: int = Field(description="bytes")
    sha256: str
    version: str = Field(description="of the Provisioning Services bootstrap; may be empty")


class Probe(ResponseModel):
    """The last probe of a member."""

    verdict: Verdict
    sentence: str
    depth: ProbeDepth
    seconds: float
    at: Time
    warnings: list[str]
    seen: list[File] = Field(description="files that this probe loaded; empty for a light one")


class RecentProbe(ResponseModel):
    """One of the last probes of a member."""

    at: Time
    seconds: float
    passed: bool


class Member(ResponseModel):
    """A server: its probes, its orders, and whether it is in rotation."""

    name: str
    address: str
    backup: bool
    tags: list[str]
    pool: str
    standing: Standing
    override: Override | None
    plan: Plan | None = Field(description="an order for later; `resume` cancels it")
    is_in: bool = Field(serialization_alias="in", description="in rotation now")
    why: EligibilityReason = Field(description="why it is in rotation, or is not")
    sentence: str = Field(description="`why` in words")
    share: float = Field(description="of the next answers that have it first, 0 to 1")
    answers: int = Field(description="answers that had it first since the start")
    safe_after: Time | None = Field(
        description="when the last cached answer with it expires; null while it is in rotation"
    )
    last_probe: Probe | None
    drift: list[str] = Field(description="differences of its files from the other members'")
    files: list[File] = Field(description="boot files that its last full download found")
    recent: list[RecentProbe] = Field(description="its last probes, oldest first")


class Pool(ResponseModel):
    """A hostname and the servers behind it."""

    name: str
    hostname: str
    ttl: int
    answers: int = Field(description="most addresses in one answer")
    policy: Policy
    on_empty: OnEmpty
    min_members: int = Field(description="rrdns refuses a drain that would leave fewer")
    everything_down: bool
    detection: float = Field(
        description="worst case from a member's silence until it is out, seconds"
    )
    worst_case: float = Field(description="... until the last answer with it expires, seconds")
    queries: int = Field(description="A queries since the start")
    members: list[Member]


class Pools(ResponseModel):
    """All pools, in the order of the config."""

    pools: list[Pool]


class MemberOrderResponse(ResponseModel):
    """The result of an order for one member, or the result that it would have."""

    member: Member = Field(description="the member now")
    safe_after: Time = Field(description="when the last cached answer with the member expires")
    changed: bool = Field(description="false: the same order was in force before")


class OrderResponse(MemberOrderResponse):
    """The result of an order, or the result that it would have."""

    safe: bool = Field(description="`safe_after` is over, and the member is still out")
    id: str = Field(description="of the order, as in the audit trail; empty: nothing changed")
    dry_run: bool = Field(description="rrdns changed nothing")
    guard: str | None = Field(
        description="why the guard would refuse it: in a dry run, or now for an order for later"
    )
    remaining: list[str] = Field(description="the members of the pool that are in rotation then")


class GroupOrderResponse(ResponseModel):
    """The result of an order for several members, or the result that it would have."""

    members: list[MemberOrderResponse]
    safe_after: Time = Field(description="the latest `safe_after` of the members")
    changed: bool = Field(description="false: the same orders were in force before")
    safe: bool = Field(description="`safe_after` is over, and all members are still out")
    id: str = Field(description="of the order, as in the audit trail; empty: nothing changed")
    dry_run: bool = Field(description="rrdns changed nothing")
    guard: str | None = Field(
        description="why the guard would refuse it: in a dry run, or now for an order for later"
    )
    remaining: dict[str, list[str]] = Field(
        description="by pool, the members that are in rotation then"
    )


class PossibleChange(ResponseModel):
    """One event that would change whether a member is in rotation."""

    kind: ChangeKind

    sentence: str
    at: Time | None = Field(description="when it happens")
    probes: int | None = Field(description="number of probes in a row that it takes")
    seconds: float | None = Field(description="about how long the probes take from now on")
    command: str = Field(description="a command that brings it about, or cancels it; may be empty")


class DecidingProbe(ResponseModel):
    """The probe that made a member's standing what it is."""

    verdict: Verdict
    sentence: str
    seconds: float
    at: Time


class ExplainedMember(ResponseModel):
    """Why a member is in rotation or is not, and what would change that."""

    name: str
    address: str
    is_in: bool = Field(serialization_alias="in", description="in rotation now")
    why: EligibilityReason
    sentence: str = Field(description="`why` in words")
    since: Time = Field(description="of the order in force, or else of the standing")
    override: Override | None
    probe: DecidingProbe | None = Field(
        description="the probe that decided its standing; null: none since the start"
    )
    would_change: list[PossibleChange] = Field(
        description="events that would change it, each by itself"
    )


class ExplainedPool(ResponseModel):
    """The next answers of a pool, and why each member is in them or is not."""

    name: str
    hostname: str
    turn: int | None = Field(
        description="number of the next answer; null: no worker has reported it yet"
    )
    next: list[list[str]] = Field(
        description="the members in each of the next answers, in their order, for one round"
    )
    sentence: str = Field(description="how `next` is known")
    members: list[ExplainedMember]


class Explanation(ResponseModel):
    """Explanations of the answers of pools."""

    pools: list[ExplainedPool]


class AuditEntry(ResponseModel):
    """An entry of the audit trail."""

    id: int
    at: Time
    by: str
    action: str
    pool: str
    member: str
    reason: str
    before: str
    after: str
    details: dict[str, str]


class Audit(ResponseModel):
    """A page of the audit trail, newest entry first."""

    entries: list[AuditEntry]
    next: int | None = Field(
        description="the value of `before` for the next page; null: there is none"
    )


class Exporter(ResponseModel):
    """The state of one exporter."""

    name: str
    kind: str = Field(description="file, kea, webhook or command")
    pools: list[str]
    pending: bool = Field(description="a change is not exported yet")
    failing: bool = Field(description="the last attempt failed")
    last_success: Time | None
    last_error: str = Field(description="of the last failure, kept after a success")
    last_error_at: Time | None
    next_try: Time | None
    serial: int = Field(description="of the snapshot that was exported last")
    delivered: int = Field(description="successes since the service started")
    failed: int = Field(description="failed attempts since the service started")
    note: str = Field(description="why rrdns holds an export back, if it does")


class Exporters(ResponseModel):
    """All exporters."""

    exporters: list[Exporter]


class Webhook(ResponseModel):
    """The state of one webhook."""

    name: str
    origin: str = Field(description="scheme and host of its URL")
    events: list[str] = Field(description="topics that it gets")
    pools: list[str] = Field(description="pools whose events it gets; empty: all")
    failing: bool = Field(description="the last attempt failed")
    waiting: int = Field(description="events that are not delivered yet")
    queue_limit: int = Field(description="events that may wait; above that rrdns drops the oldest")
    attempts: int = Field(description="failed attempts in a row")
    last_success: Time | None
    last_error: str = Field(description="of the last failure, kept after a success")
    last_error_at: Time | None
    next_try: Time | None
    delivered: int = Field(description="events delivered since the control process started")
    failed: int = Field(description="failed attempts since then")
    dropped: int = Field(description="events dropped since then")


class Webhooks(ResponseModel):
    """All webhooks."""

    webhooks: list[Webhook]


class Me(ResponseModel):
    """The caller."""

    name: str = Field(description="of the token, as in the audit trail")
    role: Role


class Alarm(ResponseModel):
    """A condition that an admin should know at once."""

    name: str
    sentence: str
    since: Time
    pool: str


class Worker(ResponseModel):
    """A DNS worker."""

    number: int
    connected: bool
    serial: int
    restarts: int


class OrphanedOrder(ResponseModel):
    """An order without a member in the config; rrdns keeps it until it is resumed."""

    pool: str
    member: str
    address: str = Field(description="of the member when it was ordered; may be empty")
    order: OrderKind


class Readiness(ResponseModel):
    """Whether rrdns serves targets, and the alarms if it does not."""

    ready: bool
    alarms: list[Alarm]
    version: str
    started_at: Time
    serial: int
    published_at: Time
    workers: list[Worker]
    orphaned: list[OrphanedOrder] = Field(
        description="orders without a member in the config; a resume by these names ends one"
    )


class Liveness(ResponseModel):
    """The control process works."""

    alive: bool
    version: str


class FieldError(ResponseModel):
    """One mistake in a request."""

    place: str = Field(description="dotted path; empty for the whole body")
    problem: str


class Problem(ResponseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = Field(default=None, description="all mistakes of the request")
