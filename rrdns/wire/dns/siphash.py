"""SipHash-2-4, the keyed hash of DNS cookies (RFC 9018, section 4.4).

Python's own hash of bytes is a SipHash too, but its key belongs to the process.
"""

from __future__ import annotations

from struct import Struct, unpack

KEY_BYTES = 16
_M = 0xFFFF_FFFF_FFFF_FFFF
_halves = Struct("<2Q").unpack
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)

State = tuple[int, int, int, int]


def begin(key: bytes) -> State:
    """Return the state that a key of 16 bytes begins with."""
    low, high = _halves(key)
    return low ^ _START[0], high ^ _START[1], low ^ _START[2], high ^ _START[3]


def siphash(state: State, data: bytes) -> bytes:
    """Return the hash of data, as eight bytes in the order of the reference code."""
    v0, v1, v2, v3 = state
    size = len(data)
    padded = data + bytes(7 - size % 8) + bytes((size & 0xFF,))
    for word in unpack(f"<{len(padded) // 8}Q", padded):
        v3 ^= word
        # The rounds are written out in both places: a call for each would double the cost.
        for _ in (1, 2):
            v0 = v0 + v1 & _M
            v2 = v2 + v3 & _M
            v1 = (v1 << 13 & _M | v1 >> 51) ^ v0
            v3 = (v3 << 16 & _M | v3 >> 48) ^ v2
            v0 = (v0 << 32 & _M | v0 >> 32) + v3 & _M
            v2 = v2 + v1 & _M
            v1 = (v1 << 17 & _M | v1 >> 47) ^ v2
            v3 = (v3 << 21 & _M | v3 >> 43) ^ v0
            v2 = v2 << 32 & _M | v2 >> 32
        v0 ^= word
    v2 ^= 0xFF
    for _ in (1, 2, 3, 4):
        v0 = v0 + v1 & _M
        v2 = v2 + v3 & _M
        v1 = (v1 << 13 & _M | v1 >> 51) ^ v0
        v3 = (v3 << 16 & _M | v3 >> 48) ^ v2
        v0 = (v0 << 32 & _M | v0 >> 32) + v3 & _M
        v2 = v2 + v1 & _M
        v1 = (v1 << 17 & _M | v1 >> 47) ^ v2
        v3 = (v3 << 21 & _M | v3 >> 43) ^ v0
        v2 = v2 << 32 & _M | v2 >> 32
    return (v0 ^ v1 ^ v2 ^ v3).to_bytes(8, "little")
