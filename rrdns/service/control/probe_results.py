"""Take in what the probes found: note it, tell of what changed, and have it published."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rrdns.core.health.probe_result import Depth, ProbeResult, Verdict
from rrdns.core.health.standing import Standing
from rrdns.service.events.recorder import Herald
from rrdns.service.health.pool_states import Roster
from rrdns.service.publish.snapshot_publisher import Publication
from rrdns.web.metrics import Stats

CANNOT_PROBE = "cannot-probe"


class Witness:
    """Between the checker and the roster."""

    def __init__(
        self,
        roster: Roster,
        publication: Publication,
        herald: Herald,
        clock: Callable[[], float],
        stats: Stats,
    ) -> None:
        self._stats = stats
        self._roster = roster
        self._publication = publication
        self._herald = herald
        self._clock = clock
        self._blind: dict[str, set[str]] = {}  # pool -> members that this host cannot probe

    def told(self, pool: str, member: str, result: ProbeResult) -> Standing:
        """Take in a probe's result; return the member's standing after it."""
        self._stats.observe(pool, member, result)
        track = self._roster.track(pool, member)
        before = track.standing
        warned = track.last_probe.warnings if track.last_probe else ()
        if self._roster.observe(pool, member, result, self._clock()):
            if track.standing.settled:
                self._tell_standing(pool, member, before, track.standing, result.sentence)
            self._publication.mark(pool)
        if result.verdict is Verdict.LOCAL or pool in self._blind:
            self._tell_blind(pool, member, result)
        if result.depth is Depth.FULL and result.passed:
            self._tell_content(pool, member, set(result.warnings) - set(warned))
        return track.standing

    def _tell_blind(self, pool: str, member: str, result: ProbeResult) -> None:
        """Raise an alarm for a pool whose members this host cannot probe, and calm it."""
        blind = self._blind.setdefault(pool, set())
        members = self._roster.record(pool).tracks.keys()
        if result.verdict is Verdict.LOCAL:
            blind.add(member)
        else:
            blind.discard(member)
        blind &= members
        if not blind:
            del self._blind[pool]
            self._herald.calm(CANNOT_PROBE, pool)
        elif result.verdict is Verdict.LOCAL:
            who = f"{len(blind)} of {len(members)} members of pool {pool!r}"
            self._herald.alarm(
                CANNOT_PROBE,
                f"{who} cannot be probed from this host, so their health stays as it was last "
                f"seen, and a server that fails now is still answered: {result.sentence}",
                pool,
            )

    def _tell_standing(
        self, pool: str, member: str, before: Standing, after: Standing, because: str
    ) -> None:
        entry = self._herald.entry(
            "standing",
            pool=pool,
            member=member,
            before=_word(before),
            after=_word(after),
            reason=because,
        )
        self._herald.tell(entry, bad=not after.up)

    def _tell_content(self, pool: str, member: str, warnings: Iterable[str]) -> None:
        for warning in sorted(warnings):
            entry = self._herald.entry("warning", pool=pool, member=member, reason=warning)
            self._herald.tell(entry, bad=True)
        for drift in self._roster.compare(pool):
            entry = self._herald.entry(
                "drift", pool=pool, member=drift.member, reason=drift.sentence
            )
            self._herald.tell(entry, bad=True)


def _word(standing: Standing) -> str:
    if not standing.settled:
        return "unknown"
    return "up" if standing.up else "down"
