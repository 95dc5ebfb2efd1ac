"""The faults of a lab server: one frozen value, replaced as a whole while the server runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from enum import StrEnum


class Step(StrEnum):
    """A point in a transfer."""

    REQUEST = "request"  # in reply to the RRQ
    OPTIONS = "options"  # after the OACK, in place of the first block
    DATA = "data"  # during the transfer, in place of the second block


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a server; by default it has none. Durations are in seconds."""

    silent: bool = False  # it receives packets, and never replies
    reply_from: str | None = None  # replies come from this other local address
    ignore_options: bool = False  # no OACK, 512-byte blocks, as old PVS does; this is allowed
    tsize: int | None = None  # the size that it announces, instead of the file's size
    blksize: int | None = None  # the block size that it accepts and uses, instead of the requested
    odd_option: str | None = None  # an option that it accepts without a request for it
    first_block: int = 1  # the number of its first block
    ends_after: int | None = None  # bytes; the file is cut there
    stalls_after: int | None = None  # blocks; then it sends nothing more
    endless: bool = False  # after its end the file begins again, without limit
    duplicates: int = 0  # additional copies of each packet, sent at once
    late: float = 0.0  # each packet is sent again after this time
    slow: float = 0.0  # each packet is sent only after this time
    error_at: Step | None = None  # the step in which it sends an ERROR
    error_code: int = 0
    error_text: str = "made to fail"
    garbage: bool = False  # it replies with a packet that is not TFTP
    flood: int = 0  # DATA packets from another port with each packet


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
    """Return the faults from words such as "silent", "slow=0.5" or "error-at=data".

    Raises:
        ValueError: a word is not the name of a fault, or its value is not valid.
    """
    kinds = {field.name: str(field.type) for field in fields(Faults)}
    values: dict[str, object] = {}
    for word in words:
        name, given, value = word.partition("=")
        key = name.replace("-", "_")
        if key not in kinds:
            raise ValueError(f"unknown fault {name!r}; there are: {', '.join(fault_names())}")
        if bool(given) == (kinds[key] == "bool"):
            raise ValueError(f"write the fault {name!r} as {_example(key, kinds[key])}")
        try:
            values[key] = _READ[kinds[key]](value) if given else True
        except ValueError as error:
            problem = f"{value!r} is not valid; write it as {_example(key, kinds[key])}"
            raise ValueError(f"{name}: {problem}") from error
    return Faults(**values)  # type: ignore[arg-type]  # each was read as its field's type


def fault_names() -> list[str]:
    """Return the names of all faults with example values, as `read_faults` takes them."""
    return [_example(field.name, str(field.type)) for field in fields(Faults)]


def _example(key: str, kind: str) -> str:
    values = {"bool": "", "float": "=0.5", "str": "=TEXT", "str | None": "=TEXT"}
    value = f"={'|'.join(Step)}" if kind == "Step | None" else values.get(kind, "=1")
    return key.replace("_", "-") + value
