"""Know in every process which zones this rrdns serves, or has served since its start.

A snapshot on disk may be another one's: the store was copied from a host with other zones, or
shared before two were refused. A worker that starts without the control process must not answer
from it, since it would refuse the very names that it is there for.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from hashlib import sha256

from rrdns.core.model import Zone

_DIGEST_BYTES = 32


class ServedZones:
    """The zones in force and those before the last reload, in memory that processes share."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._shared = mmap.mmap(-1, 2 * _DIGEST_BYTES)
        digest = _digest(zones)
        self._shared[:] = digest + digest

    def replace(self, zones: Iterable[Zone]) -> None:
        """Take over what a reload has made of the zones; call it before they are published.

        The ones before count on: until it is written anew, the snapshot on disk is theirs.
        """
        digest, current = _digest(zones), self._shared[:_DIGEST_BYTES]
        if digest != current:
            self._shared[:] = digest + current

    def include(self, zones: Iterable[Zone]) -> bool:
        """Tell whether a snapshot with these zones was made for this rrdns."""
        digest = _digest(zones)
        return digest in (self._shared[:_DIGEST_BYTES], self._shared[_DIGEST_BYTES:])


def _digest(zones: Iterable[Zone]) -> bytes:
    return sha256("\n".join(sorted(zone.name for zone in zones)).encode()).digest()
