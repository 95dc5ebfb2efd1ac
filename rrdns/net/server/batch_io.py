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
from functools import cache, partial
from typing import Any, NamedTuple

BATCH = 64  # datagrams in one call; more brings nothing
QUICK_BYTES = 512  # datagrams up to here take the quickest way
DATA_BYTES = 1536  # of one datagram; what is longer is cut off, and then malformed
# A slot is an odd number of cache lines, or all slots would compete for the same few.
_ADDRESS_BYTES = 64  # the address ends where the data begin
_STRIDE = _ADDRESS_BYTES + DATA_BYTES
CONTROL_BYTES = 64  # room for one packet-info message
CMSG_HEADER_BYTES = 16
_MSG_WAITFORONE = 0x10000
_LINK_LOCAL = 0xFE  # the first byte of fe80::/10
_MULTICAST = 0xFF  # the first byte of ff00::/8


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


class Slot(NamedTuple):
    """Where the parts of one slot are."""

    tails: list[slice]  # of `buffer`, by the length of a datagram: that without its ID
    length: int  # in `lengths`
    size: int  # in `sizes`
    data: int  # in `buffer`: where the datagram begins
    address: int | slice  # in `addresses`
    source: slice  # of `buffer`: the source address with the port, and the ID


@cache
def _slots_of(family: int) -> tuple[Slot, ...]:
    """Return the slots of a batch.

    They say where things are and not what is there, so all batches of a family share them: on its
    own each would take 26 ms and 4 MB.
    """
    word, size = ctypes.sizeof(ctypes.c_uint32), ctypes.sizeof(ctypes.c_size_t)
    name_bytes = SOCKADDR_BYTES[socket.AddressFamily(family)]
    where = ADDRESS_IN_NAME[socket.AddressFamily(family)]
    slots = []
    for number in range(BATCH):
        data = number * _STRIDE + _ADDRESS_BYTES
        name = data - name_bytes
        address = slice(name + where.start, name + where.stop)
        slot = Slot(
            tails=_tails(data),
            length=(number * ctypes.sizeof(Mmsghdr) + Mmsghdr.length.offset) // word,
            size=(number * ctypes.sizeof(Iovec) + Iovec.length.offset) // size,
            data=data,
            address=address.start // word if family == socket.AF_INET else address,
            source=slice(name, data + 2),
        )
        slots.append(slot)
    return tuple(slots)


@cache
def _rows_of(family: int) -> tuple[tuple[tuple[Any, ...], ...], ...]:
    """Return the slots by how many of them are used, as tuples that are unpacked quickly."""
    rows = tuple(map(tuple, _slots_of(family)))
    return tuple(rows[:count] for count in range(BATCH + 1))


@cache
def _tails(data: int) -> list[slice]:
    """Return a slot's datagram without its ID, by its length."""
    return [slice(data + 2, data + max(2, end)) for end in range(QUICK_BYTES + 1)]


class PacketInfo(NamedTuple):
    """How an address family shows which local address a datagram was sent to."""

    level: int
    kind: int
    control_bytes: int  # CMSG_SPACE of the message
    interface: int  # where in the control bytes the interface's index is


PACKET_INFO = {
    socket.AF_INET: PacketInfo(socket.IPPROTO_IP, 8, 32, 16),  # IP_PKTINFO, ip(7)
    socket.AF_INET6: PacketInfo(socket.IPPROTO_IPV6, 50, 40, 32),  # IPV6_PKTINFO, ipv6(7)
}
SOCKADDR_BYTES = {socket.AF_INET: 16, socket.AF_INET6: 28}
# Where in a sockaddr_in(6) the address is (ip(7), ipv6(7)).
ADDRESS_IN_NAME = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}


Calls = tuple[Callable[..., int], Callable[..., int]]  # recvmmsg and sendmmsg


def _load(*, use_errno: bool) -> Calls:
    # Receiving waits, so it lets other threads run (CDLL); sending never does, and giving the
    # interpreter's lock away and taking it back would cost a tenth of the call (PyDLL).
    receiving = ctypes.CDLL(None, use_errno=use_errno)
    sending = ctypes.PyDLL(None, use_errno=use_errno)
    return receiving.recvmmsg, sending.sendmmsg


# Keeping errno costs a tenth of a call that fetches little, so the usual calls do without
# it; one that fails is made once more with it, to learn why.
_quick = _load(use_errno=False)
_view = _load(use_errno=True)


class DatagramBatch:
    """Room for a batch of datagrams, and the calls that fill and empty it."""

    def __init__(self, sock: socket.socket, *, packet_info: bool) -> None:
        family = socket.AddressFamily(sock.family)
        self._address = SOCKADDR_BYTES[family]
        self._info = PACKET_INFO[family] if packet_info else None
        # Of the local addresses, if they are IPv6: it shows a link-local one.
        self._first_bytes: memoryview | None = None
        self.buffer = mmap.mmap(-1, BATCH * _STRIDE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
        # Where source addresses are read. An IPv4 address is a word, which is quicker than a slice.
        self.addresses: Any = self.buffer
        if family == socket.AF_INET:
            self.addresses = memoryview(self.buffer).cast("I")
        self._control = (ctypes.c_char * (BATCH * CONTROL_BYTES))()
        self._incoming, _ = incoming = self._headers(base)
        self._outgoing, iovecs = self._headers(base)
        self.lengths = memoryview(incoming[0]).cast("B").cast("I")
        self.sizes = memoryview(iovecs).cast("B").cast("L")
        self.slots, self.rows_of = _slots_of(family), _rows_of(family)
        self._prepare_control()
        self._keep = (incoming, iovecs)  # the kernel is given their addresses
        self._fd = fd = sock.fileno()
        into = ctypes.byref(self._incoming)
        # Waits for one datagram and takes what else is there; not above 0: ask `why_not`.
        self.receive = partial(_quick[0], fd, into, BATCH, _MSG_WAITFORONE, None)
        self._look_again = partial(_view[0], fd, into, BATCH, socket.MSG_DONTWAIT, None)
        self._send = _view[1]
        self._from = [
            ctypes.byref(self._outgoing, slot * ctypes.sizeof(Mmsghdr)) for slot in range(BATCH)
        ]
        # One per number of datagrams: sends them all and returns how many went.
        self.send_all = tuple(
            partial(_quick[1], fd, self._from[0], count, socket.MSG_DONTWAIT)
            for count in range(BATCH + 1)
        )

    def receive_error(self) -> tuple[int, int]:
        """Return what came after all since `receive` had nothing, and else the errno."""
        count = self._look_again()
        return (count, 0) if count > 0 else (0, ctypes.get_errno())

    def reset_control(self) -> None:
        """Give the kernel the room again that it wrote its use of into; before `receive`."""
        self._sizes_of_control[self._control_at :: self._control_step] = self._full

    def empty_broadcasts(self, count: int) -> None:
        """Empty the datagrams that were sent to a broadcast or multicast address.

        Every worker and every host receives those; an empty datagram gets no answer and no turn.
        """
        if count == 1:  # most batches, and so without a call and a loop
            if self._first_bytes is not None:
                if self._first_bytes[0] != _MULTICAST:
                    return
            elif self._interfaces[1] == self._interfaces[2]:
                return
        elif not self._has_broadcasts(count):
            return
        for slot in range(count):
            if self._is_broadcast(slot):
                self.lengths[self.slots[slot].length] = 0

    def _has_broadcasts(self, count: int) -> bool:
        """Return whether any of several datagrams was sent to many hosts, by one comparison."""
        if self._first_bytes is not None:
            return _MULTICAST in bytes(self._first_bytes[: count * CONTROL_BYTES : CONTROL_BYTES])
        step, end = self._words, count * self._words
        return self._interfaces[1:end:step] != self._interfaces[2:end:step]

    def _is_broadcast(self, slot: int) -> bool:
        """Return whether a datagram was sent to many hosts.

        Over IPv4 the kernel then reports another local address than the destination (ip(7)).
        """
        if self._first_bytes is not None:
            return self._first_bytes[slot * CONTROL_BYTES] == _MULTICAST
        at = slot * self._words
        return self._interfaces[at + 1] != self._interfaces[at + 2]

    def settle_control(self, count: int) -> None:
        """Let answers leave from the address that was asked, by whatever way is open.

        A link-local address is this host's on one interface only, so it keeps that.
        """
        if self._first_bytes is not None and _LINK_LOCAL in bytes(
            self._first_bytes[: count * CONTROL_BYTES : CONTROL_BYTES]
        ):
            for slot in range(count):
                if not self._is_link_local(slot):
                    self._interfaces[slot * self._words] = 0
        else:
            self._interfaces[: count * self._words : self._words] = self._zeros[:count]

    def _is_link_local(self, slot: int) -> bool:
        """Return whether a datagram was sent to an address in fe80::/10 (RFC 4291, section 2.4)."""
        first, at = self._first_bytes, slot * CONTROL_BYTES
        return first is not None and first[at] == _LINK_LOCAL and first[at + 1] & 0xC0 == 0x80

    def send(self, first: int, end: int) -> int:
        """Send the slots from `first` to before `end`; return how many could not be sent.

        A full buffer or a missing route costs the answer it meets, and none behind it.
        """
        lost = 0
        while first < end:
            sent = self._send(self._fd, self._from[first], end - first, socket.MSG_DONTWAIT)
            if sent > 0:
                first += sent
            elif ctypes.get_errno() != errno.EINTR:
                lost += 1
                first += 1
        return lost

    def _headers(self, base: int) -> tuple[Any, Any]:
        """Return an array of message headers over the slots, and their iovecs."""
        headers, iovecs = (Mmsghdr * BATCH)(), (Iovec * BATCH)()
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

    def _prepare_control(self) -> None:
        if self._info is None:
            return
        word = ctypes.sizeof(ctypes.c_size_t)
        self._sizes_of_control = memoryview(self._incoming).cast("B").cast("L")
        self._control_at = Msghdr.controllen.offset // word
        self._control_step = ctypes.sizeof(Mmsghdr) // word
        self._full = memoryview((ctypes.c_size_t * BATCH)(*[self._info.control_bytes] * BATCH))
        self._full = self._full.cast("B").cast("L")
        self._words = CONTROL_BYTES // 4
        self._interfaces = (
            memoryview(self._control).cast("B").cast("I")[self._info.interface // 4 :]
        )
        self._zeros = memoryview(bytes(4 * BATCH)).cast("I")
        if self._info.level == socket.IPPROTO_IPV6:
            self._first_bytes = memoryview(self._control).cast("B")[CMSG_HEADER_BYTES:]
