"""When each member is probed, and how long a server that died is still answered at most."""

from __future__ import annotations

from rrdns.core.health.standing import Standing
from rrdns.core.model import Pool, ProbeSpec

TIMER_TICK = 0.02  # seconds between the moments at which probes start in calm


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


PUBLISH_SECONDS = 0.01  # from a new standing to the workers' answers


def worst_case(pool: Pool) -> float:
    """Return the most seconds from a server's death to the end of the last answer naming it."""
    return detection_time(pool.probe) + PUBLISH_SECONDS + pool.ttl
