"""UDP and well-behaved TCP clients beside thousands of TCP connections: `python -m bench.crowd`.

The crowd comes from 157 addresses. `idle`: it says nothing. `slow`: each connection sends a
byte of a query each second, and those that are ended come again, 200 a second. `storm`: it
connects and leaves as fast as it is let. Rounds without a crowd alternate with them, so that
they share the noise.

With `--limits held` the limits let the whole crowd stay; with `usual` they are the defaults.
"""

from __future__ import annotations

import argparse
import json
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

from bench import configs, cpu, latency, peers, query, solo

KINDS = ("none", "idle", "none", "slow", "none", "storm")
LIMITS = {"usual": "", "held": "connections = 8192, per_address = 8192, idle = 3600"}
COUNT = 5000
RATE = 2000  # UDP queries a second
GOOD_CLIENTS = 25  # over TCP, one after the other
PER_ADDRESS = 32
SETTLE = 10.0  # seconds until the server has accepted them all, also who came late by a retry
PARTS = 50  # of a second; in each a part of the slow ones sends its byte
COME_AGAIN = 4  # in each
STORM_RATE = 5000  # connections a second, if they are accepted so fast


def main() -> None:
    """Measure each kind of crowd; print one line of JSON for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limits", choices=LIMITS, default="usual")
    parser.add_argument("--be", nargs=2, metavar=("PORT", "KIND"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.be:
        Crowd(int(wanted.be[0]), wanted.be[1]).run()
        return
    peers.be_client(solo.CLIENT_CPU)
    with serving(LIMITS[wanted.limits]) as (pid, port):
        for number in range(wanted.rounds):
            for kind in KINDS:
                found = measure(pid, port, kind, wanted.seconds)
                about = {"limits": wanted.limits, "round": number, "crowd": kind}
                print(json.dumps(about | found), flush=True)


@contextmanager
def serving(tcp: str) -> Iterator[tuple[int, int]]:
    """Run rrdns with one worker; give the process id of the supervisor, and the port."""
    with tempfile.TemporaryDirectory(prefix="crowd-") as scratch:
        folder, port = Path(scratch), peers.free_port()
        pool = configs.pool_table("boot", query.HOST, configs.MEMBERS)
        command = configs.serve(folder, port, pool, tcp=tcp)
        log = folder / "log"
        with peers.program(command, solo.SERVER_CPU, log) as process:
            peers.wait(lambda: peers.ask(port, query.encode(query.HOST)) is not None, process, log)
            yield process.pid, port


def measure(pid: int, port: int, kind: str, seconds: float) -> dict[str, Any]:
    """Return what UDP and TCP clients found beside a crowd, and what the server holds."""
    with crowd(port, kind):
        found = latency.measure(port, [query.encode(query.HOST)], RATE, seconds)
        waits = [wait for _ in range(GOOD_CLIENTS) if (wait := ask_over_tcp(port)) is not None]
        memory = cpu.memory(pid)
    return {
        "p50_us": round(found.quantile(0.5)),
        "p99_us": round(found.quantile(0.99)),
        "p999_us": round(found.quantile(0.999)),
        "lost": found.lost,
        "tcp_answered": f"{len(waits)}/{GOOD_CLIENTS}",
        "tcp_slowest_ms": round(max(waits, default=0.0) * 1000, 1),
        "memory_mb": round(memory.pss / 1e6, 1),
    }


def ask_over_tcp(port: int) -> float | None:
    """Return how long a client with a connection of its own waits for its answer."""
    began = time.monotonic()
    message = query.encode(query.HOST)
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as sock:
            sock.sendall(len(message).to_bytes(2, "big") + message)
            return time.monotonic() - began if len(sock.recv(4096)) > len(message) else None
    except OSError:
        return None


@contextmanager
def crowd(port: int, kind: str) -> Iterator[None]:
    """Have a crowd beside the block; it is all there when the block begins."""
    if kind == "none":
        time.sleep(0.5)
        yield
        return
    command = [sys.executable, "-m", "bench.crowd", "--be", str(port), kind]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(SETTLE)
        yield
    finally:
        peers.end(process)
        process.communicate()


class Crowd:
    """Many connections of one kind to one server."""

    def __init__(self, port: int, kind: str) -> None:
        self._port = port
        self._kind = kind
        self._selector = selectors.DefaultSelector()
        self._open: dict[socket.socket, int] = {}  # with how many bytes it has sent
        message = query.encode(query.HOST)
        self._message = len(message).to_bytes(2, "big") + message
        self._came = 0

    def run(self) -> None:
        """Be there until somebody ends the process."""
        while self._came < COUNT:
            self._come()
            self._look(0)
            if self._came % 50 == 0:
                time.sleep(0.01)
        print("here", flush=True)
        begun = time.monotonic()
        if self._kind == "storm":
            while True:
                self._storm(begun)
        turn, due = 0, begun
        while True:
            self._look(0.01)
            if self._kind == "slow" and time.monotonic() >= due:
                turn, due = self._drip(turn), due + 1 / PARTS

    def _come(self) -> None:
        """Connect, from the next address."""
        number = self._came // PER_ADDRESS % (COUNT // PER_ADDRESS + 1)
        self._came += 1
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.77.{number // 250}.{number % 250 + 1}", 0))
        sock.connect_ex(("127.0.0.1", self._port))
        self._open[sock] = 0
        self._selector.register(sock, selectors.EVENT_READ)

    def _go(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        del self._open[sock]
        sock.close()

    def _look(self, wait: float) -> None:
        """Take note of the connections that were ended."""
        for key, _ in self._selector.select(wait):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                ended = not sock.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                self._go(sock)

    def _drip(self, turn: int) -> int:
        """Send a byte on each connection whose turn it is: on all of them within a second."""
        for place, sock in enumerate(list(self._open)):
            if place % PARTS == turn and sock in self._open:
                sent = self._open[sock]
                at = sent % len(self._message)
                try:
                    self._open[sock] += sock.send(self._message[at : at + 1])
                except OSError:
                    self._look(0)
        for _ in range(min(COME_AGAIN, COUNT - len(self._open))):
            self._come()
        return (turn + 1) % PARTS

    def _storm(self, begun: float) -> None:
        """Connect and leave, at a rate; the longest here go first."""
        due = int((time.monotonic() - begun) * STORM_RATE) - (self._came - COUNT)
        for _ in range(min(due, 50)):
            if len(self._open) >= COUNT:
                self._go(next(iter(self._open)))
            self._come()
        self._look(0.001)


if __name__ == "__main__":
    main()
