"""Roles of the admin API, and the tokens that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Role(StrEnum):
    """What a caller may do; each role includes the ones before it."""

    rank: int  # a role includes those of a lower rank

    VIEWER = "viewer", 0  # read
    OPERATOR = "operator", 1  # drain and resume
    ADMIN = "admin", 2  # force up and down

    def __new__(cls, value: str, rank: int) -> Self:
        """Make a role of its word and its rank."""
        role = str.__new__(cls, value)
        role._value_ = value
        role.rank = rank
        return role


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, known by its hash only."""

    name: str
    role: Role
    sha256: str  # lower-case hex
