"""Decide when each member is probed; compute how long a failed server stays in answers."""

from __future__ import annotations

from rrdns.core.health.standing import Standing
from rrdns.core.model import Pool, ProbeSpec

TIMER_TICK = 0.02  # seconds; probes of members with a settled standing start on multiples of it


def next_probe_at(standing: Standing, probe: ProbeSpec, started: float, ended: float) -> float:
    """Return when the next probe is due, on the clock of `started` and `ended` (seconds).

    Normally the interval is counted from start to start, rounded to the timer tick, so that it
    does not drift. After a probe that contradicts the standing, the next one follows
    `fast_interval` after its end. Two probes of a member never overlap.
    """
    if standing.is_contradicted:
        return ended + min(probe.fast_interval, probe.interval)
    return max(_on_tick(started + probe.interval, probe.interval), ended)


def initial_delay(turn: int, interval: float) -> float:
    """Return the delay of the `turn`-th member's first probe, less than `interval`.

    Multiples of the golden ratio fill the interval evenly for any number of members. A new member
    does not change the delays of the others.
    """
    golden = 0.6180339887498949
    return (turn * golden) % 1.0 * interval


def _on_tick(due: float, interval: float) -> float:
    # The event loop serves all starts of a tick in one iteration; a thousand single starts cost
    # 50 % more. A short interval is not rounded.
    return due if interval < 10 * TIMER_TICK else round(due / TIMER_TICK) * TIMER_TICK


def detection_time(probe: ProbeSpec) -> float:
    """Return the maximum of seconds from a member's failure until it is down.

    In the worst case it fails just after a passed probe. The next probe starts one interval later
    and times out, and so do `fall - 1` more with the fast interval.
    """
    gap = min(probe.fast_interval, probe.interval)
    return probe.interval + probe.timeout + (probe.fall - 1) * (gap + probe.timeout)


PUBLISH_SECONDS = 0.01  # from a new standing to the workers' answers


def worst_case(pool: Pool) -> float:
    """Return the maximum of seconds from a server's failure until its last answer expires."""
    return detection_time(pool.probe) + PUBLISH_SECONDS + pool.ttl
