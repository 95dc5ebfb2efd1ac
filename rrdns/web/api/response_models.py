"""The JSON of the API: what is told, and what may be asked.

The OpenAPI document is made from these, so what is said here is what is promised.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict, JsonValue

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import OnEmpty, OrderKind, Policy
from rrdns.timeformat import MAX_SECONDS, duration, from_rfc3339, start_of
from rrdns.web.api.auth import Role

MAX_REASON = 500  # characters
MAX_AUDIT = 1000  # entries in one page
RECENT = 120  # probes shown of a member
MAX_NAME = 253  # characters of a member's name, a tag or a pattern
MAX_NAMES = 1000  # members named in one order
MAX_WAIT = 600.0  # seconds that a call waits until it is safe
MAX_RECENT_MEMBERS = 500  # above which a list shows none of them
MAX_ID = 2**63 - 1  # SQLite's largest integer

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class ResponseModel(BaseModel):
    """What rrdns tells."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)


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


def _seconds(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        # ValueError is what pydantic makes a mistake of.
        raise ValueError('write it as "2h", "90s", "1h30m" or in seconds')  # noqa: TRY004 - see above
    return duration(given)


def _moment(given: object) -> float:
    if not isinstance(given, str):
        raise ValueError("write it as 2026-01-31T12:00:00Z (RFC 3339)")  # noqa: TRY004 - as above
    return from_rfc3339(given)


def _start(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError("write it as 2026-01-31T22:00:00Z (RFC 3339), or +2h")  # noqa: TRY004 - as above
    start_of(given, 0.0)
    return given


def _one_line(given: object) -> object:
    """Keep what would garble a log or a terminal out of a reason."""
    if isinstance(given, str) and any(unicodedata.category(one) in _GARBLING for one in given):
        raise ValueError("a reason is one line of text, without control characters")
    return given


_GARBLING = {"Cc", "Zl", "Zp"}  # control characters, line and paragraph separators
_AMOUNT = "[1-9][0-9]{0,2}"
_SHAPE = f"^(?:{_AMOUNT}d)?(?:{_AMOUNT}h)?(?:{_AMOUNT}m)?(?:{_AMOUNT}s)?$"

Reason = Annotated[
    str,
    Field(
        max_length=MAX_REASON,
        description="why; goes to the audit trail",
        json_schema_extra={"pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"},
    ),
    BeforeValidator(_one_line),
]
Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _SHAPE, "minLength": 2},
                {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS},
            ],
            "description": "how long the order holds",
            "examples": ["2h", "1h30m", 90],
        }
    ),
]
Moment = Annotated[
    float,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "when the order ends; in the future",
        }
    ),
]

Start = Annotated[
    str,
    BeforeValidator(_start),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "pattern": _SHAPE.replace("^", "^\\+", 1), "minLength": 3},
            ],
            "description": "when the order begins; it is kept until then, and the guard is asked "
            "again. Left out, or in the past: now",
            "examples": ["2026-01-31T22:00:00Z", "+2h"],
        }
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class RequestModel(BaseModel):
    """What a caller asks; unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _given(*names: str) -> JsonDict:
    """Return the schema of what has all of these, neither null nor false."""
    nothing: list[JsonValue] = [None, False]
    return {
        "required": list(names),
        "properties": {name: {"not": {"enum": nothing}} for name in names},
    }


def _only(name: str, names: Sequence[str]) -> JsonDict:
    """Return the schema of what has one of several names, and not the others."""
    others: list[JsonValue] = [{"not": _given(one)} for one in names if one != name]
    return {"allOf": [_given(name), *others]}


# What a schema can say of things that belong or do not belong together.
_WAYS = ("members", "tag", "glob")
_ONE_WAY: list[JsonValue] = [{"oneOf": [_only(way, _WAYS) for way in _WAYS]}]
_ONE_END: list[JsonValue] = [
    {"not": _given("for", "until")},
    {"not": _given("wait", "dry_run")},
    {"not": _given("wait", "at")},
]


class ResumeBody(RequestModel):
    """The end of an order, and of one for later."""

    reason: Reason = ""
    dry_run: bool = Field(default=False, description="tell what it would do, and do nothing")


class OrderBody(ResumeBody):
    """An order for a member; without `for` and `until` it holds until it is resumed."""

    model_config = ConfigDict(json_schema_extra={"allOf": _ONE_END})

    lasting: Seconds | None = Field(default=None, alias="for")
    until: Moment | None = None
    at: Start | None = None
    force: bool = Field(default=False, description="even if too few members are left")
    wait: bool = Field(
        default=False,
        description="answer only when `safe_after` has passed, or after "
        f"{MAX_WAIT:.0f} s at most; `safe` tells which",
    )

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.lasting is not None and self.until is not None:
            raise ValueError("give either `for` or `until`, not both")
        if self.wait and (self.dry_run or self.at is not None):
            raise ValueError("there is nothing to `wait` for with `dry_run` or `at`")
        return self


class MemberSelection(ResumeBody):
    """Which members are meant: exactly one of `members`, `tag` and `glob`."""

    pool: Name | None = Field(default=None, description="only of this pool; left out: of all")
    members: list[Name] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_NAMES,
        description="their names; one that several pools have is meant in each",
    )
    tag: Name | None = Field(default=None, description="all that have this tag in the config")
    glob: Name | None = Field(
        default=None, description="all whose name fits this pattern, as a shell would match it"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.members, self.tag, self.glob)) != 1:
            raise ValueError("give exactly one of `members`, `tag` and `glob`")
        return self


class GroupOrderBody(MemberSelection, OrderBody):
    """An order for several members: for all of them, or for none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"glob": "pvs-*", "pool": "boot", "reason": "patch night", "dry_run": True},
                {"tag": "rack-1", "reason": "new switch", "at": "+2h", "for": "1h"},
            ],
            "allOf": [*_ONE_WAY, *_ONE_END],
        }
    )


class GroupResumeBody(MemberSelection):
    """The end of what is ordered for several members."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tag": "rack-1"}], "allOf": _ONE_WAY}
    )


class AuditFilter(BaseModel):
    """Whose audit entries are wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pool: str | None = Field(default=None, description="only entries of this pool")
    member: str | None = Field(default=None, description="only entries of members so called")


class AuditQuery(AuditFilter):
    """Which part of the audit trail is wanted."""

    limit: int = Field(default=100, ge=1, le=MAX_AUDIT, description="most entries")
    before: int | None = Field(
        default=None, ge=1, le=MAX_ID, description="only entries with a smaller id"
    )


class ExplainQuery(BaseModel):
    """Which pool is to be explained."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pool: str | None = Field(default=None, description="only this one; left out: all")


class ShowQuery(BaseModel):
    """How much of each member is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    recent: int = Field(default=RECENT, ge=0, le=1000, description="most of the last probes, each")


class ListQuery(BaseModel):
    """How much of each member is wanted in a list."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    recent: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="most of the last probes, each; when it is left out, "
        f"{RECENT} with up to {MAX_RECENT_MEMBERS} members in all, and none with more",
    )
