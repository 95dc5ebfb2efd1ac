"""Decide whether a member is up, from the run of its probes.

One lost probe proves little, since TFTP rides on UDP; a run of them does.
Nothing here waits or reads a clock: the checker tells us what happened, and
asks when the next probe is due.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rrdns.core.model import ProbeSpec

TIMER_TICK = 0.02  # seconds between the moments at which probes start in calm


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many probes in a row it takes to change a standing."""

    fall: int = 3
    rise: int = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """What the probes say of a member so far."""

    up: bool
    contradicting_probes: int = 0  # probes in a row that disagree with `up`
    probed: bool = True  # False: assumed, no probe has told yet
    awaited: bool = False  # nothing is known, and its first result is waited for

    @property
    def is_contradicted(self) -> bool:
        """Tell whether the next probe should come soon."""
        return self.contradicting_probes > 0


ASSUMED_UP = Standing(up=True, probed=False)
AWAITED = Standing(up=True, probed=False, awaited=True)


def observe(standing: Standing, passed: bool, patience: Thresholds) -> Standing:
    """Return the member's standing after one more probe.

    The first probe of a member settles it alone: one success is up, one failure is down.
    """
    if not standing.probed:
        return Standing(up=passed)
    if passed == standing.up:
        return replace(standing, contradicting_probes=0)
    if standing.contradicting_probes + 1 < (patience.fall if standing.up else patience.rise):
        return replace(standing, contradicting_probes=standing.contradicting_probes + 1)
    return Standing(up=not standing.up)


def thresholds_of(probe: ProbeSpec) -> Thresholds:
    """Return the patience that a pool's probe settings ask for."""
    return Thresholds(fall=probe.fall, rise=probe.rise)


def next_probe_at(standing: Standing, probe: ProbeSpec, started: float, ended: float) -> float:
    """Return when the next probe is due, on the clock of `started` and `ended` (seconds).

    In calm the rhythm runs from start to start (on the nearest beat), so that it does not
    drift; in doubt the next probe follows `fast_interval` after the end of the last. Two
    probes of a member never overlap.
    """
    if standing.is_contradicted:
        return ended + min(probe.fast_interval, probe.interval)
    return max(_on_tick(started + probe.interval, probe.interval), ended)


def initial_delay(turn: int, interval: float) -> float:
    """Return how long the `turn`-th member waits for its first probe, less than `interval`.

    Multiples of the golden ratio fill the interval evenly for any number of members and
    leave those in place that are there already (no dice, no bursts).
    """
    golden = 0.6180339887498949
    return (turn * golden) % 1.0 * interval


def _on_tick(due: float, interval: float) -> float:
    # Starts that share a beat are served in one turn of the event loop; a thousand that come
    # one by one cost half as much again. A short interval keeps its exact rhythm.
    return due if interval < 10 * TIMER_TICK else round(due / TIMER_TICK) * TIMER_TICK


def detection_time(probe: ProbeSpec) -> float:
    """Return the most seconds from a member's silence to its fall.

    It dies just after a probe passed: one interval until the next, which times out, and
    `fall - 1` more at the fast interval.
    """
    gap = min(probe.fast_interval, probe.interval)
    return probe.interval + probe.timeout + (probe.fall - 1) * (gap + probe.timeout)
