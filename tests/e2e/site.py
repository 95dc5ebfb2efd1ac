"""A whole site, each part on a host of its own: parent zone, resolver, rrdns, PVS servers.

DHCP is what the tests differ in, so they start it themselves (dhcp_servers.py).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.e2e import bootfiles, nameservers
from tests.e2e.nameservers import NAME, RESOLVERS, Places
from tests.e2e.network import PORT, Host, Lan, a_lan
from tests.e2e.wiretap import TFTP, Request, Wiretap, a_wiretap
from tests.peers import peer, running, wait_until

# Targets are far from the servers in the last byte, so that glibc, which sorts addresses by
# their common prefix with one's own (RFC 6724, rule 9), finds none of the servers nearer.
MEMBERS = {"pvs-1": "10.77.0.11", "pvs-2": "10.77.0.12", "pvs-3": "10.77.0.13"}
ADDRESSES = {
    "parent": "10.77.0.1",
    "rrdns": "10.77.0.2",
    "resolver": "10.77.0.3",
    "dhcp": "10.77.0.5",
    **MEMBERS,
    "client": "10.77.0.200",
    "router": "10.77.0.254",
}
PLACES = Places(ADDRESSES["parent"], ADDRESSES["rrdns"], ADDRESSES["resolver"])
LEASES = ("10.77.0.129", "10.77.0.190")  # the first and the last
BIOS_FILE, UEFI_FILE = "ARDBP32.BIN", "pvsnbpx64.efi"
TTL = 2


@dataclass
class Site:
    """Hosts with what runs on them."""

    lan: Lan
    folder: Path
    wiretap: Wiretap
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def resolv_conf(self) -> Path:
        """Return a file that names the site's resolver."""
        file = self.folder / "resolv.conf"
        file.write_text(f"nameserver {PLACES.resolver}\n")
        return file

    @property
    def rrdns(self) -> Host:
        """Return the host of rrdns."""
        return self.lan["rrdns"]

    def command(self, *args: str) -> str:
        """Run a command of rrdns on its host; return what it printed."""
        return self.rrdns.run(sys.executable, "-m", "rrdns", *args)

    def resolved(self, server: str = PLACES.resolver) -> list[str]:
        """Return the addresses of the boot name as the client gets them."""
        args = ("+short", "+tries=2", "+time=1", f"@{server}", NAME, "A")
        done = subprocess.run(
            self.lan["client"].command(peer("dig"), *args),
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout.split() if done.returncode == 0 else []

    def stop(self, member: str) -> float:
        """Stop a member's TFTP service; return when."""
        self.servers[member].kill()
        self.servers[member].wait(5)
        return time.monotonic()

    def no_response(self, member: str) -> float:
        """Stop a member's TFTP service from doing anything, with its port open; return when."""
        self.servers[member].send_signal(signal.SIGSTOP)
        return time.monotonic()

    def cut_off(self, member: str) -> float:
        """Pull a member's cable; return when."""
        self.lan.cut_off(member)
        return time.monotonic()

    def loads(self, member: str) -> list[Request]:
        """Return the requests for a file that came to a member from clients and targets."""
        requests = self.wiretap.requests(TFTP)
        to = MEMBERS[member]
        return [asked for asked in requests if asked.to == to and asked.source != PLACES.rrdns]

    def wait_until_answered(self, *members: str, server: str = PLACES.resolver) -> None:
        """Wait until a server answers with these members and no other."""
        wanted = {MEMBERS[member] for member in members}
        wait_until(lambda: set(self.resolved(server)) == wanted, 20, f"answered: {members}")


@contextmanager
def a_site(
    folder: Path,
    *,
    resolver: str = "unbound",
    dead: Sequence[str] = (),
    files: Sequence[str] = (BIOS_FILE,),
    more: str = "",
) -> Iterator[Site]:
    """Run a site until the block ends; the TFTP service of `dead` members is never started.

    `more` is for the end of rrdns's config.
    """
    for path in (folder, *folder.parents[:2]):
        path.chmod(path.stat().st_mode | 0o755)  # wider only: one of them may be /tmp itself
    with ExitStack() as stack:
        lan = stack.enter_context(a_lan(ADDRESSES))
        wiretap = stack.enter_context(a_wiretap(lan.switch, folder / "wiretap"))
        site = Site(lan, folder, wiretap)
        start = partial(_start, stack, lan, folder)
        for name in MEMBERS.keys() - set(dead):
            site.servers[name] = start(name, _tftpd(folder, name))
        lan["router"].run(peer("ip"), "addr", "add", "fd77::1/64", "dev", PORT, "nodad")
        start("router", _router())
        start("parent", nameservers.parent(folder, PLACES))
        start("resolver", RESOLVERS[resolver](folder, PLACES))
        start(
            "rrdns",
            nameservers.rrdns(folder, PLACES, MEMBERS, ttl=TTL, files=files, more=more),
        )
        alive = [name for name in MEMBERS if name not in dead]
        site.wait_until_answered(*alive, server=PLACES.rrdns)
        site.wait_until_answered(*alive)
        yield site


def _start(
    stack: ExitStack, lan: Lan, folder: Path, host: str, command: Sequence[str | Path]
) -> subprocess.Popen[bytes]:
    log = folder / f"{host}.log"
    return stack.enter_context(running(lan[host].command(*command), log=log))


def _router() -> list[str | Path]:
    """Return what advertises an IPv6 router: without one iPXE waits for it for 13 s."""
    return [
        peer("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
        f"--interface={PORT}", "--enable-ra", f"--ra-param={PORT},0,0",
        "--dhcp-range=fd77::,ra-only", "--pid-file=", "--user=root", "--log-facility=-",
    ]  # fmt: skip


def _tftpd(folder: Path, name: str) -> list[str | Path]:
    root = folder / name
    root.mkdir()
    (root / BIOS_FILE).write_bytes(bootfiles.bios(name))
    (root / UEFI_FILE).write_bytes(bootfiles.uefi(name))
    options = ("--listen", "--foreground", "--user", "root", "--secure")
    return [peer("in.tftpd"), *options, "--address", f"{MEMBERS[name]}:69", root]
