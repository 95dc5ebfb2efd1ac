"""Decide whether a member is up, from the run of its probes.

One lost probe proves little, since TFTP rides on UDP; a run of them does.
Nothing here waits or reads a clock: the checker tells us what happened, and
asks when the next probe is due.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rrdns.core.model import ProbeSpec


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
