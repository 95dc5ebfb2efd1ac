"""The messages between the control process and its workers, as bytes.

Each message is one JSON object behind its length (4 bytes, big-endian). Control sends
`full` when a worker comes, then `change` after each publication; a worker answers each
with `applied`. What it counts is not told: see shm/counters.py.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from rrdns.core.snapshot import Snapshot, SnapshotDelta
from rrdns.wire.snapshot_json import rrset_from_json, snapshot_from_json, snapshot_to_json

LENGTH_BYTES = 4
MAX_BYTES = 256 * 1024 * 1024  # of one message: far above 100,000 pools


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker introduces itself."""

    worker: int
    serial: int  # of the snapshot it serves now; 0 when it has none
    pid: int


@dataclass(frozen=True, slots=True)
class Applied:
    """A worker answers from this snapshot from now on."""

    serial: int


Message = Hello | Applied | Snapshot | SnapshotDelta


def encode(message: Message) -> bytes:
    """Return the message as it goes over the channel, length included."""
    body = json.dumps(_to_json(message), separators=(",", ":")).encode()
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes) -> Message:
    """Return the message in a body (without its length).

    Raises:
        ValueError: the body is no message of ours.
    """
    try:
        value = json.loads(body)
        return _from_json(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message: {error!r}") from error


_KINDS = {SnapshotDelta: "change", Hello: "hello", Applied: "applied"}


def _to_json(message: Message) -> dict[str, Any]:
    if isinstance(message, Snapshot):
        return {"is": "full", **snapshot_to_json(message)}
    return {"is": _KINDS[type(message)], **asdict(message)}


def _from_json(value: dict[str, Any]) -> Message:
    kind = value.pop("is")
    match kind:
        case "full":
            return snapshot_from_json(value)
        case "change":
            return SnapshotDelta(
                serial=value["serial"],
                rrsets=tuple(rrset_from_json(item) for item in value["rrsets"]),
                removed=tuple(value["removed"]),
            )
        case "hello":
            return Hello(**value)
        case "applied":
            return Applied(**value)
        case _:
            raise ValueError(f"not a message: {kind!r}")
