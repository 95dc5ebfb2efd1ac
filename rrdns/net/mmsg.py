"""Receive and send many datagrams in one system call (recvmmsg(2), sendmmsg(2)).

All buffers lie in one anonymous mapping: a slice of it is `bytes` at once, and assigning to
a slice writes an answer in place, behind the ID that stays where it is. The arrays for
receiving and for sending are two, over the same buffers and addresses, so that nothing
has to be set back between two batches but what the kernel itself overwrites.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

BATCH = 64  # datagrams in one call; more brings nothing
DATA_BYTES = 1536  # of one datagram; what is longer is cut off, and then malformed
# A slot is an odd number of cache lines, or all slots would compete for the same few.
_ADDRESS_BYTES = 64  # the address ends where the data begin
_STRIDE = _ADDRESS_BYTES + DATA_BYTES
CONTROL_BYTES = 64  # room for one packet-info message
CMSG_HEADER_BYTES = 16
_MSG_WAITFORONE = 0x10000


class Iovec(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Msghdr(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Mmsghdr(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", Msghdr), ("length", ctypes.c_uint32))


class Row(NamedTuple):
    """Where the parts of one slot are."""

    who: int  # in `ring`: the source address, which ends in ...
    data: int  # ... the datagram
    key: int  # the datagram behind its ID
    length: int  # in `lengths`
    size: int  # in `sizes`


class PacketInfo(NamedTuple):
    """How an address family tells which local address a datagram was sent to."""

    level: int
    kind: int
    control_bytes: int  # CMSG_SPACE of the message
    interface: int  # where in the control bytes the interface's index is


PACKET_INFO = {
    socket.AF_INET: PacketInfo(socket.IPPROTO_IP, 8, 32, 16),  # IP_PKTINFO, ip(7)
    socket.AF_INET6: PacketInfo(socket.IPPROTO_IPV6, 50, 40, 32),  # IPV6_PKTINFO, ipv6(7)
}
SOCKADDR_BYTES = {socket.AF_INET: 16, socket.AF_INET6: 28}


def _system_calls() -> tuple[Callable[..., int], Callable[..., int]] | None:
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        return libc.recvmmsg, libc.sendmmsg
    except AttributeError:
        return None


_calls = _system_calls()


def is_available() -> bool:
    """Tell whether this system has recvmmsg and sendmmsg."""
    return _calls is not None


class Batch:
    """Room for a batch of datagrams, and the calls that fill and empty it."""

    def __init__(self, sock: socket.socket, *, packet_info: bool) -> None:
        if _calls is None:
            raise NotImplementedError("recvmmsg")
        self._receive, self._send = _calls
        family = socket.AddressFamily(sock.family)
        self._address = SOCKADDR_BYTES[family]
        self._info = PACKET_INFO[family] if packet_info else None
        self.ring = mmap.mmap(-1, BATCH * _STRIDE)
        self._keep: list[Any] = []  # ctypes arrays that the kernel is given addresses of
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.ring))
        self._control = (ctypes.c_char * (BATCH * CONTROL_BYTES))()
        incoming, _ = self._headers(base)
        outgoing, out_iovecs = self._headers(base)
        self.lengths = memoryview(incoming).cast("B").cast("I")
        self._sizes_of_control = memoryview(incoming).cast("B").cast("L")
        self.sizes = memoryview(out_iovecs).cast("B").cast("L")
        self.rows = tuple(self._row(slot) for slot in range(BATCH))
        self.rows_of = tuple(self.rows[:count] for count in range(BATCH + 1))
        self._prepare_control()
        self._fd = ctypes.c_int(sock.fileno())
        self._incoming = ctypes.c_void_p(ctypes.addressof(incoming))
        self._out = [
            ctypes.c_void_p(ctypes.addressof(outgoing) + slot * ctypes.sizeof(Mmsghdr))
            for slot in range(BATCH)
        ]
        self._counts = [ctypes.c_uint(count) for count in range(BATCH + 1)]
        self._wait = ctypes.c_int(_MSG_WAITFORONE)
        self._no_wait = ctypes.c_int(socket.MSG_DONTWAIT)

    def receive(self) -> int:
        """Wait for datagrams; return how many came, or -1 with the reason in errno."""
        if self._info is not None:
            self._reset_control()
        return self._receive(self._fd, self._incoming, self._counts[BATCH], self._wait, None)

    def settle(self, count: int) -> None:
        """Make a received batch ready to be sent back."""
        if self._info is not None:
            # The answer comes from the address that was asked, by whatever way is open.
            self._interfaces[: count * self._words : self._words] = self._zeros[:count]

    def send(self, first: int, end: int) -> int:
        """Send the slots from `first` to before `end`; return how many could not be sent.

        A full buffer or a missing route costs the answer it meets, and none behind it.
        """
        lost = 0
        while first < end:
            sent = self._send(self._fd, self._out[first], self._counts[end - first], self._no_wait)
            if sent == end - first:
                break
            if sent > 0:
                first += sent
            elif ctypes.get_errno() != errno.EINTR:
                lost += 1
                first += 1
        return lost

    def _headers(self, base: int) -> tuple[Any, Any]:
        """Return an array of message headers over the slots, and their iovecs."""
        headers, iovecs = (Mmsghdr * BATCH)(), (Iovec * BATCH)()
        self._keep += [headers, iovecs]
        control = ctypes.addressof(self._control)
        for slot in range(BATCH):
            data = base + slot * _STRIDE + _ADDRESS_BYTES
            iovecs[slot] = Iovec(data, DATA_BYTES)
            header = headers[slot].header
            header.name, header.namelen = data - self._address, self._address
            header.iov = ctypes.addressof(iovecs) + slot * ctypes.sizeof(Iovec)
            header.iovlen = 1
            if self._info is not None:
                header.control = control + slot * CONTROL_BYTES
                header.controllen = self._info.control_bytes
        return headers, iovecs

    def _row(self, slot: int) -> Row:
        data = slot * _STRIDE + _ADDRESS_BYTES
        word = ctypes.sizeof(ctypes.c_uint32)
        length = (slot * ctypes.sizeof(Mmsghdr) + Mmsghdr.length.offset) // word
        size = (slot * ctypes.sizeof(Iovec) + Iovec.length.offset) // ctypes.sizeof(ctypes.c_size_t)
        return Row(data - self._address, data, data + 2, length, size)

    def _prepare_control(self) -> None:
        if self._info is None:
            return
        word = ctypes.sizeof(ctypes.c_size_t)
        self._control_at = Msghdr.controllen.offset // word
        self._control_step = ctypes.sizeof(Mmsghdr) // word
        self._full = memoryview((ctypes.c_size_t * BATCH)(*[self._info.control_bytes] * BATCH))
        self._full = self._full.cast("B").cast("L")
        self._words = CONTROL_BYTES // 4
        self._interfaces = (
            memoryview(self._control).cast("B").cast("I")[self._info.interface // 4 :]
        )
        self._zeros = memoryview(bytes(4 * BATCH)).cast("I")

    def _reset_control(self) -> None:
        """Give the kernel the room again that it has written its use of into."""
        self._sizes_of_control[self._control_at :: self._control_step] = self._full
