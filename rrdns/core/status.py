"""What there is to tell about pools and members: observed, ordered, and what follows.

The control process fills these in; the API, the metrics and the page show them.
Times are Unix seconds.
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
    """One member as of now."""

    member: Member
    standing: Standing  # observed
    since: float  # when the standing last changed
    override: Override | None  # ordered
    why: EligibilityReason  # combined
    share: float  # of the next answers that name it first, 0 to 1
    answers: int  # that named it first, since the service started
    probed_at: float | None = None
    last_probe: ProbeResult | None = None
    recent: tuple[tuple[float, float, bool], ...] = ()  # (at, seconds, passed), oldest first
    seen: tuple[LoadedFile, ...] = ()  # as the last full probe loaded them
    drift: tuple[Drift, ...] = ()
    safe_after: float | None = None  # when the last answer that named it has expired
    plan: ScheduledOverride | None = None  # ordered for later
    deciding_probe: tuple[ProbeResult, float] | None = (
        None  # the probe that made the standing, and when
    )


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """One pool as of now."""

    pool: Pool
    members: tuple[MemberStatus, ...]
    everything_down: bool
    detection: float  # worst case, from a member's silence to its fall, seconds
    worst_case: float  # from its silence to the end of the last answer that names it, seconds
    queries: int = 0  # A queries answered since the service started
    turn: int | None = None  # the next one, as far as a worker has told


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something an admin should know of at once."""

    name: str  # "everything-down", "store-failed", "worker-missing", "listen-failed" ...
    sentence: str
    since: float
    pool: str = ""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One DNS worker as of now."""

    number: int
    connected: bool
    serial: int  # of the snapshot it answers from
    restarts: int


@dataclass(frozen=True, slots=True)
class ExporterStatus:
    """What one exporter has told the system it serves, and whether it got through."""

    name: str
    kind: str  # "file", "kea", "webhook" or "command"
    pools: tuple[str, ...]
    pending: bool  # something is not told yet
    failing: bool  # the last attempt failed
    attempts: int = 0  # in a row that failed
    last_success: float | None = None
    last_error: str = ""  # the last failure's sentence, also after a success
    last_error_at: float | None = None
    next_try: float | None = None
    serial: int = 0  # of the snapshot that was told last
    delivered: int = 0  # successes since the service started
    failed: int = 0  # failed attempts since the service started
    note: str = ""  # why something is held back, if it is


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """How one webhook fares that is told of events."""

    name: str
    origin: str  # scheme and host of its URL: the rest may hold a key
    events: tuple[str, ...]  # what it is told of
    pools: tuple[str, ...]  # and of which; none: of all
    failing: bool = False  # the last attempt failed
    waiting: int = 0  # events that are not delivered yet
    queue_limit: int = 0  # how many may wait
    attempts: int = 0  # in a row that failed
    last_success: float | None = None
    last_error: str = ""  # the last failure's sentence, also after a success
    last_error_at: float | None = None
    next_try: float | None = None
    delivered: int = 0  # events delivered since the service started
    failed: int = 0  # failed attempts since the service started
    dropped: int = 0  # events let go since the service started


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
    counts: dict[str, int] = field(default_factory=dict)  # queries by "kind/rcode"
    unanswered: int = 0  # datagrams that got no answer
    configured_at: float = 0.0  # when the config in force was read
    reload_failed: bool = False  # the config was read again since, and refused
    exporters: tuple[ExporterStatus, ...] = ()
    webhooks: tuple[WebhookStatus, ...] = ()
    dropped_lines: Mapping[str, int] = field(default_factory=dict)  # of the log, by process
    orphaned: tuple[Override, ...] = ()  # orders that fit no member of the config, and are kept
