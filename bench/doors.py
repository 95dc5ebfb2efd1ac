"""Accept TCP connections and close them at once: what `tcp_connect` and `ifportup` check.

`python -m bench.doors PORT ADDRESS...`
"""

from __future__ import annotations

import selectors
import socket
import sys
from collections.abc import Sequence


def main(port: int, addresses: Sequence[str]) -> None:
    """Accept on every address until somebody ends the process."""
    ready = selectors.DefaultSelector()
    for address in addresses:
        ready.register(socket.create_server((address, port)), selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            assert isinstance(key.fileobj, socket.socket)
            connection, _ = key.fileobj.accept()
            connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
