"""Compute how long resolvers may still cache a withdrawn address.

A resolver caches an answer for its TTL. rrdns does not store when each client got its last answer,
since that would slow every query down. So these are upper bounds: an answer may have been sent
until the last worker acknowledged the snapshot without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Resolvers count in whole seconds: an answer that a resolver got late in a second may stay in its
# cache for the TTL and that second, too (Unbound compares with <, without fractions).
TTL_ROUNDING = 1.0

# A worker that hangs is replaced within this time, and the new one starts with the new snapshot.
STALE_WORKER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CachedAnswers:
    """The answers with one address for one hostname. Times are on a monotonic clock."""

    ttl: int | None = None  # of the current answers with the address; None: it is not in them
    # (serial without the address, TTL), while not all workers have applied the serial.
    withdrawn: tuple[tuple[int, int], ...] = ()
    expires_at: float = 0.0  # when the last of the older answers expires; 0: there was none


NEVER = CachedAnswers()


def after_publish(cached: CachedAnswers, serial: int, ttl: int | None) -> CachedAnswers:
    """Return the cached answers after a snapshot has the address with `ttl`, or not (None)."""
    before = cached.ttl
    if before is None or (ttl is not None and ttl >= before):  # older answers expire no later
        return replace(cached, ttl=ttl)
    return replace(cached, ttl=ttl, withdrawn=(*cached.withdrawn, (serial, before)))


def after_applied(cached: CachedAnswers, serial: int, at: float) -> CachedAnswers:
    """Return the cached answers when all workers have applied `serial`, at the latest at `at`."""
    applied = [ttl for withdrawn_in, ttl in cached.withdrawn if withdrawn_in <= serial]
    if not applied:
        return cached
    rest = tuple(item for item in cached.withdrawn if item[0] > serial)
    expires_at = max(cached.expires_at, _expiry(at, max(applied)))
    return replace(cached, withdrawn=rest, expires_at=expires_at)


def expiry(cached: CachedAnswers, now: float) -> float:
    """Return when the last withdrawn answer expires; 0: there was none."""
    pending = (_expiry(now + STALE_WORKER_SECONDS, ttl) for _, ttl in cached.withdrawn)
    return max(cached.expires_at, *pending, 0.0)


def safe_after(cached: CachedAnswers, now: float) -> float | None:
    """Return when no resolver caches the address any longer.

    None: the address is in rotation now, or never was.
    """
    return None if cached.ttl is not None else expiry(cached, now) or None


def _expiry(at: float, ttl: int) -> float:
    # Resolvers do not cache answers with TTL 0.
    return at + ttl + (TTL_ROUNDING if ttl else 0.0)
