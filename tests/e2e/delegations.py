"""A parent zone with delegations that are right and wrong, and resolvers of both kinds.

All of it runs in a network of its own: Knot DNS with the parent zone, three TFTP servers, two
rrdns, and whatever resolvers a test starts beside them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import sample_config
from tests.e2e.farm import BOOT_FILE
from tests.e2e.nameservers import RESOLVERS, Command, Places, parent, rrdns
from tests.e2e.netns import Network, a_network
from tests.peers import peer, running, wait_until

PARENT, RRDNS, TWIN, SIGNED = "10.53.0.1", "10.53.0.2", "10.53.0.3", "10.53.0.4"
FREE = [f"10.53.0.{n}" for n in range(31, 51)]
MEMBERS = {f"pvs-{n}": f"10.53.0.{10 + n}" for n in (1, 2, 3)}
TTL = 2

_DELEGATIONS = f"""
lame NS ns1.lame
lame NS ns2.lame
ns1.lame A {RRDNS}
ns2.lame A {PARENT}
glue NS ns1.glue
ns1.glue A 10.53.0.99
twin NS ns1.twin
twin NS ns2.twin
ns1.twin A {RRDNS}
ns2.twin A {TWIN}
names NS ns1.names
names NS ns9.names
ns1.names A {RRDNS}
ns9.names A {RRDNS}
boot.old A 10.53.0.77
signed NS ns1.signed
signed DS 1 8 2 {"ab" * 32}
ns1.signed A {RRDNS}
"""


def zone(name: str, *addresses: str, serial: int = 1) -> str:
    """Return a zone with nameservers at these addresses, and a pool in it."""
    pool = sample_config.pool(
        [(f"{name}-1", MEMBERS["pvs-1"])],
        name=name,
        hostname=f"boot.{name}.example.test",
        ttl=TTL,
    )
    return sample_config.zone(*addresses, name=f"{name}.example.test", serial=serial) + pool


ZONES = "".join(
    [
        *(zone(name, RRDNS) for name in ("none", "glue", "names", "old", "signed")),
        zone("lame", RRDNS, PARENT),
        zone("twin", RRDNS, TWIN),
    ]
)


@dataclass
class Site:
    """The network, and how to start resolvers in it."""

    network: Network
    folder: Path
    start: Callable[[Command, Path], None]
    free: list[str]  # addresses for resolvers

    def check(self, *args: str, status: int) -> dict[str, Any]:
        """Run the check to its end; return what it tells scripts."""
        done = self.run("--check", "--json", *args)
        assert done.returncode == status, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run `rrdns delegation` inside of the network."""
        config = str(self.folder / "rrdns.toml")
        command = (sys.executable, "-m", "rrdns", "delegation", "--config", config, *args)
        return subprocess.run(
            self.network.command(*command),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def resolver(self, kind: str, change: Callable[[str], str]) -> str:
        """Start Unbound or BIND as a resolver, with a change of its config; return its address."""
        folder, address = self._place()
        command = RESOLVERS[kind](folder, Places(PARENT, RRDNS, address))
        config = Path(command[-1])
        config.write_text(change(config.read_text()))
        return self._started(command, address)

    def dnsmasq(self, *lines: str) -> str:
        """Start dnsmasq as a resolver; return its address."""
        folder, address = self._place()
        config = folder / "dnsmasq.conf"
        own = ("no-resolv", "no-hosts", "bind-interfaces", "user=root", f"listen-address={address}")
        config.write_text("\n".join((*own, *lines)) + "\n")
        command: Command = [peer("dnsmasq"), "--keep-in-foreground", f"--conf-file={config}"]
        return self._started(command, address)

    def printed(self, kind: str) -> str:
        """Start a resolver that finds rrdns by what is printed for it, and by nothing else."""
        form = {"named": "bind-resolver"}.get(kind, kind)
        text = self.run("--format", form, "--zone", "pvs.example.test").stdout
        if kind == "dnsmasq":
            return self.dnsmasq("stop-dns-rebind", text)
        # What its config has of the zone and of the parent so far.
        known = {
            "unbound": r"(?ms)^stub-zone:.*?(?=^\S)|^ *local-zone:.*?$|^ *private-domain:.*?$",
            "named": r"(?m)^zone .*$",
        }
        return self.resolver(kind, lambda config: re.sub(known[kind], "", config) + text)

    def validating(self) -> str:
        """Start a copy of the parent that Knot signs, and BIND that trusts its key alone."""
        folder = self.folder / "signed"
        folder.mkdir()
        config = folder / "knot.conf"
        text = (self.folder / "knot.conf").read_text().replace(str(self.folder), str(folder))
        config.write_text(text.replace(PARENT, SIGNED) + "    dnssec-signing: on\n")
        zone = (self.folder / "example.test.zone").read_text()
        (folder / "example.test.zone").write_text(zone.replace(f"ns A {PARENT}", f"ns A {SIGNED}"))
        self.start([peer("knotd"), "-c", config], folder)
        wait_until(lambda: bool(self._keys()), 15, "the parent signed")
        algorithm, key = self._keys()[0]
        anchor = f'trust-anchors {{ example.test. static-key 257 3 {algorithm} "{key}"; }};\n'
        return self.resolver(
            "named",
            lambda text: (
                anchor + text.replace(PARENT, SIGNED).replace("validation no", "validation yes")
            ),
        )

    def _keys(self) -> list[tuple[str, str]]:
        """Return algorithm and key of the signed parent's keys that sign keys."""
        args = ("+short", "+tries=1", "+time=1", f"@{SIGNED}", "example.test", "DNSKEY")
        try:
            said = self.network.run(peer("dig"), *args)
        except AssertionError:  # not up yet
            return []
        words = [line.split() for line in said.splitlines()]
        return [(word[2], "".join(word[3:])) for word in words if word[0] == "257"]

    def _place(self) -> tuple[Path, str]:
        """Return a folder and an address for one more resolver."""
        address = self.free.pop(0)
        folder = self.folder / address
        folder.mkdir()
        return folder, address

    def _started(self, command: Command, address: str) -> str:
        self.start(command, self.folder / address)
        wait_until(lambda: _listens(self.network, address), 15, f"{command[0]} at {address} ready")
        return address


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """Set up the parent and both rrdns, for the length of the block."""
    for path in (folder, *folder.parents[:2]):
        path.chmod(path.stat().st_mode | 0o755)  # wider only: one of them may be /tmp itself
    addresses = [PARENT, RRDNS, TWIN, SIGNED, *FREE, *MEMBERS.values()]
    with ExitStack() as stack:
        network = stack.enter_context(a_network(addresses))

        def start(command: Command, into: Path) -> None:
            log = into / f"{Path(command[0]).name}.log"
            stack.enter_context(running(network.command(*command), log=log))

        site = Site(network, folder, start, list(FREE))
        _serve_boot_files(site)
        places = Places(PARENT, RRDNS, "")
        command = parent(folder, places)
        with (folder / "example.test.zone").open("a") as out:
            out.write(_DELEGATIONS)
        start(command, folder)
        start(rrdns(folder, places, MEMBERS, ttl=TTL, more=ZONES), folder)
        start(_twin(folder / "twin"), folder / "twin")
        for server in (PARENT, RRDNS, TWIN):
            wait_until(lambda at=server: _listens(network, at), 10, f"{server} ready")  # type: ignore[misc]
        yield site


def _serve_boot_files(site: Site) -> None:
    root = site.folder / "tftp"
    root.mkdir()
    (root / "ARDBP32.BIN").write_bytes(BOOT_FILE)
    options = ("--listen", "--foreground", "--user", "root", "--secure")
    for address in MEMBERS.values():
        command: Command = [peer("in.tftpd"), *options, "--address", f"{address}:69", root]
        site.start(command, site.folder)


def _twin(folder: Path) -> Command:
    """Return a second rrdns, on which one zone has another serial."""
    folder.mkdir()
    places = Places(PARENT, TWIN, "")
    more = zone("twin", RRDNS, TWIN, serial=2)
    return rrdns(folder, places, MEMBERS, ttl=TTL, api_port=8054, more=more)


def _listens(network: Network, server: str) -> bool:
    """Tell whether a server answers at all."""
    try:
        network.run(peer("dig"), "+tries=1", "+time=1", f"@{server}", "example.test", "SOA")
    except AssertionError:  # not up yet
        return False
    return True
