"""Unbound and BIND follow a real delegation to rrdns, from a parent zone on Knot DNS."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.farm import BOOT_FILE
from tests.e2e.nameservers import NAME, RESOLVERS, Places, parent, rrdns
from tests.e2e.netns import Network, a_network
from tests.peers import peer, running, wait_until

pytestmark = pytest.mark.peers

PARENT, RRDNS, RESOLVER = "10.53.0.1", "10.53.0.2", "10.53.0.3"
MEMBERS = ("10.53.0.11", "10.53.0.12", "10.53.0.13")
TTL = 2
ROUNDING = 1.0  # resolvers keep the end of a TTL in whole seconds


@dataclass
class Site:
    """A parent zone, rrdns, three TFTP servers and a resolver in a network of their own."""

    network: Network
    signal_member: Callable[[int, int], None]

    def ask(self, server: str, name: str = NAME, kind: str = "A") -> list[str]:
        """Return the short answer of a server, in its order."""
        args = ("+short", "+tries=3", "+time=2", f"@{server}", name, kind)
        return self.network.run(peer("dig"), *args).split()

    def full(self, server: str, name: str, kind: str) -> str:
        """Return all that dig prints of a server's answer."""
        return self.network.run(peer("dig"), "+tries=3", "+time=2", f"@{server}", name, kind)


@contextmanager
def a_site(folder: Path, resolver: str) -> Iterator[Site]:
    """Set everything up, with `resolver` "unbound" or "named"."""
    places = Places(PARENT, RRDNS, RESOLVER)
    members = {f"pvs-{n}": address for n, address in enumerate(MEMBERS, 1)}
    (folder / "tftp").mkdir()
    (folder / "tftp" / "ARDBP32.BIN").write_bytes(BOOT_FILE)
    for path in (folder, *folder.parents[:2]):
        path.chmod(path.stat().st_mode | 0o755)  # wider only: one of them may be /tmp itself
    with ExitStack() as stack:
        network = stack.enter_context(a_network([PARENT, RRDNS, RESOLVER, *MEMBERS]))

        def start(*args: str | Path) -> int:
            log = folder / f"{Path(args[0]).name}.log"
            return stack.enter_context(running(network.command(*args), log=log)).pid

        options = ("--listen", "--foreground", "--user", "root", "--secure")
        pids = [
            start(peer("in.tftpd"), *options, "--address", f"{address}:69", folder / "tftp")
            for address in MEMBERS
        ]
        start(*parent(folder, places))
        start(*RESOLVERS[resolver](folder, places))
        start(*rrdns(folder, places, members, ttl=TTL))
        site = Site(network, lambda member, number: _signal(pids[member], number))
        wait_until(lambda: _answers(site, PARENT, 1, "example.test", "SOA"), 10, "parent ready")
        wait_until(lambda: _answers(site, RRDNS, 3), 10, "rrdns ready")
        wait_until(lambda: _answers(site, RESOLVER, 3), 15, f"{resolver} ready")
        yield site


def _answers(site: Site, server: str, least: int, name: str = NAME, kind: str = "A") -> bool:
    try:
        return len(site.ask(server, name, kind)) >= least
    except AssertionError:  # not up yet
        return False


def _signal(pid: int, number: int) -> None:
    os.kill(pid, number)


@pytest.mark.parametrize("resolver", ["unbound", "named"])
def test_a_resolver_follows_the_delegation_and_drops_a_silent_server_in_time(
    tmp_path: Path, resolver: str
) -> None:
    """Every name comes through; 4.5 s + TTL after a server fell silent it is in no response."""
    with a_site(tmp_path, resolver) as site:
        _is_answered_well(site)
        assert sorted(site.ask(RESOLVER)) == list(MEMBERS)
        site.signal_member(1, signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: MEMBERS[1] not in site.ask(RESOLVER), 4.5 + TTL + 5, "dropped")
        took = time.monotonic() - stopped
        assert took <= 4.5 + TTL + ROUNDING + 0.5  # 0.5 s for starting dig on a busy machine
        for _ in range(10):
            assert MEMBERS[1] not in site.ask(RESOLVER)
        site.signal_member(1, signal.SIGCONT)
        wait_until(lambda: MEMBERS[1] in site.ask(RESOLVER), 10, "back")


def _is_answered_well(site: Site) -> None:
    """Hold that apex, nameserver, AAAA and unknown names come through as they should."""
    assert site.ask(RESOLVER, "pvs.example.test", "NS") == ["ns1.pvs.example.test."]
    assert site.ask(RESOLVER, "ns1.pvs.example.test", "A") == [RRDNS]
    assert "SOA" in site.full(RESOLVER, NAME, "AAAA")
    assert "status: NOERROR" in site.full(RESOLVER, NAME, "AAAA")
    assert "status: NXDOMAIN" in site.full(RESOLVER, "nobody.pvs.example.test", "A")
    firsts: Counter[str] = Counter(site.ask(RRDNS)[0] for _ in range(30))
    assert sorted(firsts.values()) == [10, 10, 10]
