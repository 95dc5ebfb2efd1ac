"""Compare what the members of a pool serve: differences are shown, never acted on.

Members may rightly differ (each bootstrap lists its own login servers), so drift is a
warning for people and no verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rrdns.core.health.probe_result import LoadedFile


@dataclass(frozen=True, slots=True)
class Drift:
    """A member whose file differs from what most of its pool serve."""

    member: str
    file: str
    sentence: str


def find_drift(seen: Mapping[str, tuple[LoadedFile, ...]]) -> tuple[Drift, ...]:
    """Return who serves another content than most; `seen` is by member name.

    With no majority the content that the first member in order serves is the measure.
    """
    names = sorted({file.name for files in seen.values() for file in files})
    return tuple(drift for name in names for drift in _drift_of(name, seen))


def _drift_of(name: str, seen: Mapping[str, tuple[LoadedFile, ...]]) -> tuple[Drift, ...]:
    by_member = {
        member: file for member, files in seen.items() for file in files if file.name == name
    }
    # Counter keeps the order of first sight, so a tie falls to the first member.
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
