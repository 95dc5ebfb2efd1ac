"""Tell the service manager how far we are (sd_notify(3)); nothing happens without one."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


class Notifier:
    """Sends states to the socket that NOTIFY_SOCKET names."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")

    def ready(self) -> None:
        """Say that the service does its job."""
        self._send(b"READY=1\nSTATUS=answering")

    def stopping(self) -> None:
        """Say that the service has begun to stop."""
        self._send(b"STOPPING=1")

    def _send(self, state: bytes) -> None:
        if not self._address:
            return
        # A leading "@" stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            suppress(OSError),  # a deaf manager must not stop the service
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
        ):
            sock.sendto(state, address)
