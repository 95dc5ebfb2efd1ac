"""The response of a DNS server in text, or that there was none.

Names and data are as `wire.dns.client` decodes them: with the final dot, in the case as sent.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """A resource record in text."""

    name: str
    ttl: int
    type: str
    data: str

    def __str__(self) -> str:
        return f"{self.name} {self.ttl} {self.type} {self.data}"


@dataclass(frozen=True, slots=True)
class ExtendedError:
    """Why a server responds as it does (RFC 8914)."""

    code: int
    name: str  # of the code, as IANA registers it
    text: str = ""  # what the server adds

    def __str__(self) -> str:
        return f"{self.name} ({self.code}){f': {self.text}' if self.text else ''}"


@dataclass(frozen=True, slots=True)
class Response:
    """A response in text."""

    rcode: str  # "NOERROR" ...
    flags: tuple[str, ...]  # "aa", "tc", "rd", "ra"
    answer: tuple[ResourceRecord, ...]
    authority: tuple[ResourceRecord, ...]
    additional: tuple[ResourceRecord, ...]
    payload_bytes: int
    extended_errors: tuple[ExtendedError, ...] = ()

    @property
    def truncated(self) -> bool:
        """Return whether the whole response must be fetched over TCP."""
        return "tc" in self.flags

    def data(self, rtype: str) -> tuple[str, ...]:
        """Return the data of the answer's records of a type, in their order."""
        return tuple(record.data for record in self.answer if record.type == rtype)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """No response came, or none that can be decoded."""

    reason: str
    is_local_error: bool = False  # this host could not send the query


QueryOutcome = Response | NoResponse
