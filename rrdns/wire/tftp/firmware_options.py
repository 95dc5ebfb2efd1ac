"""The options that probes and firmware request, and the OACKs that firmware accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from rrdns.wire.tftp.packets import (
    DEFAULT_BLKSIZE,
    OptionAck,
    ReadRequest,
    encode,
)

Options = tuple[tuple[str, str], ...]  # names and values, in the order of the RRQ

_SPACED = re.compile(r"( *)[0-9]{1,18}( *)")


@lru_cache(maxsize=1024)
def read_request(file: str, options: Options) -> bytes:
    """Return the datagram of an RRQ."""
    return encode(ReadRequest(file, options=dict(options)))


@lru_cache(maxsize=64)
def limits_of(options: Options) -> tuple[Mapping[str, str], int, int]:
    """Return the options by name, and the largest block and window that they request."""
    requested = dict(options)
    blksize = int(requested.get("blksize", DEFAULT_BLKSIZE))
    return MappingProxyType(requested), blksize, int(requested.get("windowsize", 1))


@lru_cache(maxsize=16)
def probe_options(blksize: int) -> Options:
    """Return the options that a probe requests."""
    return ("tsize", "0"), ("blksize", str(blksize))


# EDK2's requests (measured): the first is for the size and ends with ERROR 8, then the file.
UEFI_SIZE: Options = ("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")
UEFI: Options = ("blksize", "1468"), ("windowsize", "4")
IPXE: Options = ("blksize", "1432"), ("tsize", "0")


def lack_of_edk2(requested: Mapping[str, str], packet: OptionAck | None) -> str:
    """Return why EDK2 would not load with this OACK, or without one; "" if it would.

    EDK2 needs the size in the reply to its first request. The second request needs no OACK
    (measured).
    """
    if "tsize" not in requested:
        has_tsize = packet is not None and "tsize" in packet.options
        return "its OACK has tsize without a request for it (RFC 2347)" if has_tsize else ""
    if packet is None:
        return "it answers without an OACK (RFC 2347), although the request has options"
    if "tsize" not in packet.options:
        return "its OACK has no tsize (RFC 2349)"
    if "tsize" not in packet.spelled:
        return "its OACK does not write tsize in lower case, as EDK2 compares it"
    return "" if int(packet.options["tsize"]) else "its OACK has tsize 0 (RFC 2349)"


def tolerates(name: str, value: str, *, edk2: bool) -> bool:
    """Return whether the firmware accepts a number with spaces around it (measured).

    iPXE accepts spaces before it. EDK2 accepts them after it, and before it only in tsize.
    """
    number = _SPACED.fullmatch(value)
    if number is None:
        return False
    before, after = bool(number[1]), bool(number[2])
    if edk2:
        return name == "tsize" or not before
    return not after
