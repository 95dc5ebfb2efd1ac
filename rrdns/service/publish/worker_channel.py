"""Messages over the Unix socket between control and workers: who may send, and their framing."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from rrdns.wire import worker_protocol


def _check_owner(writer: asyncio.StreamWriter) -> None:
    """Refuse processes of other users: an abstract address has no file permissions.

    Raises:
        ValueError: the other side belongs to another user.
    """
    size = struct.calcsize("3i")
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, size
    )
    _, uid, _ = struct.unpack("3i", credentials)
    if uid != os.geteuid():
        raise ValueError(f"it belongs to user {uid}")


async def read_message(reader: asyncio.StreamReader) -> worker_protocol.Message:
    """Wait for the next message of the feed.

    Raises:
        EOFError: the other side is gone.
        ValueError: it is not a valid message.
    """
    length = int.from_bytes(await reader.readexactly(worker_protocol.LENGTH_BYTES), "big")
    if length > worker_protocol.MAX_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return worker_protocol.decode(await reader.readexactly(length))
