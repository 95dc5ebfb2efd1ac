"""Run rrdns alone, with any number of pools, and reach its processes and its API."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import configs, cpu, peers, query

SERVER_CPU, CLIENT_CPU = 0, 1


@dataclass(slots=True)
class Service:
    """rrdns as it runs."""

    pid: int  # the supervisor's
    port: int
    workers: list[int]  # process ids
    control: int
    config: Path
    log: Path
    ready_after: float  # seconds from the start to the first right answer

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the API and return what it says.

        Raises:
            Refused: its status is none of the 2xx.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port + 1, timeout=10)
        headers = {"Authorization": f"Bearer {configs.TOKEN}", "Content-Type": "application/json"}
        try:
            connection.request(
                method, path, json.dumps(body) if body is not None else None, headers
            )
            response = connection.getresponse()
            said = response.read()
        finally:
            connection.close()
        if response.status // 100 != 2:
            raise Refused(f"{method} {path}: {response.status} {said[:300]!r}")
        return json.loads(said) if said[:1] in b"{[" else said

    def drain(self, member: str, pool: str = "boot") -> Any:
        """Take a member out by an order, whoever is left."""
        path = f"/v1/pools/{pool}/members/{member}/drain"
        return self.call("POST", path, {"reason": "benchmark", "force": True})

    def resume(self, member: str, pool: str = "boot") -> Any:
        """End the order."""
        return self.call("POST", f"/v1/pools/{pool}/members/{member}/resume", {})

    def lives(self) -> bool:
        """Tell whether the control process takes calls."""
        with suppress(OSError, Refused, http.client.HTTPException):
            self.call("GET", "/healthz")
            return True
        return False

    def newcomers(self) -> list[int]:
        """Return the children that have come since the start."""
        return [pid for pid in children(self.pid) if pid not in {*self.workers, self.control}]


class Refused(Exception):
    """The API does not do what it is asked."""


@contextmanager
def service(
    pools: str,
    *,
    workers: int = 1,
    hostname: str = query.HOST,
    server_cpu: int | None = SERVER_CPU,
    patience: float = 60.0,
    port: int | None = None,
) -> Iterator[Service]:
    """Run `rrdns serve` with these pools until the block ends; it begins at the first answer."""
    port = port or peers.free_port()
    with tempfile.TemporaryDirectory(prefix="rrdns-") as scratch:
        directory = Path(scratch)
        command = configs.serve(directory, port, pools, workers=workers)
        log = directory / "log"
        with peers.program(command, server_cpu, log) as process:
            ready_after = peers.wait(lambda: has_address(port, hostname), process, log, patience)
            below = children(process.pid)
            running = Service(
                pid=process.pid,
                port=port,
                workers=below[:workers],  # the supervisor starts the workers first
                control=below[workers],
                config=directory / "rrdns.toml",
                log=log,
                ready_after=ready_after,
            )
            wait_for(running.lives, 20)
            yield running


def children(pid: int) -> list[int]:
    """Return the children of a process in the order of their start."""
    return sorted(one for one in cpu.tree(pid) if one != pid)


def has_address(port: int, hostname: str) -> bool:
    """Tell whether a name is answered with at least one address."""
    reply = peers.ask(port, query.encode(hostname))
    return reply is not None and reply[3] & 15 == 0 and reply[7] > 0


def names(reply: bytes, address: str) -> bool:
    """Tell whether an answer names an address."""
    return socket.inet_aton(address) in reply[12:]


def kill(pid: int, number: int = signal.SIGKILL) -> float:
    """Send a signal to a process; return the moment on the monotonic clock."""
    os.kill(pid, number)
    return time.monotonic()


def wait_for(ready: Any, patience: float) -> float:
    """Wait until something holds; return how many seconds that took, infinity for never."""
    begun = time.monotonic()
    while time.monotonic() < begun + patience:
        if ready():
            return time.monotonic() - begun
        time.sleep(0.01)
    return float("inf")


def many_pools(count: int, size: int, interval: float) -> str:
    """Return `count` pools of `size` members each."""
    tables = []
    for number in range(count):
        first = 127 << 24 | 1 << 16 | number * size
        addresses = tuple(socket.inet_ntoa((first + n).to_bytes(4, "big")) for n in range(size))
        name = "boot" if number == 0 else f"p{number}"
        tables.append(
            configs.pool_table(name, f"{name}.{query.ZONE}", addresses, interval=interval)
        )
    return "".join(tables)
