"""Tell until when an answer that is given no more may still be believed by somebody.

A resolver keeps an answer for its TTL. Who got the last one, and when, nobody counts, as
that would cost every query; so the bounds here are upper bounds: an answer may have been
given until the last worker had acknowledged the snapshot without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Resolvers count in whole seconds: one that got an answer late in a second may hand it out
# until its TTL is over and that second, too (Unbound compares with <, and has no fractions).
WHOLE_SECONDS = 1.0
# A worker that hangs is replaced within this time, and its successor begins with what is new.
STRAGGLER = 5.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """One address in the answers for one hostname; times are on a clock that cannot be set."""

    ttl: int | None = None  # of the answers that name it now; None: none does
    leaving: tuple[tuple[int, int], ...] = ()  # (serial that ended it, TTL), not yet everywhere
    until: float = 0.0  # when the last of the other answers has expired; 0: there was none


NEVER = Exposure()


def publish(exposure: Exposure, serial: int, ttl: int | None) -> Exposure:
    """Return the exposure after a publication that names the address with `ttl`, or with None."""
    was = exposure.ttl
    if was is None or (ttl is not None and ttl >= was):  # what was given before ends no later
        return replace(exposure, ttl=ttl)
    return replace(exposure, ttl=ttl, leaving=(*exposure.leaving, (serial, was)))


def settle(exposure: Exposure, serial: int, at: float) -> Exposure:
    """Return the exposure when since `at`, at the latest, all workers answer from `serial` on."""
    over = [ttl for left, ttl in exposure.leaving if left <= serial]
    if not over:
        return exposure
    rest = tuple(one for one in exposure.leaving if one[0] > serial)
    return replace(exposure, leaving=rest, until=max(exposure.until, _expiry(at, max(over))))


def expiry(exposure: Exposure, now: float) -> float:
    """Return when the last of the answers that are given no more has expired; 0: there was none."""
    pending = (_expiry(now + STRAGGLER, ttl) for _, ttl in exposure.leaving)
    return max(exposure.until, *pending, 0.0)


def safe_after(exposure: Exposure, now: float) -> float | None:
    """Return when nobody believes any more that the address is in.

    None: it is handed out now, or never was.
    """
    return None if exposure.ttl is not None else expiry(exposure, now) or None


def _expiry(at: float, ttl: int) -> float:
    # Resolvers do not cache TTL 0 at all.
    return at + ttl + (WHOLE_SECONDS if ttl else 0.0)
