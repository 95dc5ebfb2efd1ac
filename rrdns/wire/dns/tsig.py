"""Respond to a signed query with BADKEY (RFC 8945, section 5.2.1).

rrdns has no keys: nothing here is secret, and nothing can be changed over DNS.
"""

from __future__ import annotations

from struct import Struct

from rrdns.wire.dns.names import MAX_NAME_BYTES, end_of_name
from rrdns.wire.dns.query import TYPE_TSIG

BADKEY = 17
_head = Struct("!HHIH").unpack_from  # TYPE, CLASS, TTL, RDLENGTH
_fixed = Struct("!6sHH").unpack_from  # time signed, fudge, MAC size
_tail = Struct("!HHH").unpack_from  # original ID, error, other length


def bad_key(record: bytes) -> bytes | None:
    """Return the unsigned TSIG record with which to respond to one with an unknown key.

    None if the record is malformed, or its names are compressed and so cannot be repeated.
    """
    data = _end(record, 0)
    if not data or data + 10 > len(record):
        return None
    _, rclass, _, _ = _head(record, data)
    algorithm = data + 10
    at = _end(record, algorithm)
    if not at or at + 10 > len(record) or rclass != 255:
        return None
    signed, fudge, mac = _fixed(record, at)
    if at + 10 + mac + 6 > len(record):
        return None
    original, _, other = _tail(record, at + 10 + mac)
    if at + 10 + mac + 6 + other != len(record):
        return None
    rdata = b"".join(
        (
            record[algorithm:at],
            signed,
            fudge.to_bytes(2, "big"),
            b"\0\0",  # no MAC
            original.to_bytes(2, "big"),
            BADKEY.to_bytes(2, "big"),
            b"\0\0",
        )
    )
    head = TYPE_TSIG.to_bytes(2, "big") + b"\0\xff\0\0\0\0" + len(rdata).to_bytes(2, "big")
    return record[:data] + head + rdata


def _end(record: bytes, at: int) -> int:
    """Return where an uncompressed name ends; 0 if it is malformed."""
    end = end_of_name(record, at)
    return end if end - at <= MAX_NAME_BYTES else 0
