"""Start and stop the servers, the members that they check, and rrdns by itself with its API."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import process_usage, query_streams
from bench.server_configs import BOOT_FILE, CHECK_PORT, MEMBERS, SERVERS, TOKEN, serve

SERVER_CPU, CLIENT_CPU = 0, 1
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
BACKLOG = 4096  # TCP checks of some hours: nothing accepts their connections


def use_client_cpu() -> None:
    """Keep this process off the servers' CPU, and stop what it has started on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.sched_setaffinity(0, {CLIENT_CPU})


@dataclass(frozen=True, slots=True)
class Running:
    """A server that responds."""

    name: str
    pid: int  # the root of its process tree
    port: int
    all_cores: bool = False

    @property
    def cpus(self) -> Sequence[int]:
        """Return the CPUs that it may use."""
        return range(os.cpu_count() or 1) if self.all_cores else [SERVER_CPU]


class NotReady(Exception):
    """A server did not start, or its responses are wrong."""


def installed(names: Sequence[str]) -> list[str]:
    """Return the servers whose programs are on this machine."""
    found = []
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            command = SERVERS[name].configure(Path(scratch), 0)
        if shutil.which(command[0], path=SEARCH):
            found.append(name)
    return found


@contextmanager
def servers(names: Sequence[str]) -> Iterator[list[Running]]:
    """Run servers side by side."""
    with ExitStack() as stack:
        started = []
        for name in names:
            config = SERVERS[name]
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-")))
            port = free_port()
            command = config.configure(scratch, port)
            cpu = None if config.all_cores else SERVER_CPU
            process = stack.enter_context(program(command, cpu, scratch / "log"))
            wait_until_ready(
                lambda port=port: has_members(port),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                process,
                scratch / "log",
            )
            started.append(Running(name, process.pid, port, config.all_cores))
        yield started


@contextmanager
def program(
    command: Sequence[str], cpu: int | None, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends: on one CPU, or on all with None."""
    path = shutil.which(command[0], path=SEARCH)
    if path is None:
        raise NotReady(f"{command[0]} is not installed")
    cpus = str(cpu) if cpu is not None else f"0-{(os.cpu_count() or 1) - 1}"
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["taskset", "-c", cpus, path, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], timeout: float = 10.0) -> None:
    """Terminate a process, and kill it on timeout."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def wait_until_ready(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    timeout: float = 20.0,
) -> float:
    """Wait until a process is ready; return how many seconds that took."""
    start = time.monotonic()
    while time.monotonic() < start + timeout:
        if ready():
            return time.monotonic() - start
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise NotReady(f"{process.args!r} is not ready: {log.read_text(errors='replace')[-2000:]}")


def has_members(port: int) -> bool:
    """Return whether a server responds with all members, with authority, in one datagram."""
    query = query_streams.encode(query_streams.HOST)
    response = exchange(port, query)
    if response is None or response[2] & 0x84 != 0x84 or response[3] & 15:
        return False
    found = {response[at + 12 : at + 16] for at in range(len(query), len(response), 16)}
    return found == {socket.inet_aton(address) for address in MEMBERS}


def exchange(port: int, datagram: bytes, timeout: float = 0.5) -> bytes | None:
    """Send one query and return the response, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(datagram)
            return sock.recv(4096)
        except OSError:
            return None


@contextmanager
def members() -> Iterator[None]:
    """Run a TFTP server with the boot file and an open TCP port on each member's address."""
    user = "root" if os.getuid() == 0 else os.environ.get("USER", "nobody")
    with tempfile.TemporaryDirectory(prefix="boot-") as files, ExitStack() as stack:
        Path(files).chmod(0o755)  # tftpd-hpa serves only what all may read
        (Path(files) / BOOT_FILE).write_bytes(bytes(8192))
        for address in MEMBERS:
            stack.enter_context(socket.create_server((address, CHECK_PORT), backlog=BACKLOG))
            tftpd = ["in.tftpd", "--foreground", "--address", f"{address}:{CHECK_PORT}"]
            tftpd += ["--user", user, "--secure", files]
            stack.enter_context(program(tftpd, CLIENT_CPU, Path(os.devnull)))
        yield


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free for UDP and TCP, as is the next one.

    It is below the ports that the kernel gives to clients, so no client takes it meanwhile.
    """
    while True:
        port = random.randrange(20_000, 32_000, 2)
        if _is_free(port) and _is_free(port + 1):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Rrdns:
    """A running rrdns with its processes and its API."""

    pid: int  # of the supervisor
    port: int
    control: int  # process id of the control process
    ready_seconds: float  # from the start to the first correct response

    def order(self, kind: str, member: str) -> None:
        """Drain a member, even the last one in rotation, or resume it.

        Raises:
            OSError: the API refuses, or does not respond.
        """
        body = {"reason": "benchmark", "force": True} if kind == "drain" else {}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port + 1}/v1/pools/boot/members/{member}/{kind}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def rrdns(pools: str, timeout: float = 60.0) -> Iterator[Rrdns]:
    """Run rrdns with one worker on the servers' CPU; the block starts when it responds."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rrdns-") as scratch:
        log = Path(scratch) / "log"
        command = serve(Path(scratch), port, pools, workers=1)
        with program(command, SERVER_CPU, log) as process:
            seconds = wait_until_ready(lambda: has_members(port), process, log, timeout)
            # The supervisor starts the workers first.
            yield Rrdns(process.pid, port, children_of(process.pid)[1], seconds)


def children_of(pid: int) -> list[int]:
    """Return the descendants of a process in the order of their start."""
    return sorted(one for one in process_usage.tree(pid) if one != pid)
