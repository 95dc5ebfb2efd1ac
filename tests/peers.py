"""Start real servers and clients for a test, and end them again by their own process id.

What a machine lacks is skipped there, and said; with RRDNS_PEERS=required (as `.ci/run`
sets it) a missing peer is a failure, so that CI skips nothing.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNPACKED = ROOT / ".cache" / "peers"  # what .ci/run cannot install beside another package
SEARCH = os.pathsep.join(
    [
        os.environ.get("PATH", ""),
        "/usr/local/sbin",
        "/usr/sbin",
        "/sbin",
        str(UNPACKED / "usr/sbin"),
        str(UNPACKED / "usr/bin"),
    ]
)


def peer(name: str) -> str:
    """Return the path of a program, or skip the test (fail it where peers are required)."""
    found = shutil.which(name, path=SEARCH)
    if found is None:
        _lack(f"{name} is not installed; .ci/run installs what the tests need")
    return found


def peer_file(path: Path) -> Path:
    """Return a file of a package's, or skip the test (fail it where peers are required)."""
    if not path.exists():
        _lack(f"{path} is not there; .ci/run installs what the tests need")
    return path


def need_root(what: str) -> None:
    """Skip the test where it does not run as root (fail it where peers are required)."""
    if os.geteuid() != 0:
        _lack(f"{what} needs root")


def _lack(message: str) -> NoReturn:
    if os.environ.get("RRDNS_PEERS") == "required":
        pytest.fail(message)
    pytest.skip(message)


def free_port(kind: int = socket.SOCK_DGRAM, host: str = "127.0.0.1") -> int:
    """Return a port that nobody uses on any address, for `kind` and for the other kind too.

    It lies below the ports that the system hands out to clients, so that no connection
    of another test gets it in between.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    other = socket.SOCK_STREAM if kind == socket.SOCK_DGRAM else socket.SOCK_DGRAM
    everywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"
    while True:
        port = random.randrange(10_000, 32_000)
        try:
            for each in (kind, other):
                with socket.socket(family, each) as probe:
                    probe.bind((everywhere, port))
        except OSError:
            continue
        return port


def wait_until(ready: Callable[[], bool], timeout: float = 10.0, what: str = "ready") -> None:
    """Poll until something real is there; fail after `timeout` seconds."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.02)
    pytest.fail(f"not {what} within {timeout} s")


@contextmanager
def running(
    args: Sequence[str | Path],
    *,
    ready: Callable[[], bool] | None = None,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 10.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in its own session for the length of the block; its output goes to `log`."""
    with (log or Path(os.devnull)).open("ab") as out:
        process = subprocess.Popen(
            [str(arg) for arg in args],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env} if env else None,
            start_new_session=True,
        )
    try:
        if ready is not None:

            def up() -> bool:
                if process.poll() is not None:
                    said = log.read_text(errors="replace") if log else ""
                    pytest.fail(f"{args[0]} ended with {process.returncode}: {said}")
                return ready()

            wait_until(up, timeout, what=f"{args[0]} ready")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
