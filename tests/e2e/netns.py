"""A network of its own for a test: a namespace with addresses on its loopback device."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import need_root, peer


@dataclass(frozen=True)
class Network:
    """A namespace in which commands can be run."""

    name: str

    def command(self, *args: str | Path) -> list[str]:
        """Return the command line that runs a command inside."""
        return [peer("ip"), "netns", "exec", self.name, *(str(arg) for arg in args)]

    def run(self, *args: str | Path, timeout: float = 20) -> str:
        """Run a command inside to its end; return what it printed."""
        done = subprocess.run(
            self.command(*args), capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def a_network(addresses: Sequence[str]) -> Iterator[Network]:
    """Make a namespace that owns these addresses, for the length of the block."""
    need_root("a network namespace")
    name = f"rrdns-test-{os.getpid()}"
    ip = peer("ip")
    subprocess.run([ip, "netns", "add", name], check=True)
    try:
        subprocess.run([ip, "-n", name, "link", "set", "lo", "up"], check=True)
        for address in addresses:
            args = [ip, "-n", name, "addr", "add", f"{address}/32", "dev", "lo"]
            subprocess.run(args, check=True)
        yield Network(name)
    finally:
        subprocess.run([ip, "netns", "del", name], check=True)
