"""The state of the service, its pools and members, exporters and webhooks.

The control process makes these values. The API, the metrics and the page show them. Times are Unix
seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rrdns.core.health.drift import Drift
from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.probe_result import LoadedFile, ProbeResult
from rrdns.core.health.standing import Standing
from rrdns.core.model import Member, Override, Pool, ScheduledOverride


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """The state of one member."""

    member: Member
    standing: Standing  # from its probes
    since: float  # when the standing last changed
    override: Override | None  # in force
    why: EligibilityReason  # why it is in rotation, or is not
    share: float  # of the next answers that have it first, 0 to 1
    answers: int  # that had it first, since the service started
    probed_at: float | None = None
    last_probe: ProbeResult | None = None
    recent: tuple[tuple[float, float, bool], ...] = ()  # (at, seconds, passed), oldest first
    seen: tuple[LoadedFile, ...] = ()  # loaded by the last full probe
    drift: tuple[Drift, ...] = ()
    safe_after: float | None = None  # when the last cached answer with it expires
    plan: ScheduledOverride | None = None  # for later
    deciding_probe: tuple[ProbeResult, float] | None = None  # that made the standing, and when


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The state of one pool."""

    pool: Pool
    members: tuple[MemberStatus, ...]
    everything_down: bool
    detection: float  # worst case, from a member's silence until it is out, seconds
    worst_case: float  # ... until the last answer with it expires, seconds
    queries: int = 0  # A queries answered since the service started
    turn: int | None = None  # the next one; None: no worker has reported it yet


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition that an admin should know at once."""

    name: str  # "everything-down", "store-failed", "worker-missing", "listen-failed" ...
    sentence: str
    since: float
    pool: str = ""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The state of one DNS worker."""

    number: int
    connected: bool
    serial: int  # of the snapshot it answers from
    restarts: int


@dataclass(frozen=True, slots=True)
class ExporterStatus:
    """The state of one exporter."""

    name: str
    kind: str  # "file", "kea", "webhook" or "command"
    pools: tuple[str, ...]
    pending: bool  # a change is not exported yet
    failing: bool  # the last attempt failed
    attempts: int = 0  # in a row that failed
    last_success: float | None = None
    last_error: str = ""  # the last failure's sentence, also after a success
    last_error_at: float | None = None
    next_try: float | None = None
    serial: int = 0  # of the snapshot that was exported last
    delivered: int = 0  # successes since the service started
    failed: int = 0  # failed attempts since the service started
    note: str = ""  # why an export is held back, if it is


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """The state of one webhook."""

    name: str
    origin: str  # scheme and host of its URL: the rest may hold a key
    events: tuple[str, ...]  # topics that it gets
    pools: tuple[str, ...]  # whose events it gets; empty: all
    failing: bool = False  # the last attempt failed
    waiting: int = 0  # events that are not delivered yet
    queue_limit: int = 0  # events that may wait
    attempts: int = 0  # in a row that failed
    last_success: float | None = None
    last_error: str = ""  # the last failure's sentence, also after a success
    last_error_at: float | None = None
    next_try: float | None = None
    delivered: int = 0  # events delivered since the service started
    failed: int = 0  # failed attempts since the service started
    dropped: int = 0  # events dropped since the service started


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The service as a whole."""

    version: str
    started_at: float
    ready: bool
    alarms: tuple[Alarm, ...]
    serial: int  # of the last published snapshot
    published_at: float
    workers: tuple[WorkerStatus, ...] = ()
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by kind and RCODE
    unanswered: int = 0  # datagrams that got no response
    configured_at: float = 0.0  # when the config in force was read
    reload_failed: bool = False  # a newer config was refused
    exporters: tuple[ExporterStatus, ...] = ()
    webhooks: tuple[WebhookStatus, ...] = ()
    dropped_lines: Mapping[str, int] = field(default_factory=dict)  # of the log, by process
    orphaned: tuple[Override, ...] = ()  # orders without a member in the config
