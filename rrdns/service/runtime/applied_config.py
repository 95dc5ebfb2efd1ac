"""Keep the text of the config that is in force for a control process that is started again."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

_WHERE = struct.Struct("=QQ")


@dataclass(slots=True)
class AppliedConfig:
    """The text of the config that is in force, kept in a file that outlives the process.

    A control process that is started again takes up what was applied, not what somebody
    may be half through editing. Whoever dies while it writes leaves the one before.
    """

    fd: int

    def keep(self, text: str) -> None:
        """Keep the text in place of the one before."""
        data = text.encode()
        at, length = self._where()
        place = _WHERE.size if _WHERE.size + len(data) <= at else at + length
        if os.pwrite(self.fd, data, place) == len(data):
            os.pwrite(self.fd, _WHERE.pack(place, len(data)), 0)

    def text(self) -> str:
        """Return the text; empty when none was applied since the start."""
        at, length = self._where()
        return os.pread(self.fd, length, at).decode()

    def _where(self) -> tuple[int, int]:
        """Return where the text is, and how long."""
        found = os.pread(self.fd, _WHERE.size, 0)
        return _WHERE.unpack(found) if found else (_WHERE.size, 0)


def anonymous_file() -> int:
    """Return the descriptor of an empty file that has no name and dies with its users."""
    return os.memfd_create("rrdns-config")
