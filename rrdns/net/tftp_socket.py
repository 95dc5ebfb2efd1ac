"""The UDP socket of a TFTP probe, and the ICMP errors that it reports."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

from rrdns.wire.tftp.packets import Address

# An unconnected socket gets ICMP errors only with this option (ip(7), IP_RECVERR).

_IP_RECVERR = 11  # not in the socket module
_EXTENDED_ERROR = struct.Struct("=I")  # of struct sock_extended_err only ee_errno matters
_ANCILLARY_BYTES = 128
_MAX_ERRORS = 16  # read at once


def is_ipv4(address: str) -> bool:
    """Return whether a text is an IPv4 address."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError:
        return False
    return True


def open_socket() -> socket.socket:
    """Return a socket on a free port that reports ICMP errors (IP_RECVERR)."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return opened


def icmp_errors(opened: socket.socket) -> Iterator[tuple[int, Address]]:
    """Yield the error number and the destination of each packet with an ICMP error."""
    for _ in range(_MAX_ERRORS):
        try:
            _, ancillary, _, destination = opened.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
        except OSError:
            return
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR):
                yield _EXTENDED_ERROR.unpack_from(data)[0], destination


def reason_of(number: int | None) -> str:
    """Return an error number of the operating system in words."""
    if number == errno.EAGAIN:
        return "no source port is free"
    return os.strerror(number) if number else "unknown error"
