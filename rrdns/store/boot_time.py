"""Read the clock that no admin and no NTP server can set.

CLOCK_BOOTTIME counts on while the machine is suspended, as the caches of resolvers elsewhere do.
It begins anew with each boot, so what is kept on disk needs the boot's id beside it.
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
    """Return what tells this boot from any other; empty when that cannot be read."""
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""
