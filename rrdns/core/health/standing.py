"""Decide whether a member is up, from the run of its probes.

One lost probe proves little, since TFTP rides on UDP; a run of them does.
Nothing here waits or reads a clock: the checker tells us what happened, and
asks when the next probe is due.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rrdns.core.model import ProbeSpec

BEAT = 0.02  # seconds between the moments at which probes start in calm


@dataclass(frozen=True, slots=True)
class Patience:
    """How many probes in a row it takes to change a standing."""

    falls: int = 3
    rises: int = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """What the probes say of a member so far."""

    up: bool
    doubts: int = 0  # probes in a row that disagree with `up`
    settled: bool = True  # False: assumed, no probe has told yet
    awaited: bool = False  # nothing is known, and its first result is waited for

    @property
    def in_doubt(self) -> bool:
        """Tell whether the next probe should come soon."""
        return self.doubts > 0


ASSUMED_UP = Standing(up=True, settled=False)
AWAITED = Standing(up=True, settled=False, awaited=True)


def observe(standing: Standing, passed: bool, patience: Patience) -> Standing:
    """Return the member's standing after one more probe.

    The first probe of a member settles it alone: one success is up, one failure is down.
    """
    if not standing.settled:
        return Standing(up=passed)
    if passed == standing.up:
        return replace(standing, doubts=0)
    if standing.doubts + 1 < (patience.falls if standing.up else patience.rises):
        return replace(standing, doubts=standing.doubts + 1)
    return Standing(up=not standing.up)


def patience(probe: ProbeSpec) -> Patience:
    """Return the patience that a pool's probe settings ask for."""
    return Patience(falls=probe.fall, rises=probe.rise)


def next_start(standing: Standing, probe: ProbeSpec, started: float, ended: float) -> float:
    """Return when the next probe is due, on the clock of `started` and `ended` (seconds).

    In calm the rhythm runs from start to start (on the nearest beat), so that it does not
    drift; in doubt the next probe follows `fast_interval` after the end of the last. Two
    probes of a member never overlap.
    """
    if standing.in_doubt:
        return ended + min(probe.fast_interval, probe.interval)
    return max(_on_beat(started + probe.interval, probe.interval), ended)


def stagger(turn: int, interval: float) -> float:
    """Return how long the `turn`-th member waits for its first probe, less than `interval`.

    Multiples of the golden ratio fill the interval evenly for any number of members and
    leave those in place that are there already (no dice, no bursts).
    """
    golden = 0.6180339887498949
    return (turn * golden) % 1.0 * interval


def _on_beat(due: float, interval: float) -> float:
    # Starts that share a beat are served in one turn of the event loop; a thousand that come
    # one by one cost half as much again. A short interval keeps its exact rhythm.
    return due if interval < 10 * BEAT else round(due / BEAT) * BEAT


def detection_time(probe: ProbeSpec) -> float:
    """Return the most seconds from a member's silence to its fall.

    It dies just after a probe passed: one interval until the next, which times out, and
    `fall - 1` more at the fast interval.
    """
    gap = min(probe.fast_interval, probe.interval)
    return probe.interval + probe.timeout + (probe.fall - 1) * (gap + probe.timeout)
