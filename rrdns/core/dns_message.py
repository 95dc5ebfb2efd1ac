"""What a DNS server said to a question, in words; or that it said nothing.

Names and data are text as `wire.client` reads it: with the final dot, in the case it came in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """A resource record in words."""

    name: str
    ttl: int
    type: str
    data: str

    def __str__(self) -> str:
        return f"{self.name} {self.ttl} {self.type} {self.data}"


@dataclass(frozen=True, slots=True)
class ExtendedError:
    """Why a server answers as it does (RFC 8914)."""

    code: int
    name: str  # of the code, as IANA registers it
    text: str = ""  # what the server adds

    def __str__(self) -> str:
        return f"{self.name} ({self.code}){f': {self.text}' if self.text else ''}"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer in words."""

    rcode: str  # "NOERROR" ...
    flags: tuple[str, ...]  # "aa", "tc", "rd", "ra"
    answer: tuple[ResourceRecord, ...]
    authority: tuple[ResourceRecord, ...]
    additional: tuple[ResourceRecord, ...]
    payload_bytes: int
    extended_errors: tuple[ExtendedError, ...] = ()

    @property
    def truncated(self) -> bool:
        """Tell whether the whole answer has to be asked for over TCP."""
        return "tc" in self.flags

    def data(self, rtype: str) -> tuple[str, ...]:
        """Return the data of the answer's records of a type, in their order."""
        return tuple(record.data for record in self.answer if record.type == rtype)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """No answer came, or none that can be read."""

    reason: str
    is_local_error: bool = False  # this host could not even ask


QueryOutcome = Response | NoResponse
