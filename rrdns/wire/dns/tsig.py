"""Say to a signed query that we know no key (RFC 8945, section 5.2.1).

rrdns has no keys: nothing here is secret, and nothing can be changed over DNS. The asker
is told so in the way of the protocol, so that it need not guess why.
"""

from __future__ import annotations

from struct import Struct

from rrdns.wire.dns.query import TYPE_TSIG

BADKEY = 17
_head = Struct("!HHIH").unpack_from  # TYPE, CLASS, TTL, RDLENGTH
_fixed = Struct("!6sHH").unpack_from  # time signed, fudge, MAC size
_tail = Struct("!HHH").unpack_from  # original ID, error, other length


def bad_key(record: bytes) -> bytes | None:
    """Return the unsigned TSIG record that answers one with a key we do not know.

    None where the record is malformed, or its names are compressed: then there is no way
    to repeat them.
    """
    data = _end_of_name(record, 0)
    if not data or data + 10 > len(record):
        return None
    _, rclass, _, _ = _head(record, data)
    algorithm = data + 10
    at = _end_of_name(record, algorithm)
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


def _end_of_name(record: bytes, at: int) -> int:
    """Return where an uncompressed name ends; 0 where it is not one."""
    start = at
    while at < len(record) and at - start < 255:
        length = record[at]
        if length == 0:
            return at + 1
        if length > 63:
            return 0
        at += length + 1
    return 0
