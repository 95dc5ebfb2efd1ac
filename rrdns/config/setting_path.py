"""Name a place in a config file, as in `pools[0].members[2].address`."""

from __future__ import annotations

from typing import TypeAlias

Loc: TypeAlias = tuple[int | str, ...]  # as pydantic names a place
SettingPath: TypeAlias = str
InvalidPaths: TypeAlias = frozenset[SettingPath]  # where a mistake has been found already


def setting_path(loc: Loc) -> SettingPath:
    """Return a place as an admin would write it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(steps).removeprefix(".")
