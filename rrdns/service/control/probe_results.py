"""Apply probe results to the states of the pools, record what changed, and publish it."""

from __future__ import annotations

from collections.abc import Iterable

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.health.standing import Standing
from rrdns.service.control.context import ControlContext
from rrdns.web.metrics import ProbeMetrics

CANNOT_PROBE = "cannot-probe"


class ProbeResultHandler:
    """Applies the results of probes to the states of the pools."""

    def __init__(self, context: ControlContext, stats: ProbeMetrics) -> None:
        self._stats = stats
        self._states = context.states
        self._publisher = context.publisher
        self._recorder = context.recorder
        self._clock = context.clock
        self._cannot_probe: dict[str, set[str]] = {}  # pool -> members that this host cannot probe

    def handle(self, pool: str, member: str, result: ProbeResult) -> Standing:
        """Apply a probe's result; return the member's standing after it."""
        self._stats.observe(pool, member, result)
        member_state = self._states.state(pool, member)
        before = member_state.standing
        warned = member_state.last_probe.warnings if member_state.last_probe else ()
        if self._states.observe(pool, member, result, self._clock()):
            if member_state.standing.probed:
                self._record_standing(pool, member, before, member_state.standing, result.sentence)
            self._publisher.mark_changed(pool)
        if result.verdict is Verdict.LOCAL or pool in self._cannot_probe:
            self._record_cannot_probe(pool, member, result)
        if result.depth is ProbeDepth.FULL and result.passed:
            self._record_drift(pool, member, set(result.warnings) - set(warned))
        return member_state.standing

    def _record_cannot_probe(self, pool: str, member: str, result: ProbeResult) -> None:
        """Raise the alarm of a pool with members that this host cannot probe, or clear it."""
        blind = self._cannot_probe.setdefault(pool, set())
        members = self._states.record(pool).members.keys()
        if result.verdict is Verdict.LOCAL:
            blind.add(member)
        else:
            blind.discard(member)
        blind &= members
        if not blind:
            del self._cannot_probe[pool]
            self._recorder.clear_alarm(CANNOT_PROBE, pool)
        elif result.verdict is Verdict.LOCAL:
            who = f"{len(blind)} of {len(members)} members of pool {pool!r}"
            self._recorder.raise_alarm(
                CANNOT_PROBE,
                f"{who} cannot be probed from this host, so their health stays as it was last "
                f"seen, and a server that fails now is still answered: {result.sentence}",
                pool,
            )

    def _record_standing(
        self, pool: str, member: str, before: Standing, after: Standing, because: str
    ) -> None:
        entry = self._recorder.system_event(
            "standing",
            pool=pool,
            member=member,
            before=_word(before),
            after=_word(after),
            reason=because,
        )
        self._recorder.record(entry, bad=not after.up)

    def _record_drift(self, pool: str, member: str, warnings: Iterable[str]) -> None:
        for warning in sorted(warnings):
            entry = self._recorder.system_event("warning", pool=pool, member=member, reason=warning)
            self._recorder.record(entry, bad=True)
        for drift in self._states.compare(pool):
            entry = self._recorder.system_event(
                "drift", pool=pool, member=drift.member, reason=drift.sentence
            )
            self._recorder.record(entry, bad=True)


def _word(standing: Standing) -> str:
    if not standing.probed:
        return "unknown"
    return "up" if standing.up else "down"
