"""The JSON that callers send: bodies of orders, and queries in the URL."""

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

from rrdns.timeformat import MAX_SECONDS, duration, from_rfc3339, start_of
from rrdns.web.api.response_models import MAX_RECENT_MEMBERS, RECENT

MAX_REASON = 500  # characters


MAX_AUDIT = 1000  # entries in one page


MAX_NAME = 253  # characters of a member's name, a tag or a pattern


MAX_NAMES = 1000  # members named in one order


MAX_WAIT = 600.0  # seconds that a call waits until it is safe


MAX_ID = 2**63 - 1  # SQLite's largest integer


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
    dry_run: bool = Field(
        default=False, description="report what the order would do, and change nothing"
    )


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
        f"{MAX_WAIT:.0f} s at most; `safe` is true if it has",
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
        description="their names, or patterns as a shell would match them; a name that several "
        "pools have selects the member in each, unless `one_pool` is true",
    )
    tag: Name | None = Field(default=None, description="all that have this tag in the config")
    glob: Name | None = Field(
        default=None, description="all whose name fits this pattern, as a shell would match it"
    )
    one_pool: bool = Field(
        default=False, description="refuse a name that several pools have (409, `ambiguous-member`)"
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
