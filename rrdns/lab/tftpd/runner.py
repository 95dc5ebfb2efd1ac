"""Run TFTP servers until a signal, and change their faults by lines of input."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress

from rrdns.lab.tftpd.faults import Faults, read_faults
from rrdns.lab.tftpd.server import TftpServer

Print = Callable[[str], None]
_READ_BYTES = 4096  # of input at once
_NO_FAULTS = "none"


async def run_servers(
    servers: Sequence[TftpServer], commands: int, print_line: Print, print_error: Print
) -> None:
    """Serve until SIGINT or SIGTERM. `commands` is the file descriptor that lines come from."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server)
            print_line(f"{server.address}:{server.port} serves {', '.join(server.files)}")
        # epoll refuses a regular file; then the faults do not change.
        with suppress(OSError):
            reader = _CommandReader(servers, commands, print_line, print_error)
            loop.add_reader(commands, reader.read)
        await ending.wait()


def parse_faults(words: Sequence[str]) -> Faults:
    """Return the faults from words; "none" means no faults.

    Raises:
        ValueError: a word is not valid, or this host does not have the address for replies.
    """
    faults = read_faults([word for word in words if word != _NO_FAULTS])
    if faults.reply_from is not None:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
                trial.bind((faults.reply_from, 0))
        except OSError as error:
            problem = f"reply-from: {faults.reply_from} is not an IPv4 address of this host"
            raise ValueError(problem) from error
    return faults


class _CommandReader:
    """Reads lines and sets faults: of all servers, or of the one whose address begins the line."""

    def __init__(
        self,
        servers: Sequence[TftpServer],
        source: int,
        print_line: Print,
        print_error: Print,
    ) -> None:
        self._servers = servers
        self._source = source
        self._print_line = print_line
        self._print_error = print_error
        self._rest = b""  # of a line that is not complete yet

    def read(self) -> None:
        """Read input, and execute the complete lines."""
        chunk = os.read(self._source, _READ_BYTES)
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._source)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").split()
            if words:
                self._execute(words)

    def _execute(self, words: list[str]) -> None:
        addressed = [server for server in self._servers if server.address == words[0]]
        words = words[bool(addressed) :] or [_NO_FAULTS]
        try:
            faults = parse_faults(words)
        except ValueError as problem:
            self._print_error(str(problem))
            return
        for server in addressed or self._servers:
            server.faults = faults
            self._print_line(f"{server.address}: {' '.join(words)}")
