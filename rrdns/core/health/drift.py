"""Compare the boot files of a pool's members. A difference is a warning and changes no answer.

Members may differ for good reasons: each bootstrap contains its own login servers. So drift is
not a verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rrdns.core.health.probe_result import LoadedFile


@dataclass(frozen=True, slots=True)
class Drift:
    """A member whose file differs from that of most members of its pool."""

    member: str
    file: str
    sentence: str


def find_drift(seen: Mapping[str, tuple[LoadedFile, ...]]) -> tuple[Drift, ...]:
    """Return the members whose file differs from that of most; `seen` is by member name.

    Without a majority, the others are compared with the first member.
    """
    names = sorted({file.name for files in seen.values() for file in files})
    return tuple(drift for name in names for drift in _drift_of(name, seen))


def _drift_of(name: str, seen: Mapping[str, tuple[LoadedFile, ...]]) -> tuple[Drift, ...]:
    by_member = {
        member: file for member, files in seen.items() for file in files if file.name == name
    }
    # Counter keeps the order of insertion, so in a tie the first member's hash wins.
    usual_hash = Counter(file.sha256 for file in by_member.values()).most_common(1)[0][0]
    usual = next(file for file in by_member.values() if file.sha256 == usual_hash)
    return tuple(
        Drift(member, name, _sentence(member, file, usual))
        for member, file in by_member.items()
        if file.sha256 != usual_hash
    )


def _sentence(member: str, file: LoadedFile, usual: LoadedFile) -> str:
    if file.version != usual.version:
        how = f"version {file.version or 'unknown'} instead of {usual.version or 'unknown'}"
    elif file.size != usual.size:
        how = f"{file.size} bytes instead of {usual.size}"
    else:
        how = f"SHA-256 {file.sha256[:12]}... instead of {usual.sha256[:12]}..."
    return f"{member} serves another {file.name} than the other members: {how}"
