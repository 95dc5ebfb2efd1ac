"""The JSON of the API: what is told, and what may be asked.

The OpenAPI document is made from these, so what is said here is what is promised.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from rrdns.core.eligibility import Why
from rrdns.core.model import OnEmpty, Order, Policy
from rrdns.core.probe import Depth, Verdict
from rrdns.web.auth import Role
from rrdns.web.times import MOST_SECONDS, duration, from_rfc3339

MOST_REASON = 500  # characters
MOST_AUDIT = 1000  # entries in one page
RECENT = 120  # probes shown of a member
MANY_MEMBERS = 500  # above which a list shows none of them
MOST_ID = 2**63 - 1  # SQLite's largest integer

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Told(BaseModel):
    """What rrdns tells."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)


class Standing(Told):
    """What the probes say of a member."""

    up: bool
    settled: bool = Field(description="false: assumed, no probe has told yet")
    doubts: int = Field(description="probes in a row that disagree with `up`")
    since: Time


class Override(Told):
    """An order in force for a member."""

    order: Order
    by: str = Field(description="the name of the token that gave it")
    reason: str
    since: Time
    until: Time | None = Field(description="null: until it is resumed")


class File(Told):
    """A boot file as a whole download found it."""

    name: str
    size: int = Field(description="bytes")
    sha256: str
    version: str = Field(description="of the Provisioning Services bootstrap; may be empty")


class Probe(Told):
    """The last probe of a member."""

    verdict: Verdict
    sentence: str
    depth: Depth
    seconds: float
    at: Time
    warnings: list[str]
    seen: list[File] = Field(description="what this probe loaded; empty for a light one")


class RecentProbe(Told):
    """One of the last probes of a member."""

    at: Time
    seconds: float
    passed: bool


class Member(Told):
    """A server: what was observed, what was ordered, and what follows."""

    name: str
    address: str
    backup: bool
    tags: list[str]
    pool: str
    standing: Standing
    override: Override | None
    is_in: bool = Field(serialization_alias="in", description="handed out now")
    why: Why = Field(description="why it is handed out, or is not")
    share: float = Field(description="of the next answers that name it first, 0 to 1")
    answers: int = Field(description="answers that named it first since the start")
    safe_after: Time | None = Field(
        description="when the last answer that named it has expired; null while it is handed out"
    )
    last_probe: Probe | None
    drift: list[str] = Field(description="how its files differ from the other members'")
    files: list[File] = Field(description="as its last whole download found them")
    recent: list[RecentProbe] = Field(description="its last probes, the oldest first")


class Pool(Told):
    """A hostname and the servers behind it."""

    name: str
    hostname: str
    ttl: int
    answers: int = Field(description="most addresses in one answer")
    policy: Policy
    on_empty: OnEmpty
    keep: int = Field(description="a drain that would leave fewer is refused")
    everything_down: bool
    detection: float = Field(description="worst case from a member's silence to its fall, seconds")
    worst_case: float = Field(description="... to the end of the last answer with it, seconds")
    queries: int = Field(description="A queries answered since the start")
    members: list[Member]


class Pools(Told):
    """All pools, in the order of the config."""

    pools: list[Pool]


class Done(Told):
    """What became of an order."""

    member: Member
    safe_after: Time = Field(description="when the last answer that may name it has expired")
    changed: bool = Field(description="false: it was so before")


class AuditEntry(Told):
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


class Audit(Told):
    """A page of the audit trail, the newest entry first."""

    entries: list[AuditEntry]
    next: int | None = Field(description="what to give as `before` for the next page; null: none")


class Exporter(Told):
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
    told: int = Field(description="successes since the service started")
    failed: int = Field(description="failed attempts since the service started")
    note: str = Field(description="why something is held back, if it is")


class Exporters(Told):
    """All exporters."""

    exporters: list[Exporter]


class Me(Told):
    """Who is calling."""

    name: str = Field(description="of the token; what the audit trail will say")
    role: Role


class Alarm(Told):
    """Something to know of at once."""

    name: str
    sentence: str
    since: Time
    pool: str


class Worker(Told):
    """A DNS worker."""

    number: int
    connected: bool
    serial: int
    restarts: int


class Readiness(Told):
    """Whether targets are being served, and what stands in the way."""

    ready: bool
    alarms: list[Alarm]
    version: str
    started_at: Time
    serial: int
    published_at: Time
    workers: list[Worker]


class Liveness(Told):
    """The control process works."""

    alive: bool
    version: str


class Slip(Told):
    """One mistake in a request."""

    place: str = Field(description="dotted; empty for the body as a whole")
    problem: str


class Problem(Told):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Slip] | None = Field(default=None, description="all mistakes of the request")


def _seconds(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        # ValueError is what pydantic makes a mistake of.
        raise ValueError('write it as "2h", "90s", "1h30m" or in seconds')  # noqa: TRY004 - see above
    return duration(given)


def _moment(given: object) -> float:
    if not isinstance(given, str):
        raise ValueError("write it as 2026-01-31T12:00:00Z (RFC 3339)")  # noqa: TRY004 - as above
    return from_rfc3339(given)


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
    BeforeValidator(_one_line),
    Field(max_length=MOST_REASON, description="why; goes to the audit trail"),
]
Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _SHAPE, "minLength": 2},
                {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_SECONDS},
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


class Asked(BaseModel):
    """What a caller asks; unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class OrderBody(Asked):
    """An order for a member; without `for` and `until` it holds until it is resumed."""

    reason: Reason = ""
    lasting: Seconds | None = Field(default=None, alias="for")
    until: Moment | None = None
    force: bool = Field(default=False, description="even if too few members are left")

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.lasting is not None and self.until is not None:
            raise ValueError("give either `for` or `until`, not both")
        return self


class ResumeBody(Asked):
    """The end of an order."""

    reason: Reason = ""


class AuditFilter(BaseModel):
    """Whose audit entries are wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pool: str | None = Field(default=None, description="only entries of this pool")
    member: str | None = Field(default=None, description="only entries of members so called")


class AuditQuery(AuditFilter):
    """Which part of the audit trail is wanted."""

    limit: int = Field(default=100, ge=1, le=MOST_AUDIT, description="most entries")
    before: int | None = Field(
        default=None, ge=1, le=MOST_ID, description="only entries with a smaller id"
    )


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
        f"{RECENT} with up to {MANY_MEMBERS} members in all, and none with more",
    )
