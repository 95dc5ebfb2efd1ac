"""Many datagrams in one system call, for the benchmark's own clients (recvmmsg(2), sendmmsg(2))."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Sequence

MSG_DONTWAIT = socket.MSG_DONTWAIT
MSG_WAITFORONE = 0x10000
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
LARGEST = 1500  # bytes of an answer that we look at
CONTROL_BYTES = 64  # one timestamp


class Iovec(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    """struct msghdr."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = [("header", Msghdr), ("length", ctypes.c_uint32)]


_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = [
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_uint,
    ctypes.c_int,
    ctypes.c_void_p,
]
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


class Outbox:
    """Datagrams laid out to be sent again and again, in turn, over a connected socket."""

    def __init__(self, datagrams: Sequence[bytes]) -> None:
        self._count = len(datagrams)
        self._bytes = bytearray(b"".join(datagrams))
        self._at = 0
        base = ctypes.addressof((ctypes.c_char * len(self._bytes)).from_buffer(self._bytes))
        self._iovecs = (Iovec * self._count)()
        self._headers = (Mmsghdr * self._count)()
        self._offsets = []
        offset = 0
        for number, datagram in enumerate(datagrams):
            self._offsets.append(offset)
            self._iovecs[number].base = base + offset
            self._iovecs[number].length = len(datagram)
            self._headers[number].header.iov = ctypes.pointer(self._iovecs[number])
            self._headers[number].header.iovlen = 1
            # Datagrams that differ in nothing else still need IDs of their own.
            self._bytes[offset : offset + 2] = (number & 0xFFFF).to_bytes(2, "big")
            offset += len(datagram)
        self._base = ctypes.addressof(self._headers)

    def send(self, sock: socket.socket, most: int) -> int:
        """Send up to `most` of the next datagrams in one call; return how many went out."""
        room = min(most, self._count - self._at)
        place = self._base + self._at * ctypes.sizeof(Mmsghdr)
        sent: int = _sendmmsg(sock.fileno(), place, room, 0)
        if sent < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._at = (self._at + sent) % self._count
        return sent


class Inbox:
    """Room for a batch of answers, with their times of arrival if the socket tells them."""

    def __init__(self, size: int = 64) -> None:
        self.size = size
        self._data = (ctypes.c_char * (LARGEST * size))()
        self._control = (ctypes.c_char * (CONTROL_BYTES * size))()
        self._iovecs = (Iovec * size)()
        self._headers = (Mmsghdr * size)()
        for number in range(size):
            self._iovecs[number].base = ctypes.addressof(self._data) + number * LARGEST
            self._iovecs[number].length = LARGEST
            header = self._headers[number].header
            header.iov = ctypes.pointer(self._iovecs[number])
            header.iovlen = 1
            header.control = ctypes.addressof(self._control) + number * CONTROL_BYTES
            header.controllen = CONTROL_BYTES
        self.view = memoryview(self._data).cast("B")
        self.stamps = memoryview(self._control).cast("B").cast("q")

    def receive(self, sock: socket.socket, flags: int) -> int:
        """Receive what is there, at most one batch; return how many, 0 for none in time."""
        got: int = _recvmmsg(sock.fileno(), ctypes.addressof(self._headers), self.size, flags, None)
        if got >= 0:
            return got
        number = ctypes.get_errno()
        if number in (11, 4):  # EAGAIN (also SO_RCVTIMEO's end) and EINTR
            return 0
        raise OSError(number, os.strerror(number))

    def datagram(self, number: int) -> bytes:
        """Return one answer of the last batch."""
        return bytes(self.view[number * LARGEST : number * LARGEST + self._headers[number].length])

    def identity(self, number: int) -> int:
        """Return the ID of one answer of the last batch."""
        place = number * LARGEST
        return self.view[place] << 8 | self.view[place + 1]

    def arrived(self, number: int) -> int:
        """Return when an answer arrived, as the kernel saw it: Unix time in nanoseconds."""
        # struct cmsghdr is 16 bytes here (length, level, type); struct timespec follows.
        place = number * (CONTROL_BYTES // 8) + 2
        return self.stamps[place] * 1_000_000_000 + self.stamps[place + 1]


def connected(host: str, port: int, *, timestamps: bool = False) -> socket.socket:
    """Return a UDP socket that talks to one server and gives up waiting after 0.2 s."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    # struct timeval of 0.2 s: recvmmsg in blocking mode then returns by itself.
    wait = (0).to_bytes(8, "little") + (200_000).to_bytes(8, "little")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
    if timestamps:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.connect((host, port))
    return sock
