"""The result of a probe: the verdict, the loaded files, and a sentence for admins.

`wire.tftp` and `net.tftp_prober` make these; `core.health` and the API read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProbeDepth(StrEnum):
    """How much of a file a probe loads."""

    LIGHT = "light"  # the OACK or the first block, then a clean end
    FULL = "full"  # every byte: size, hash and marker are known afterwards


class Verdict(StrEnum):
    """The result of a probe of a member."""

    OK = "ok"
    SLOW = "slow"  # passed, but the first reply was late, or there was a long pause
    TIMEOUT = "timeout"  # no packet arrived in time
    REFUSED = "refused"  # ICMP port unreachable: no process listens there
    UNREACHABLE = "unreachable"  # ICMP host or net unreachable, or no route
    TFTP_ERROR = "tftp-error"  # an ERROR packet, with its code and text
    WRONG_SOURCE = "wrong-source"  # a reply from another address than the member's
    TRUNCATED = "truncated"  # the transfer ended before `tsize` bytes
    WRONG_CONTENT = "wrong-content"  # the hash or marker is not the one in the config
    WRONG_SIZE = "wrong-size"
    BAD_REPLY = "bad-reply"  # packets that RFC 1350 and RFC 2347 do not allow
    TOO_SLOW = "too-slow"  # it replies, but the transfer takes too long
    LOCAL = "local"  # the probe could not be sent: a problem of this host


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A boot file as a full probe loaded it."""

    name: str
    size: int  # bytes
    sha256: str  # lower-case hex
    version: str = ""  # of the Provisioning Services bootstrap, if the file contains one


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe of one member, over all files of its pool."""

    verdict: Verdict
    sentence: (
        str  # for an admin: "10.0.0.11 has no file ARDBP32.BIN (TFTP error 1: File not found)"
    )
    depth: ProbeDepth
    seconds: float  # from the first packet sent to the verdict
    seen: tuple[LoadedFile, ...] = ()  # full probes only
    warnings: tuple[str, ...] = ()  # sentences; a warning never takes a member out

    @property
    def passed(self) -> bool:
        """Return whether a target could boot from the member."""
        return self.verdict in (Verdict.OK, Verdict.SLOW)
