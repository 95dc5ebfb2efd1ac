"""Boot storms over a site with three tftpd-hpa: what `rrdns boot` counts while servers die.

The names that targets ask for: rrdns's own, straight or through Unbound, and beside it a
plain round robin, which Knot DNS serves from a static zone.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rrdns.lab.tftpd.boot_files import boot_files
from tests.e2e import nameservers
from tests.e2e.nameservers import NAME, Places
from tests.e2e.netns import Network, a_network
from tests.peers import peer, running, wait_until

PLACES = Places(parent="10.54.0.1", rrdns="10.54.0.2", resolver="10.54.0.3")
PLAIN = "10.54.0.4"
MEMBERS = ("10.54.0.11", "10.54.0.12", "10.54.0.13")
PLAIN_NAME = "boot.plain.test"
STRAIGHT = f"{NAME}@{PLACES.rrdns}"
CACHED = f"{NAME}@{PLACES.resolver}"
STATIC = f"{PLAIN_NAME}@{PLAIN}"

_PLAIN_ZONE = """$ORIGIN plain.test.
$TTL 5
@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns A {plain}
"""
_KNOT = """server:
    listen: {plain}@53
    rundir: {folder}
    answer-rotation: on
database:
    storage: {folder}
zone:
  - domain: plain.test
    file: {folder}/plain.test.zone
"""


@dataclass(frozen=True)
class Stormed:
    """What came of a storm."""

    told: dict[str, Any]
    hit: float | None = None  # when something was done to a server, as Unix time

    def __getitem__(self, name: str) -> dict[str, Any]:
        """Return what came of those who asked for a name at a server, as NAME@SERVER."""
        label = name.replace("@", " at ") + ":53"
        (found,) = (storm for storm in self.told["storms"] if storm["way"] == label)
        return dict(found)

    @property
    def began(self) -> float:
        """When the storm began, as Unix time."""
        return datetime.fromisoformat(self.told["began"]).timestamp()

    @property
    def hit_at(self) -> float | None:
        """Seconds since the storm began, when somebody did something to a server."""
        return None if self.hit is None else self.hit - self.began

    def asked_within(self, name: str, first: float, last: float) -> int:
        """Count the targets that were switched on in that time after the hit."""
        assert self.hit_at is not None
        times = [one["began"] - self.hit_at for one in self[name]["boots"]]
        return sum(1 for at in times if first <= at <= last)


@dataclass
class StormSite:
    """A network with everything in it that a storm meets."""

    network: Network
    folder: Path
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def ask(self, server: str, name: str = NAME) -> list[str]:
        """Return the addresses that a DNS server answers, in their order."""
        args = ("+short", "+tries=1", "+time=1", f"@{server}", name, "A")
        command = self.network.command(peer("dig"), *args)
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.split() if done.returncode == 0 else []

    def stop(self, member: str) -> None:
        """Stop a TFTP service: its port refuses from now on."""
        self.servers[member].kill()
        self.servers[member].wait(5)

    def no_response(self, member: str) -> None:
        """Stop a TFTP service so that its port stays open and silent, as when a host hangs."""
        self.servers[member].send_signal(signal.SIGSTOP)

    def storm(
        self,
        names: Sequence[str],
        *,
        clients: int,
        ramp: float,
        chart: Path | None = None,
        hit: Callable[[], None] | None = None,
        after: float = 0.0,
        more: Sequence[str] = (),
    ) -> Stormed:
        """Run a storm to its end; `hit` happens `after` seconds into it."""
        args = ["boot", *names, "--clients", str(clients), "--ramp", f"{ramp}s", "--seed", "1"]
        args += ["--json", *more, *(("--chart", str(chart)) if chart else ())]
        process = subprocess.Popen(
            self.network.command(sys.executable, "-m", "rrdns", *args),
            stdout=subprocess.PIPE,
            text=True,
        )
        hit_time = None
        if hit is not None:
            time.sleep(after)
            hit()
            hit_time = time.time()
        said, _ = process.communicate(timeout=ramp + 120)
        assert process.returncode in (0, 1), said
        return Stormed(json.loads(said), hit_time)


@contextmanager
def a_storm_site(folder: Path, *, ttl: int = 5) -> Iterator[StormSite]:
    """Run the site until the block ends, with all three servers up and known to be."""
    (folder / "tftp").mkdir()
    for name, content in boot_files().items():
        (folder / "tftp" / name).write_bytes(content)
    for path in (folder, *folder.parents[:2]):
        path.chmod(path.stat().st_mode | 0o755)  # wider only: one of them may be /tmp itself
    addresses = (PLACES.parent, PLACES.rrdns, PLACES.resolver, PLAIN, *MEMBERS)
    with ExitStack() as stack:
        site = StormSite(stack.enter_context(a_network(addresses)), folder)

        def start(name: str, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
            command = site.network.command(*command)
            return stack.enter_context(running(command, log=folder / f"{name}.log"))

        for address in MEMBERS:
            options = ("--listen", "--foreground", "--user", "root", "--secure")
            at = ("--address", f"{address}:69", folder / "tftp")
            site.servers[address] = start(address, [peer("in.tftpd"), *options, *at])
        members = {f"pvs-{n}": address for n, address in enumerate(MEMBERS, 1)}
        start("parent", nameservers.parent(folder, PLACES))
        start("unbound", nameservers.unbound(folder, PLACES))
        start("plain", _plain(folder))
        start("rrdns", nameservers.rrdns(folder, PLACES, members, ttl=ttl))
        wait_until(lambda: len(site.ask(PLAIN, PLAIN_NAME)) == 3, 10, "plain ready")
        wait_until(lambda: len(site.ask(PLACES.rrdns)) == 3, 10, "rrdns ready")
        wait_until(lambda: len(site.ask(PLACES.resolver)) == 3, 15, "unbound ready")
        yield site


def _plain(folder: Path) -> list[str | Path]:
    """Return a Knot DNS with a name for all members, which turns its answers."""
    home = folder / "plain"
    home.mkdir()
    zone = _PLAIN_ZONE.format(plain=PLAIN) + "".join(f"boot A {one}\n" for one in MEMBERS)
    (home / "plain.test.zone").write_text(zone)
    (home / "knot.conf").write_text(_KNOT.format(plain=PLAIN, folder=home))
    return [peer("knotd"), "-c", home / "knot.conf"]
