"""What keeps this host from probing takes no server out, and is told."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.farm import Rrdns, a_farm
from tests.peers import need_root, peer, wait_until

pytestmark = [pytest.mark.peers, pytest.mark.long]


def test_no_server_leaves_for_a_fault_of_this_host() -> None:
    """A filter, routes that forbid, and ports that are used up; in a namespace of its own."""
    need_root("a network namespace")
    peer("iptables")
    script = "from tests.e2e.test_cannot_probe import play; play()"
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path.cwd(),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def play() -> None:
    """Cause one fault after the other, while one server also really stops."""
    run("ip", "link", "set", "lo", "up")
    # in.tftpd takes no IPv4 address where the host has none but 127.0.0.0/8 (AI_ADDRCONFIG).
    run("ip", "addr", "add", "10.98.0.1/32", "dev", "lo")
    # Rules of ours go before the table of the host's own addresses.
    run("ip", "rule", "add", "prio", "10", "lookup", "local")
    run("ip", "rule", "del", "prio", "0")
    with tempfile.TemporaryDirectory() as folder, a_farm(Path(folder)) as (rrdns, servers):
        first = servers["pvs-1"].address
        wait_until(lambda: all_up(rrdns), 10, "all up")
        everybody = {server.address for server in servers.values()}
        faults = {
            "Operation not permitted": ("iptables", "-{}", "OUTPUT", "-d", first, "-j", "DROP"),
            "Permission denied": ("ip", "rule", "{}", "prio", "5", "to", first, "prohibit"),
            "Invalid argument": ("ip", "rule", "{}", "prio", "5", "to", first, "blackhole"),
        }
        for reason, command in faults.items():
            begin, end = ("A", "D") if command[0] == "iptables" else ("add", "del")
            with a_fault(command, begin, end):
                wait_until(lambda: reason in alarm(rrdns), 5, reason)  # noqa: B023 - called here
                assert "1 of 3 members of pool 'boot' cannot be probed" in alarm(rrdns)
                time.sleep(2.5)  # a failed probe would have taken it out by now
                assert set(rrdns.addresses()) == everybody, reason
            wait_until(lambda: not alarm(rrdns), 5, f"calm after: {reason}")
        # A route that is gone is the server's trouble, as far as anybody can tell.
        with a_fault(("ip", "rule", "{}", "prio", "5", "to", first, "unreachable"), "add", "del"):
            wait_until(lambda: first not in rrdns.addresses(), 3, "out without a route")
            assert not alarm(rrdns)
        wait_until(lambda: first in rrdns.addresses(), 3, "back")
        with a_fault(faults["Operation not permitted"], "A", "D"):
            wait_until(lambda: bool(alarm(rrdns)), 5, "told")
            servers["pvs-2"].stop()
            others = everybody - {servers["pvs-2"].address}
            wait_until(lambda: set(rrdns.addresses()) == others, 5, "out")
        wait_until(lambda: not alarm(rrdns), 5, "calm")
        servers["pvs-2"].start()
        wait_until(lambda: all_up(rrdns), 10, "all up again")
        without_descriptors(rrdns, everybody)
        ports = Path("/proc/sys/net/ipv4/ip_local_port_range")
        before = ports.read_text()
        ports.write_text(f"{rrdns.api_port} {rrdns.api_port}")
        try:
            time.sleep(3)
            ports.write_text(before)
            assert "no source port is free" in rrdns.log.read_text()
            assert set(rrdns.addresses()) == everybody
        finally:
            ports.write_text(before)


def without_descriptors(rrdns: Rrdns, everybody: set[str]) -> None:
    """Let the process that probes open no descriptor more; its API cannot be asked then."""
    control = rrdns.pids()["control"]
    before = resource.prlimit(control, resource.RLIMIT_NOFILE)
    told = rrdns.log.read_text().count("Too many open files")
    resource.prlimit(control, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        wait_until(
            lambda: rrdns.log.read_text().count("Too many open files") > told, 5, "told in the log"
        )
        time.sleep(2.5)  # a failed probe would have taken it out by now
        assert set(rrdns.addresses()) == everybody
    finally:
        resource.prlimit(control, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: not alarm(rrdns), 5, "calm with descriptors")
    assert all_up(rrdns)
    lines = rrdns.log.read_text().splitlines()
    raised = [line for line in lines if "Too many open files" in line and "cannot-probe" in line]
    assert len(raised) == 1, raised


def all_up(rrdns: Rrdns) -> bool:
    """Tell whether each member is healthy."""
    members = rrdns.json("GET", "/v1/pools/boot?recent=0")["members"]
    return all(one["why"] == "healthy" for one in members)


def alarm(rrdns: Rrdns) -> str:
    """Return what the alarm says; empty when there is none."""
    ready: Any = rrdns.call("GET", "/readyz")[1]
    found = [one["sentence"] for one in ready["alarms"] if one["name"] == "cannot-probe"]
    return found[0] if found else ""


@contextmanager
def a_fault(command: tuple[str, ...], begin: str, end: str) -> Iterator[None]:
    """Cause a fault by a command, and take it away again by the same with another verb."""
    run(*(word.format(begin) for word in command))
    try:
        yield
    finally:
        run(*(word.format(end) for word in command))


def run(*command: str) -> None:
    """Run a command to its end."""
    subprocess.run([peer(command[0]), *command[1:]], check=True, capture_output=True)
