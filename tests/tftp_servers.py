"""TFTP servers of other makers, with boot files in their folder."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rrdns.core.model import BootFile, ProbeSpec
from rrdns.lab.tftpd.boot_files import BIOS_FILE, boot_files
from tests.peers import free_port, need_root, peer, running

# Port 69 cannot be chosen everywhere, so each test process has an address of its own.
ADDRESS = f"127.70.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"
SECRET = "secret.bin"
PATIENT = 5.0


@dataclass(frozen=True)
class Peer:
    """A TFTP server that runs, and how it shows what."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    repeats_after: float  # seconds: it sends again when nobody answers
    unreadable: tuple[int, ...]  # the ERROR codes for a file that it may not read

    def spec(self, *names: str, timeout: float = PATIENT) -> ProbeSpec:
        """Return what to ask it for."""
        files = tuple(BootFile(name) for name in names or (BIOS_FILE,))
        return ProbeSpec(files=files, port=self.port, timeout=timeout)


@contextmanager
def boot_directory() -> Iterator[Path]:
    """Make a directory that servers may read whatever their user, with one file that none may."""
    with tempfile.TemporaryDirectory(prefix="rrdns-boot-") as name:
        root = Path(name)
        root.chmod(0o755)
        for file, content in {**boot_files(), SECRET: b"not for you"}.items():
            (root / file).write_bytes(content)
            (root / file).chmod(0o644)
        (root / SECRET).chmod(0o600)
        yield root


def is_bound(port: int) -> bool:
    """Tell whether somebody listens on a port of our address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        try:
            attempt.bind((ADDRESS, port))
        except OSError:
            return True
    return False


def hpa(root: Path, port: int) -> tuple[list[str], float, tuple[int, ...]]:
    """Return how to run tftpd-hpa; it repeats after 0.3 s here."""
    where = ["--address", f"{ADDRESS}:{port}", "--secure", str(root)]
    args = [peer("in.tftpd"), "--listen", "--foreground", "--retransmit", "300000", *where]
    return args, 0.3, (0, 2)


def atftpd(root: Path, port: int) -> tuple[list[str], float, tuple[int, ...]]:
    """Return how to run atftpd; it takes what it cannot read for missing."""
    where = ["--bind-address", ADDRESS, "--port", str(port), "--user", "nobody.nogroup"]
    args = [peer("atftpd"), "--daemon", "--no-fork", "--retry-timeout", "1", *where, str(root)]
    return args, 1.0, (1, 2)


def dnsmasq(root: Path, port: int) -> tuple[list[str], float, tuple[int, ...]]:
    """Return how to run dnsmasq, whose TFTP has port 69 and no other."""
    assert port == 69
    where = [f"--listen-address={ADDRESS}", "--bind-interfaces", f"--tftp-root={root}"]
    quiet = ["--conf-file=/dev/null", "--port=0", "--no-daemon", "--user=root"]
    return [peer("dnsmasq"), *quiet, "--enable-tftp", *where], 2.0, (2,)


MAKERS = {"tftpd-hpa": hpa, "atftpd": atftpd, "dnsmasq": dnsmasq}


@contextmanager
def a_tftp_server(name: str, folder: Path) -> Iterator[Peer]:
    """Run a server of that maker until the block ends; its log goes to the folder."""
    need_root(name)  # each changes its user
    port = 69 if name == "dnsmasq" else free_port(host=ADDRESS)
    log = folder / "log"
    with boot_directory() as root:
        args, repeats_after, unreadable = MAKERS[name](root, port)
        with running(args, ready=lambda: is_bound(port), log=log) as process:
            yield Peer(name, port, process, log, repeats_after, unreadable)
