"""Roles of the admin API, and the tokens that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do; each role includes the ones before it."""

    VIEWER = "viewer"  # read
    OPERATOR = "operator"  # drain and resume
    ADMIN = "admin"  # force up and down

    def may_act_as(self, needed: Role) -> bool:
        """Return whether this role includes the other."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, known by its hash only."""

    name: str
    role: Role
    sha256: str  # lower-case hex
