"""Start the servers on one CPU, and what they check the health of on the other; end them again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import query
from bench.configs import BOOT_FILE, CHECK_PORT, MEMBERS, SERVERS

SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def be_client(cpu: int | None) -> None:
    """Keep this process off the servers' CPU, and let SIGTERM end what it has started too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    name: str
    pid: int  # of the process whose descendants are all of it
    port: int


class NotReady(Exception):
    """A server did not come up, or answers something else than it must."""


def installed(names: Sequence[str]) -> list[str]:
    """Return those servers whose programs are on this machine."""
    found = []
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            program = SERVERS[name](Path(scratch), 0)[0]
        if shutil.which(program, path=SEARCH):
            found.append(name)
    return found


@contextmanager
def servers(names: Sequence[str], cpu: int) -> Iterator[list[Running]]:
    """Run servers side by side on one CPU, each with the set of three in its zone."""
    with ExitStack() as stack:
        started = []
        for name in names:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-")))
            port = free_port()
            command = SERVERS[name](scratch, port)
            process = stack.enter_context(program(command, cpu, scratch / "log"))
            wait(lambda port=port: answers(port), process, scratch / "log")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            started.append(Running(name, process.pid, port))
        yield started


@contextmanager
def program(
    command: Sequence[str], cpu: int | None, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program on one CPU for the length of the block, with its output in `log`."""
    path = shutil.which(command[0], path=SEARCH)
    if path is None:
        raise NotReady(f"{command[0]} is not installed")
    pinned = ["taskset", "-c", str(cpu)] if cpu is not None else []
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*pinned, path, *command[1:]], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """Ask a process to end, and kill it if it does not in time."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def wait(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    patience: float = 20.0,
) -> float:
    """Wait until something is ready; return how many seconds that took."""
    begun = time.monotonic()
    while time.monotonic() < begun + patience:
        if ready():
            return time.monotonic() - begun
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise NotReady(f"{process.args!r} is not ready: {log.read_text(errors='replace')[-2000:]}")


def answers(port: int) -> bool:
    """Tell whether the server answers the set of three, with authority, in one datagram."""
    reply = ask(port, query.encode(query.HOST))
    if reply is None:
        return False
    addresses = {socket.inet_aton(address) for address in MEMBERS}
    answered = {
        reply[at + 12 : at + 16] for at in range(len(query.encode(query.HOST)), len(reply), 16)
    }
    return reply[2] & 0x84 == 0x84 and reply[3] & 15 == 0 and answered == addresses


def ask(port: int, datagram: bytes, timeout: float = 0.5) -> bytes | None:
    """Send one query and return the answer, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(datagram)
            return sock.recv(4096)
        except OSError:
            return None


@contextmanager
def members(cpu: int, addresses: Sequence[str] = MEMBERS) -> Iterator[None]:
    """Run what health checks ask: on each member's address a TFTP server and an open TCP port."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="members-")))
        files = stack.enter_context(boot_files())
        doors = [sys.executable, "-m", "bench.doors", str(CHECK_PORT), *addresses]
        process = stack.enter_context(program(doors, cpu, scratch / "doors.log"))
        wait(lambda: opens(addresses[-1]), process, scratch / "doors.log")
        for address in addresses:
            stack.enter_context(tftpd(address, files, cpu, scratch / "tftpd.log"))
        yield


@contextmanager
def tftpd(address: str, files: Path, cpu: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run tftpd-hpa on a member's address, or on all of them with 0.0.0.0."""
    command = ["in.tftpd", "--foreground", "--address", f"{address}:{CHECK_PORT}"]
    command += ["--user", "root" if os.getuid() == 0 else os.environ.get("USER", "nobody")]
    with program([*command, "--secure", str(files)], cpu, log) as process:
        yield process


@contextmanager
def boot_files() -> Iterator[Path]:
    """Make a directory with the boot file in it, readable for whoever serves it."""
    with tempfile.TemporaryDirectory(prefix="boot-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / BOOT_FILE).write_bytes(bytes(8192))
        yield directory


def opens(address: str) -> bool:
    """Tell whether a member accepts a TCP connection."""
    with socket.socket() as sock:
        return sock.connect_ex((address, CHECK_PORT)) == 0


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago, for UDP and TCP, as was the next one.

    It lies below those that the kernel gives to clients, so that no client takes it meanwhile.
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
