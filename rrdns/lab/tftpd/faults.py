"""What a lab server may do wrong: one frozen value, changed as a whole while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
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


_READ: dict[str, Callable[[str], object]] = {
    "int": int,
    "int | None": int,
    "float": float,
    "str": str,
    "str | None": str,
    "Step | None": Step,
}


def read_faults(words: Iterable[str]) -> Faults:
    """Return the faults that words such as "silent", "slow=0.5" or "error-at=data" ask for.

    Raises:
        ValueError: a word names none, or its value is not fit.
    """
    kinds = {field.name: str(field.type) for field in fields(Faults)}
    wanted: dict[str, object] = {}
    for word in words:
        name, given, value = word.partition("=")
        key = name.replace("-", "_")
        if key not in kinds:
            raise ValueError(f"{name!r} is no fault; there are: {', '.join(fault_names())}")
        if bool(given) == (kinds[key] == "bool"):
            raise ValueError(f"write the fault {name!r} as {_example(key, kinds[key])}")
        try:
            wanted[key] = _READ[kinds[key]](value) if given else True
        except ValueError as error:
            said = f"{value!r} does not fit; write it as {_example(key, kinds[key])}"
            raise ValueError(f"{name}: {said}") from error
    return Faults(**wanted)  # type: ignore[arg-type]  # each was read as its field's type


def fault_names() -> list[str]:
    """Return what a server may do wrong, as `read_faults` takes it."""
    return [_example(field.name, str(field.type)) for field in fields(Faults)]


def _example(key: str, kind: str) -> str:
    values = {"bool": "", "float": "=0.5", "str": "=TEXT", "str | None": "=TEXT"}
    value = f"={'|'.join(Step)}" if kind == "Step | None" else values.get(kind, "=1")
    return key.replace("_", "-") + value
