"""What it costs to probe 1,000 members each second: `python -m bench.probes`.

One dnsmasq in another process is the TFTP server of all of them (it answers on every
address of 127.0.0.0/8, port 69, so this needs root). After the first round all probes are
light. An end of a probe's time is what the API tells (in milliseconds), so is its length.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import cpu, peers, query, solo
from bench.configs import BOOT_FILE, pool_table
from bench.report import Spread

TFTP = 69
POOL = 100  # members of one pool
SETTLE = 5.0  # seconds: the first probe of each member is a whole download


def main() -> None:
    """Probe for a while; print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.probes", description=__doc__)
    parser.add_argument("--members", type=int, default=1_000)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    wanted = parser.parse_args()
    peers.be_client(solo.CLIENT_CPU)
    with peers.boot_files() as files, dnsmasq(files):
        print(json.dumps(measure(wanted.members, wanted.interval, wanted.seconds)), flush=True)


@contextmanager
def dnsmasq(files: Path) -> Iterator[None]:
    """Serve the boot file on all of 127.0.0.0/8."""
    command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0"]
    command += ["--enable-tftp", f"--tftp-root={files}", "--tftp-max=4000", "--quiet-tftp"]
    command += ["--interface=lo", "--user=root", "--log-facility=-", "--pid-file="]
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        with peers.program(command, solo.CLIENT_CPU, log) as process:
            peers.wait(_serves, process, log)
            yield


def _serves() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.sendto(b"\0\1" + BOOT_FILE.encode() + b"\0octet\0tsize\x000\0", ("127.1.0.0", TFTP))
        try:
            reply, sender = sock.recvfrom(2048)
        except OSError:
            return False
        sock.sendto(b"\0\5\0\0done\0", sender)  # an ERROR ends the transfer
        return reply[1] == 6  # OACK


def measure(members: int, interval: float, seconds: float) -> dict[str, Any]:
    """Run rrdns with so many members and look at its control process."""
    with solo.service(pools_of(members, interval), patience=30.0) as running:
        time.sleep(max(SETTLE, 2 * interval))
        memory = [cpu.memory_of(running.control)]
        before = cpu.look(running.pid)[running.control].total
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            time.sleep(min(10.0, max(0.0, begun + seconds - time.monotonic())))
            memory.append(cpu.memory_of(running.control))
        used = cpu.look(running.pid)[running.control].total - before
        took = time.monotonic() - begun
        # Asked only now: making this report costs more than many probes.
        told = running.call("GET", "/v1/pools?recent=120")["pools"]
    probes = [member["recent"] for pool in told for member in pool["members"]]
    late = [lateness for recent in probes for lateness in lateness_of(recent, interval)]
    return {
        "members": members,
        "interval": interval,
        "seconds": round(took, 1),
        "failed": sum(not probe["passed"] for recent in probes for probe in recent),
        "cpu_us_per_probe": round(used / (members * took / interval) * 1e6, 1),
        "cpu_percent": round(used / took * 100, 1),
        "late_ms": Spread.of(late or [0.0]).text(1),
        "late_over_100_ms": sum(one > 100 for one in late),
        "starts_looked_at": len(late),
        "memory_mb": [round(held / 1e6, 1) for held in memory],
    }


def pools_of(members: int, interval: float) -> str:
    """Return pools of up to 100 members each, with addresses of their own."""
    tables = []
    for first in range(0, members, POOL):
        name = "boot" if first == 0 else f"p{first // POOL}"
        addresses = tuple(
            socket.inet_ntoa((127 << 24 | 1 << 16 | number).to_bytes(4, "big"))
            for number in range(first, min(first + POOL, members))
        )
        tables.append(
            pool_table(
                name,
                f"{name}.{query.ZONE}",
                addresses,
                interval=interval,
                full_every=86400.0,
                port=TFTP,
            )
        )
    return "".join(tables)


def lateness_of(recent: Sequence[dict[str, Any]], interval: float) -> list[float]:
    """Return how many milliseconds each start lies behind the rhythm of the earliest.

    A failed probe ends the rhythm: the next ones follow sooner, and it begins anew when the
    member is out of doubt, after two that passed.
    """
    late: list[float] = []
    offsets: list[float] = []
    passes = 2  # the first probe settles a member alone
    for probe in recent:
        if passes >= 2:
            end = dt.datetime.fromisoformat(probe["at"]).timestamp()
            offsets.append(end - probe["seconds"] - len(offsets) * interval)
        passes = passes + 1 if probe["passed"] else 0
        if not passes:
            late += _behind(offsets)
            offsets = []
    return late + _behind(offsets)


def _behind(offsets: Sequence[float]) -> list[float]:
    return [(offset - min(offsets)) * 1e3 for offset in offsets]


if __name__ == "__main__":
    main()
