"""What a lab server may do wrong: one frozen value, changed as a whole while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """A point in a transfer."""

    REQUEST = "request"  # in reply to the RRQ
    OPTIONS = "options"  # after the OACK, in place of the first block
    DATA = "data"  # in mid-transfer, in place of the second block


@dataclass(frozen=True, slots=True)
class Faults:
    """The ways in which a server misbehaves; by default it does not. Durations in seconds."""

    silent: bool = False  # it hears, and never answers
    reply_from: str | None = None  # answers come from this other local address
    ignore_options: bool = False  # no OACK, 512-byte blocks: old PVS; not a fault, in truth
    tsize: int | None = None  # what it announces, whatever the file has
    blksize: int | None = None  # what it accepts and sends, whatever was asked for
    odd_option: str | None = None  # an option that it accepts although nobody asked
    first_block: int = 1  # the number that it begins to count with
    ends_after: int | None = None  # bytes; the file is cut there
    stalls_after: int | None = None  # blocks; then silence in mid-transfer
    endless: bool = False  # the file begins anew at its end, for ever
    duplicates: int = 0  # times that each packet is sent once more, at once
    late: float = 0.0  # each packet comes once more after this time
    slow: float = 0.0  # each packet comes only after this time
    error_at: Step | None = None  # where it ends the transfer with an ERROR
    error_code: int = 0
    error_text: str = "made to fail"
    garbage: bool = False  # it replies with what is no TFTP
    flood: int = 0  # DATA packets from another port beside each packet


NONE = Faults()
