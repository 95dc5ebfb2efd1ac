"""Decide from the results of its probes whether a member is up.

One lost probe proves little, since TFTP uses UDP; several in a row do. These functions do not
wait and read no clock: the scheduler passes the results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rrdns.core.model import ProbeSpec


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The number of probes in a row that change a standing."""

    fall: int = 3
    rise: int = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """The health of a member, from its probes so far."""

    up: bool
    contradicting_probes: int = 0  # probes in a row that disagree with `up`
    probed: bool = True  # False: assumed, there is no result yet
    awaited: bool = False  # new: it waits for its first result

    @property
    def is_contradicted(self) -> bool:
        """Return whether the last probe contradicts `up`, so that the next one comes soon."""
        return self.contradicting_probes > 0


ASSUMED_UP = Standing(up=True, probed=False)
AWAITED = Standing(up=True, probed=False, awaited=True)


def observe(standing: Standing, passed: bool, thresholds: Thresholds) -> Standing:
    """Return the member's standing after one more probe.

    The first probe of a member decides alone: a success is up, a failure is down.
    """
    if not standing.probed:
        return Standing(up=passed)
    if passed == standing.up:
        return replace(standing, contradicting_probes=0)
    if standing.contradicting_probes + 1 < (thresholds.fall if standing.up else thresholds.rise):
        return replace(standing, contradicting_probes=standing.contradicting_probes + 1)
    return Standing(up=not standing.up)


def thresholds_of(probe: ProbeSpec) -> Thresholds:
    """Return the thresholds in a pool's probe settings."""
    return Thresholds(fall=probe.fall, rise=probe.rise)
