"""Find the end of a name in a message; nothing is decoded (RFC 1035, section 3.1)."""

from __future__ import annotations

MAX_NAME_BYTES = 255  # RFC 1035, section 2.3.4
MAX_LABEL_BYTES = 63
HEADER_BYTES = 12
_POINTER = 0xC0


def end_of_name(message: bytes, at: int, *, may_point: bool = False) -> int:
    """Return where a name ends; 0 if it is malformed.

    `may_point`: it may end in a pointer to a name before it, which is not followed.
    """
    start = at
    try:
        while length := message[at]:
            if length >= _POINTER and may_point:
                # Only backwards, or a reader could go round for ever.
                target = (length & 0x3F) << 8 | message[at + 1]
                return at + 2 if HEADER_BYTES <= target < start else 0
            if length > MAX_LABEL_BYTES:
                return 0
            at += length + 1
    except IndexError:
        return 0
    return at + 1
