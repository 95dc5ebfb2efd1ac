"""Run TFTP servers until somebody has seen enough, and let their faults be changed by lines."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress

from rrdns.lab.tftpd.faults import Faults, read_faults
from rrdns.lab.tftpd.server import TftpServer

Say = Callable[[str], None]
_AT_ONCE = 4096  # bytes of input
_BEHAVE = "none"


async def run_servers(servers: Sequence[TftpServer], orders: int, say: Say, complain: Say) -> None:
    """Serve until SIGINT or SIGTERM; `orders` is the file descriptor that lines come from."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server)
            say(f"{server.address}:{server.port} serves {', '.join(server.files)}")
        # A regular file cannot be waited for; then faults stay as they are.
        with suppress(OSError):
            loop.add_reader(orders, _Orders(servers, orders, say, complain).read)
        await ending.wait()


def parse_faults(words: Sequence[str]) -> Faults:
    """Return what is to be wrong; "none" asks for nothing.

    Raises:
        ValueError: it is nothing that a server on this host can do.
    """
    faults = read_faults([word for word in words if word != _BEHAVE])
    if faults.reply_from is not None:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
                trial.bind((faults.reply_from, 0))
        except OSError as error:
            said = f"reply-from: {faults.reply_from} is no IPv4 address of this host"
            raise ValueError(said) from error
    return faults


class _Orders:
    """What an input says, line by line as it comes: faults for all, or behind an address."""

    def __init__(self, servers: Sequence[TftpServer], source: int, say: Say, complain: Say) -> None:
        self._servers = servers
        self._source = source
        self._say = say
        self._complain = complain
        self._rest = b""  # of a line whose end has not come

    def read(self) -> None:
        """Carry out what has come."""
        chunk = os.read(self._source, _AT_ONCE)
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._source)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").split()
            if words:
                self._carry_out(words)

    def _carry_out(self, words: list[str]) -> None:
        meant = [server for server in self._servers if server.address == words[0]]
        words = words[bool(meant) :] or [_BEHAVE]
        try:
            faults = parse_faults(words)
        except ValueError as problem:
            self._complain(str(problem))
            return
        for server in meant or self._servers:
            server.faults = faults
            self._say(f"{server.address}: {' '.join(words)}")
