"""Tell times and durations as people do."""

from __future__ import annotations

from datetime import datetime


def clock_time(at: float, now: float) -> str:
    """Return a time as this host's clock shows it, with the date when it is another day."""
    there, here = datetime.fromtimestamp(at).astimezone(), datetime.fromtimestamp(now).astimezone()
    return there.strftime("%H:%M:%S" if there.date() == here.date() else "%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
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
