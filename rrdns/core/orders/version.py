"""The version of what an admin decides on: it changes with the order in force and the reason.

Counters and probe times are left out. No decision rests on them, and with them a version would be
out of date within a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.model import Member, Override, ScheduledOverride


def member_version(
    member: Member,
    reason: EligibilityReason,
    override: Override | None,
    scheduled: ScheduledOverride | None,
) -> str:
    """Return the version of one member, 24 hex digits."""
    return _digest(repr((member.name, member.address, reason.value, override, scheduled)))


def pool_version(member_versions: Iterable[str]) -> str:
    """Return the version of a pool: it changes when the version of any member does."""
    return _digest("\n".join(member_versions))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
