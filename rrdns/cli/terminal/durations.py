"""Format times and durations for people, and read times that people write."""

from __future__ import annotations

import re
from datetime import datetime, timedelta


def clock_time(at: float, now: float) -> str:
    """Return a time as this host's clock shows it, with the date when it is another day."""
    there, here = datetime.fromtimestamp(at).astimezone(), datetime.fromtimestamp(now).astimezone()
    return there.strftime("%H:%M:%S" if there.date() == here.date() else "%Y-%m-%d %H:%M:%S")


def parse_start(text: str, now: datetime | None = None) -> str:
    """Return the start of an order as the API takes it. "22:00" is the next 22:00 on this host.

    Raises:
        ValueError: the text is not a time.
    """
    from rrdns.timeformat import start_of

    if text.startswith("+"):
        start_of(text, 0.0)
        return text
    try:
        return parse_moment(text, now)
    except ValueError as error:
        raise ValueError(f"{error}, or +2h") from None


def parse_moment(text: str, now: datetime | None = None) -> str:
    """Return a time of this host as the API takes it. "22:00" is the next 22:00 after `now`.

    Raises:
        ValueError: the text is not a time.
    """
    from rrdns.timeformat import rfc3339

    now = now or datetime.now().astimezone()
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", text)
    if clock:
        hour, minute, second = (int(part or 0) for part in clock.groups())
        at = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
        # As local time, since summer time may begin or end in between.
        at = at if at > now else (at.replace(tzinfo=None) + timedelta(days=1)).astimezone()
        return rfc3339(at.timestamp())
    try:
        return rfc3339(datetime.fromisoformat(text).astimezone().timestamp())
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time; write it as 22:00 or 2026-01-31T22:00") from None


def format_duration(seconds: float) -> str:
    """Return a duration in its largest one or two units: "4.2 s", "3 min 20 s", "2 h"."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for unit, size, below, of in _UNITS:
        if whole >= size:
            rest = whole % size // of
            return f"{whole // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def milliseconds(seconds: float) -> str:
    """Return a short duration in milliseconds."""
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
