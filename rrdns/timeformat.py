"""Read and write times and durations as people and scripts give them.

Inside rrdns a time is Unix seconds and a duration is float seconds; outside a time is
RFC 3339 text in UTC and a duration is "2h", "1h30m" or a number of seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

MAX_SECONDS = 10 * 366 * 86400.0  # an order for longer is a slip of the finger

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(
    r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?", re.ASCII
)
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def rfc3339(seconds: float) -> str:
    """Return a time as RFC 3339 text in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> float:
    """Return the time that a text names.

    Raises:
        ValueError: it is no RFC 3339 time; the sentence says what would be.
    """
    if _RFC3339.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper()).timestamp()
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"{text!r} is no time; write it as 2026-01-31T12:00:00Z (RFC 3339)")


def start_of(text: str, now: float) -> float:
    """Return the time that "2026-01-31T22:00:00Z" or, from now on, "+2h" names.

    Raises:
        ValueError: it names none; the sentence says what would.
    """
    return now + duration(text[1:]) if text.startswith("+") else from_rfc3339(text)


def duration(given: str | float) -> float:
    """Return how many seconds "2h", "90s", "1h30m", "1d" or a number mean.

    Raises:
        ValueError: it means nothing, or is not above zero, or is absurdly long.
    """
    seconds = _written(given) if isinstance(given, str) else given
    if not 0.0 < seconds <= MAX_SECONDS:
        word = "long" if seconds > 0 else "short"
        raise ValueError(f"that is too {word}: an order holds for up to ten years")
    return float(seconds)


def _written(text: str) -> float:
    found = _DURATION.fullmatch(text.strip().lower())
    if not text.strip() or found is None:
        raise ValueError(f'{text!r} is no length of time; write it as "2h", "90s" or "1h30m"')
    return sum(
        float(amount) * unit
        for amount, unit in zip(found.groups(), _UNITS.values(), strict=True)
        if amount is not None
    )
