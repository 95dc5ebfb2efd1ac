"""A farm that asks for tokens, with members in two racks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.farm import BOOT_FILE, Rrdns, Tftpd, in_service

TOKENS = {"ops": "operator", "look": "viewer", "boss": "admin"}  # each token is its name
OTHER_FILE = BOOT_FILE.replace(b"v7.15.0.11", b"v7.15.0.12")
EXPORTER = """
[[exporters]]
name = "dnsmasq"
type = "file"
pools = ["boot"]
path = "{folder}/dnsmasq.hosts"
template = "dnsmasq-hosts"
"""


@dataclass
class GuardedRrdns(Rrdns):
    """rrdns with a token for each role, members in two racks, and whatever `more` there is."""

    more: str = ""

    def write_config(self, **changes: Any) -> None:
        """Write the config file."""
        super().write_config(**changes)
        text = self.config.read_text()
        for number, (name, _) in enumerate(self.members):
            rack = f'name = "{name}"\ntags = ["rack-{1 + number % 2}"]'
            text = text.replace(f'name = "{name}"', rack)
        tokens = (
            f'[[api.tokens]]\nname = "{name}"\nrole = "{role}"\n'
            f'sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
            for name, role in TOKENS.items()
        )
        self.config.write_text("\n".join([text, self.more.format(folder=self.folder), *tokens]))


@contextmanager
def a_watched_farm(
    folder: Path,
    *,
    first_host: int,
    size: int = 3,
    drifted: str = "",
    tokens: bool = True,
    more: str = "",
) -> Iterator[tuple[Rrdns, dict[str, Tftpd]]]:
    """Run TFTP servers and rrdns before them; `drifted` serves another file than the others."""
    rrdns = GuardedRrdns(folder, token="boss", more=more) if tokens else Rrdns(folder)
    servers = {}
    for number in range(size):
        name = f"pvs-{number + 1}"
        root = _tftp_root(folder, "other" if name == drifted else "usual")
        servers[name] = Tftpd(name, f"127.0.0.{first_host + number}", rrdns.tftp_port, root)
    with in_service(rrdns, servers):
        yield rrdns, servers


def _tftp_root(folder: Path, name: str) -> Path:
    root = folder / f"tftp-{name}"
    if not root.exists():
        root.mkdir(mode=0o755)
        (root / "ARDBP32.BIN").write_bytes(BOOT_FILE if name == "usual" else OTHER_FILE)
    return root
