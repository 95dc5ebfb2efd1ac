"""Tell until when an answer that is given no more may still be believed by somebody.

A resolver keeps an answer for its TTL. Who got the last one, and when, nobody counts, as
that would cost every query; so the bounds here are upper bounds: an answer may have been
given until the last worker had acknowledged the snapshot without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Resolvers count in whole seconds: one that got an answer late in a second may hand it out
# until its TTL is over and that second, too (Unbound compares with <, and has no fractions).
TTL_ROUNDING = 1.0
# A worker that hangs is replaced within this time, and its successor begins with what is new.
STALE_WORKER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CachedAnswers:
    """One address in the answers for one hostname; times are on a clock that cannot be set."""

    ttl: int | None = None  # of the answers that name it now; None: none does
    withdrawn: tuple[tuple[int, int], ...] = ()  # (serial that ended it, TTL), not yet everywhere
    expires_at: float = 0.0  # when the last of the other answers has expired; 0: there was none


NEVER = CachedAnswers()


def after_publish(cached: CachedAnswers, serial: int, ttl: int | None) -> CachedAnswers:
    """Return the exposure after a publication that names the address with `ttl`, or with None."""
    was = cached.ttl
    if was is None or (ttl is not None and ttl >= was):  # what was given before ends no later
        return replace(cached, ttl=ttl)
    return replace(cached, ttl=ttl, withdrawn=(*cached.withdrawn, (serial, was)))


def after_applied(cached: CachedAnswers, serial: int, at: float) -> CachedAnswers:
    """Return the exposure when since `at`, at the latest, all workers answer from `serial` on."""
    over = [ttl for left, ttl in cached.withdrawn if left <= serial]
    if not over:
        return cached
    rest = tuple(one for one in cached.withdrawn if one[0] > serial)
    return replace(
        cached, withdrawn=rest, expires_at=max(cached.expires_at, _expiry(at, max(over)))
    )


def expiry(cached: CachedAnswers, now: float) -> float:
    """Return when the last of the answers that are given no more has expired; 0: there was none."""
    pending = (_expiry(now + STALE_WORKER_SECONDS, ttl) for _, ttl in cached.withdrawn)
    return max(cached.expires_at, *pending, 0.0)


def safe_after(cached: CachedAnswers, now: float) -> float | None:
    """Return when nobody believes any more that the address is in.

    None: it is handed out now, or never was.
    """
    return None if cached.ttl is not None else expiry(cached, now) or None


def _expiry(at: float, ttl: int) -> float:
    # Resolvers do not cache TTL 0 at all.
    return at + ttl + (TTL_ROUNDING if ttl else 0.0)
