"""Read the clock that admins and NTP servers cannot set.

CLOCK_BOOTTIME also counts while the machine is suspended, as the caches of resolvers do. It starts
at 0 with each boot, so times on disk need the boot's id, too.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boottime() -> float:
    """Return the seconds since this machine was booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the id of this boot; empty if it cannot be read."""
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""
