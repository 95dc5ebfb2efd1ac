"""Hold thousands of TCP connections to rrdns, and measure UDP and TCP clients beside them.

The connections come from 157 addresses. `idle` connections send nothing. `slow` connections
send a byte of a query each second, and when one is closed, another opens, 200 a second.
`python -m tests.bench.tcp_crowd PORT KIND` is the crowd.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import load_generators, process_usage, query_streams, server_configs, servers

LIMITS = {"usual": "", "held": "connections = 8192, per_address = 8192, idle = 3600"}
COUNT = 5000
RATE = 2000  # UDP queries a second
GOOD_CLIENTS = 25  # over TCP, one after the other
PER_ADDRESS = 32
SETTLE = 10.0  # seconds until the server has accepted all, retries included
PARTS = 50  # of a second; in each part some of the slow connections send a byte
REOPENED = 4  # in each part


@contextmanager
def serving(tcp: str) -> Iterator[tuple[int, int]]:
    """Run rrdns with one worker; yield the process id of the supervisor, and the port."""
    with tempfile.TemporaryDirectory(prefix="crowd-") as scratch:
        folder, port = Path(scratch), servers.free_port()
        pool = server_configs.pool_table("boot", query_streams.HOST, server_configs.MEMBERS)
        command = server_configs.serve(folder, port, pool, tcp=tcp)
        log = folder / "log"
        with servers.program(command, servers.SERVER_CPU, log) as process:
            servers.wait_until_ready(lambda: servers.has_members(port), process, log)
            yield process.pid, port


def measure(pid: int, port: int, kind: str, seconds: float) -> dict[str, Any]:
    """Return the latency of UDP and TCP clients beside a crowd, and the memory of the server."""
    with crowd(port, kind):
        query = query_streams.encode(query_streams.HOST)
        found = load_generators.measure_latency(port, query, RATE, seconds)
        waits = [wait for _ in range(GOOD_CLIENTS) if (wait := ask_over_tcp(port)) is not None]
        memory = process_usage.memory_of_tree(pid)
    return {
        "p50_us": found.quantile(0.5),
        "p99_us": found.quantile(0.99),
        "lost": found.lost,
        "tcp_answered": f"{len(waits)}/{GOOD_CLIENTS}",
        "tcp_slowest_ms": round(max(waits, default=0.0) * 1000, 1),
        "memory_mb": round(memory / 1e6, 1),
    }


def ask_over_tcp(port: int) -> float | None:
    """Return the seconds until a client with its own connection has its response."""
    began = time.monotonic()
    message = query_streams.encode(query_streams.HOST)
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as sock:
            sock.sendall(len(message).to_bytes(2, "big") + message)
            return time.monotonic() - began if len(sock.recv(4096)) > len(message) else None
    except OSError:
        return None


@contextmanager
def crowd(port: int, kind: str) -> Iterator[None]:
    """Run a crowd beside the block, which starts when all connections are open."""
    if kind == "none":
        time.sleep(0.5)
        yield
        return
    command = [sys.executable, "-m", "tests.bench.tcp_crowd", str(port), kind]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(SETTLE)
        yield
    finally:
        servers.stop(process)
        process.communicate()


class Crowd:
    """Many connections of one kind to one server."""

    def __init__(self, port: int, kind: str) -> None:
        self._port = port
        self._kind = kind
        self._selector = selectors.DefaultSelector()
        self._open: dict[socket.socket, int] = {}  # the bytes that each has sent
        message = query_streams.encode(query_streams.HOST)
        self._message = len(message).to_bytes(2, "big") + message
        self._opened = 0

    def run(self) -> None:
        """Hold the connections until the process is stopped."""
        while self._opened < COUNT:
            self._open_one()
            self._reap(0)
            if self._opened % 50 == 0:
                time.sleep(0.01)
        sys.stdout.write("all are open\n")
        sys.stdout.flush()
        part, due = 0, time.monotonic()
        while True:
            self._reap(0.01)
            if self._kind == "slow" and time.monotonic() >= due:
                part, due = self._send_bytes(part), due + 1 / PARTS

    def _open_one(self) -> None:
        """Open a connection from the next address."""
        number = self._opened // PER_ADDRESS % (COUNT // PER_ADDRESS + 1)
        self._opened += 1
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.77.{number // 250}.{number % 250 + 1}", 0))
        sock.connect_ex(("127.0.0.1", self._port))
        self._open[sock] = 0
        self._selector.register(sock, selectors.EVENT_READ)

    def _close(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        del self._open[sock]
        sock.close()

    def _reap(self, wait: float) -> None:
        """Forget the connections that the server has closed."""
        for key, _ in self._selector.select(wait):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                closed = not sock.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                closed = True
            if closed:
                self._close(sock)

    def _send_bytes(self, part: int) -> int:
        """Send a byte on a part of the connections, and open new ones for those that are closed."""
        for place, sock in enumerate(list(self._open)):
            if place % PARTS == part and sock in self._open:
                sent = self._open[sock]
                at = sent % len(self._message)
                try:
                    self._open[sock] += sock.send(self._message[at : at + 1])
                except OSError:
                    self._reap(0)
        for _ in range(min(REOPENED, COUNT - len(self._open))):
            self._open_one()
        return (part + 1) % PARTS


if __name__ == "__main__":
    Crowd(int(sys.argv[1]), sys.argv[2]).run()
