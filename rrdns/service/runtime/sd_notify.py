"""Tell the service manager how far we are (sd_notify(3)); nothing happens without one."""

from __future__ import annotations

import os
import socket


class SystemdNotifier:
    """Sends states to the socket that NOTIFY_SOCKET names."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")

    def ready(self) -> bool:
        """Say that the service does its job; False: nobody took it, and it is to be said again."""
        return self._send(b"READY=1\nSTATUS=answering")

    def stopping(self) -> None:
        """Say that the service has begun to stop."""
        self._send(b"STOPPING=1")

    def _send(self, state: bytes) -> bool:
        if not self._address:
            return True
        # A leading "@" stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)  # a manager that reads nothing must not hold us up
                sock.sendto(state, address)
        except BlockingIOError:
            return False
        except OSError:  # nor one that is gone
            return True
        return True
