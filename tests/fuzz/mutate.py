"""Make new inputs of old ones from a seed: where atheris is not, and for the long run."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

BYTES = (0x00, 0x01, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xC0, 0x0C, 0xFF, 0x29, 0x0A)
PAIRS = (
    b"\0\0",
    b"\0\1",
    b"\0\x29",
    b"\0\xfa",
    b"\0\xff",
    b"\x02\0",
    b"\x7f\xff",
    b"\x80\0",
    b"\xff\xff",
)
MAX_BYTES = 4096
MAX_CHANGES = 4


class Mutator:
    """Makes inputs from seeds."""

    def __init__(self, seeds: Sequence[bytes], seed: int = 0) -> None:
        self._seeds = tuple(seeds) or (b"",)
        self._dice = random.Random(seed)
        self._random = self._dice.random
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            self._flip,
            self._flip,
            self._set,
            self._set_pair,
            self._insert,
            self._delete,
            self._cut,
            self._repeat,
            self._splice,
        )

    def next(self) -> bytes:
        """Return one more input."""
        data = self._seeds[self._below(len(self._seeds))]
        for _ in range(1 + self._below(MAX_CHANGES)):
            data = self._ways[self._below(len(self._ways))](data)
        return data[:MAX_BYTES]

    def _below(self, end: int) -> int:
        return int(self._random() * end)

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._below(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self._below(8),)) + data[at + 1 :]

    def _set(self, data: bytes) -> bytes:
        at = self._below(len(data) + 1)
        return data[:at] + bytes((BYTES[self._below(len(BYTES))],)) + data[at + 1 :]

    def _set_pair(self, data: bytes) -> bytes:
        at = self._below(len(data) + 1)
        return data[:at] + PAIRS[self._below(len(PAIRS))] + data[at + 2 :]

    def _insert(self, data: bytes) -> bytes:
        at = self._below(len(data) + 1)
        return data[:at] + self._dice.randbytes(1 + self._below(8)) + data[at:]

    def _delete(self, data: bytes) -> bytes:
        at = self._below(len(data) + 1)
        return data[:at] + data[at + 1 + self._below(8) :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._below(len(data) + 1)]

    def _repeat(self, data: bytes) -> bytes:
        at = self._below(len(data) + 1)
        return data + data[at : at + 64]

    def _splice(self, data: bytes) -> bytes:
        other = self._seeds[self._below(len(self._seeds))]
        return data[: self._below(len(data) + 1)] + other[self._below(len(other) + 1) :]
