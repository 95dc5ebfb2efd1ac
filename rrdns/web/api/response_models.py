"""The JSON of the API: what is told, and what may be asked.

The OpenAPI document is made from these, so what is said here is what is promised.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import OnEmpty, OrderKind, Policy
from rrdns.core.roles import Role
from rrdns.timeformat import rfc3339

RECENT = 120  # probes shown of a member
MAX_RECENT_MEMBERS = 500  # above which a list shows none of them

Time = Annotated[
    str, BeforeValidator(rfc3339), WithJsonSchema({"type": "string", "format": "date-time"})
]


class ResponseModel(BaseModel):
    """What rrdns tells."""

    model_config = ConfigDict(frozen=True, from_attributes=True, serialize_by_alias=True)


class Standing(ResponseModel):
    """What the probes say of a member."""

    up: bool
    probed: bool = Field(description="false: assumed, no probe has told yet")
    contradicting_probes: int = Field(description="probes in a row that disagree with `up`")
    since: Time


class Override(ResponseModel):
    """An order in force for a member."""

    order: OrderKind
    by: str = Field(description="the name of the token that gave it")
    reason: str
    since: Time
    until: Time | None = Field(description="null: until it is resumed")


class Plan(ResponseModel):
    """An order for later."""

    order: OrderKind
    by: str = Field(description="the name of the token that gave it")
    reason: str
    at: Time = Field(description="when it comes into force, if the guard allows it then")
    until: Time | None = Field(description="null: until it is resumed")
    force: bool = Field(description="the guard will be overruled")
    id: str = Field(description="of the order; what was ordered together has one")


class File(ResponseModel):
    """A boot file as a whole download found it."""

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
    seen: list[File] = Field(description="what this probe loaded; empty for a light one")


class RecentProbe(ResponseModel):
    """One of the last probes of a member."""

    at: Time
    seconds: float
    passed: bool


class Member(ResponseModel):
    """A server: what was observed, what was ordered, and what follows."""

    name: str
    address: str
    backup: bool
    tags: list[str]
    pool: str
    standing: Standing
    override: Override | None
    plan: Plan | None = Field(description="ordered for later; `resume` cancels it")
    is_in: bool = Field(serialization_alias="in", description="handed out now")
    why: EligibilityReason = Field(description="why it is handed out, or is not")
    share: float = Field(description="of the next answers that name it first, 0 to 1")
    answers: int = Field(description="answers that named it first since the start")
    safe_after: Time | None = Field(
        description="when the last answer that named it has expired; null while it is handed out"
    )
    last_probe: Probe | None
    drift: list[str] = Field(description="how its files differ from the other members'")
    files: list[File] = Field(description="as its last whole download found them")
    recent: list[RecentProbe] = Field(description="its last probes, the oldest first")


class Pool(ResponseModel):
    """A hostname and the servers behind it."""

    name: str
    hostname: str
    ttl: int
    answers: int = Field(description="most addresses in one answer")
    policy: Policy
    on_empty: OnEmpty
    min_members: int = Field(description="a drain that would leave fewer is refused")
    everything_down: bool
    detection: float = Field(description="worst case from a member's silence to its fall, seconds")
    worst_case: float = Field(description="... to the end of the last answer with it, seconds")
    queries: int = Field(description="A queries answered since the start")
    members: list[Member]


class Pools(ResponseModel):
    """All pools, in the order of the config."""

    pools: list[Pool]


class MemberOrderResponse(ResponseModel):
    """What became of an order for one member, or would become of it."""

    member: Member = Field(description="as it is now")
    safe_after: Time = Field(description="when the last answer that may name it has expired")
    changed: bool = Field(description="false: it was so before")


class OrderResponse(MemberOrderResponse):
    """What became of an order, or would become of it."""

    safe: bool = Field(description="`safe_after` has passed, and the member is still out")
    id: str = Field(description="of the order, as in the audit trail; empty: nothing was changed")
    dry_run: bool = Field(description="nothing was done")
    guard: str | None = Field(
        description="the guard's word, when it would refuse this (a dry run), or would refuse it "
        "as things are now (an order for later)"
    )
    remaining: list[str] = Field(description="the members of the pool that are handed out then")


class GroupOrderResponse(ResponseModel):
    """What became of an order for several members, or would become of it."""

    members: list[MemberOrderResponse]
    safe_after: Time = Field(description="when that of the last of them has passed")
    changed: bool = Field(description="false: all was so before")
    safe: bool = Field(description="`safe_after` has passed, and all of them are still out")
    id: str = Field(description="of the order, as in the audit trail; empty: nothing was changed")
    dry_run: bool = Field(description="nothing was done")
    guard: str | None = Field(
        description="the guard's word, when it would refuse this (a dry run), or would refuse it "
        "as things are now (an order for later)"
    )
    remaining: dict[str, list[str]] = Field(description="by pool, the members handed out then")


class PossibleChange(ResponseModel):
    """One thing that would change whether a member is handed out."""

    sentence: str
    at: Time | None = Field(description="it happens then")
    probes: int | None = Field(description="so many more probes in a row")
    seconds: float | None = Field(description="about how long they take from now on")
    command: str = Field(description="what to say on the command line; may be empty")


class DecidingProbe(ResponseModel):
    """The probe that made a member's standing what it is."""

    verdict: Verdict
    sentence: str
    seconds: float
    at: Time


class ExplainedMember(ResponseModel):
    """Why a member is handed out or is not, and what would change that."""

    name: str
    address: str
    is_in: bool = Field(serialization_alias="in", description="handed out now")
    why: EligibilityReason
    since: Time = Field(description="of the order in force, or of what the probes say")
    override: Override | None
    probe: DecidingProbe | None = Field(
        description="the probe that made its standing; null: none has yet, since the start"
    )
    would_change: list[PossibleChange] = Field(description="what would change it, each by itself")


class ExplainedPool(ResponseModel):
    """Who of a pool is answered next, and why others are not."""

    name: str
    hostname: str
    turn: int | None = Field(description="number of the next answer; null: not told yet")
    next: list[list[str]] = Field(
        description="the members in each of the next answers, in its order: one round, after "
        "which it begins again"
    )
    sentence: str = Field(description="how sure `next` is")
    members: list[ExplainedMember]


class Explanation(ResponseModel):
    """Why what is answered is answered."""

    pools: list[ExplainedPool]


class AuditEntry(ResponseModel):
    """Who did what to whom, when and why."""

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
    """A page of the audit trail, the newest entry first."""

    entries: list[AuditEntry]
    next: int | None = Field(description="what to give as `before` for the next page; null: none")


class Exporter(ResponseModel):
    """How one exporter fares."""

    name: str
    kind: str = Field(description="file, kea, webhook or command")
    pools: list[str]
    pending: bool = Field(description="something is not told yet")
    failing: bool = Field(description="the last attempt failed")
    last_success: Time | None
    last_error: str = Field(description="of the last failure, also after a success")
    last_error_at: Time | None
    next_try: Time | None
    serial: int = Field(description="of the snapshot that was told last")
    delivered: int = Field(description="successes since the service started")
    failed: int = Field(description="failed attempts since the service started")
    note: str = Field(description="why something is held back, if it is")


class Exporters(ResponseModel):
    """All exporters."""

    exporters: list[Exporter]


class Webhook(ResponseModel):
    """How one webhook fares."""

    name: str
    origin: str = Field(description="scheme and host of its URL")
    events: list[str] = Field(description="what it is told of")
    pools: list[str] = Field(description="and of which pools; none: of all")
    failing: bool = Field(description="the last attempt failed")
    waiting: int = Field(description="events that are not delivered yet")
    queue_limit: int = Field(description="how many may wait; then the oldest are let go")
    attempts: int = Field(description="in a row that failed")
    last_success: Time | None
    last_error: str = Field(description="of the last failure, also after a success")
    last_error_at: Time | None
    next_try: Time | None
    delivered: int = Field(description="events delivered since the control process started")
    failed: int = Field(description="failed attempts since then")
    dropped: int = Field(description="events let go since then")


class Webhooks(ResponseModel):
    """All webhooks."""

    webhooks: list[Webhook]


class Me(ResponseModel):
    """Who is calling."""

    name: str = Field(description="of the token; what the audit trail will say")
    role: Role


class Alarm(ResponseModel):
    """Something to know of at once."""

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
    """An order that fits no member of the config: it is kept until one is there, or it is ended."""

    pool: str
    member: str
    address: str = Field(description="which the member had; may be empty")
    order: OrderKind


class Readiness(ResponseModel):
    """Whether targets are being served, and what stands in the way."""

    ready: bool
    alarms: list[Alarm]
    version: str
    started_at: Time
    serial: int
    published_at: Time
    workers: list[Worker]
    orphaned: list[OrphanedOrder] = Field(
        description="orders that fit no member of the config; a resume by these names ends one"
    )


class Liveness(ResponseModel):
    """The control process works."""

    alive: bool
    version: str


class FieldError(ResponseModel):
    """One mistake in a request."""

    place: str = Field(description="dotted; empty for the body as a whole")
    problem: str


class Problem(ResponseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = Field(default=None, description="all mistakes of the request")
