"""A network of hosts for a test: each in a namespace of its own, all on one switch.

The switch is a bridge in a namespace too, so that nothing of the machine's own network is
touched. A host can be cut off, as by a pulled cable, and virtual machines plug in by a tap.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.netns import Network
from tests.peers import need_root, peer

PORT = "eth0"  # what each host calls its way to the switch
WIDTH = 24
SWITCH = "switch"  # the bridge, and its host


@dataclass(frozen=True)
class Host(Network):
    """A host: a namespace with one address."""

    address: str

    def resolving_command(self, resolv_conf: Path, *args: str | Path) -> list[str]:
        """Return a command line as `command` does, with another /etc/resolv.conf for it alone.

        `ip netns exec` gives each command a mount namespace, so the mount ends with it.
        """
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return self.command("sh", "-c", script, resolv_conf, *args)


@dataclass(frozen=True)
class Lan:
    """Hosts on one switch."""

    switch: Network
    hosts: Mapping[str, Host]

    def __getitem__(self, name: str) -> Host:
        """Return a host by its name."""
        return self.hosts[name]

    def cut_off(self, name: str) -> None:
        """Pull a host's cable."""
        _ip("-n", self.switch.name, "link", "set", name, "down")

    def join(self, name: str) -> None:
        """Plug the cable in again."""
        _ip("-n", self.switch.name, "link", "set", name, "up")

    def add_tap(self, name: str) -> None:
        """Add a port to the switch, for a virtual machine that runs in the switch's namespace."""
        _ip("-n", self.switch.name, "tuntap", "add", "dev", name, "mode", "tap")
        self._plug_in(name)

    def remove_tap(self, name: str) -> None:
        """Take such a port away."""
        _ip("-n", self.switch.name, "link", "del", name)

    def add_host(self, host: Host, name: str) -> None:
        """Connect a host's namespace to the switch."""
        outer, inner = self.switch.name, host.name
        _ip("-n", outer, "link", "add", name, "type", "veth", "peer", PORT, "netns", inner)
        _ip("-n", inner, "link", "set", "lo", "up")
        _ip("-n", inner, "link", "set", PORT, "up")
        _ip("-n", inner, "addr", "add", f"{host.address}/{WIDTH}", "brd", "+", "dev", PORT)
        self._plug_in(name)

    def _plug_in(self, name: str) -> None:
        _ip("-n", self.switch.name, "link", "set", name, "master", SWITCH, "up")


@contextmanager
def a_lan(addresses: Mapping[str, str]) -> Iterator[Lan]:
    """Make hosts with these names and addresses, for the length of the block."""
    need_root("a network namespace")
    prefix = f"rrdns-test-{os.getpid()}"
    with ExitStack() as stack:
        switch = Network(stack.enter_context(_a_namespace(f"{prefix}-switch")))
        _ip("-n", switch.name, "link", "add", SWITCH, "type", "bridge", "forward_delay", "0")
        _ip("-n", switch.name, "link", "set", SWITCH, "up")
        lan = Lan(
            switch,
            {
                name: Host(stack.enter_context(_a_namespace(f"{prefix}-{name}")), address)
                for name, address in addresses.items()
            },
        )
        for name, host in lan.hosts.items():
            lan.add_host(host, name)
        yield lan


@contextmanager
def _a_namespace(name: str) -> Iterator[str]:
    _ip("netns", "add", name)
    try:
        yield name
    finally:
        # A namespace lives for as long as a process does in it, whatever its name's end.
        for pid in _ip("netns", "pids", name).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _ip("netns", "del", name)


def _ip(*args: str) -> str:
    return subprocess.run([peer("ip"), *args], check=True, stdout=subprocess.PIPE, text=True).stdout
