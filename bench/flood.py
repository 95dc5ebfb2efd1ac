"""A legitimate client beside a flood of the careful path: `python -m bench.flood`.

dnsperf sends as much as one core takes, with 1,000 queries in flight, which overfills the
server's socket now and then. Beside it a client asks for the served name 100 times a
second, and waits a second for each answer.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import cpu, mmsg, peers, query, solo

KINDS = ("nxdomain", "case", "cookies", "options")
CLIENT_RATE = 100
TIMEOUT = 1.0
STREAM = 400_000


def main() -> None:
    """Flood each server with each kind; print one line of JSON for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--only", default="rrdns,gdnsd")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=1)
    wanted = parser.parse_args()
    peers.be_client(solo.CLIENT_CPU)
    names = peers.installed(wanted.only.split(","))
    with (
        tempfile.TemporaryDirectory(prefix="flood-") as scratch,
        peers.members(solo.CLIENT_CPU),
        peers.servers(names, solo.SERVER_CPU) as running,
    ):
        for number in range(wanted.rounds):
            for kind in KINDS:
                path = Path(scratch) / kind
                stream = path if path.exists() else query.write_stream(path, kind, STREAM)
                for server in running:
                    found = flood(server, stream, wanted.seconds)
                    line = {"round": number, "server": server.name, "kind": kind} | found
                    print(json.dumps(line), flush=True)


def flood(server: peers.Running, stream: Path, seconds: float) -> dict[str, float]:
    """Flood one server; return what the client lost and what the server's memory did."""
    before = cpu.memory(server.pid)
    with flooding(server.port, stream, seconds + 1):
        time.sleep(0.5)
        halfway = cpu.memory(server.pid)
        sent, answered = client(server.port, seconds)
        after = cpu.memory(server.pid)
    return {
        "asked": sent,
        "lost": sent - answered,
        "lost_percent": round((sent - answered) / sent * 100, 2),
        "memory_before_mb": round(before.pss / 1e6, 2),
        "memory_begun_mb": round(halfway.pss / 1e6, 2),
        "memory_after_mb": round(after.pss / 1e6, 2),
    }


@contextmanager
def flooding(port: int, stream: Path, seconds: float) -> Iterator[None]:
    """Run dnsperf beside the block."""
    command = ["taskset", "-c", str(solo.CLIENT_CPU), "dnsperf", "-s", "127.0.0.1"]
    command += ["-p", str(port), "-B", "-d", str(stream), "-l", f"{seconds:g}", "-t", "1"]
    command += ["-q", "1000", "-c", "1", "-O", "suppress=timeout,congestion"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        peers.end(process)


def client(port: int, seconds: float) -> tuple[int, int]:
    """Ask at a steady rate; return how many queries were sent and how many answered in time."""
    question = query.encode(query.HOST)[2:]
    waiting: dict[bytes, float] = {}
    sent = answered = 0
    with mmsg.connected("127.0.0.1", port) as sock:
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + seconds + TIMEOUT:
            if sent < (now - begun) * CLIENT_RATE and now < begun + seconds:
                identity = (sent % 65536).to_bytes(2, "big")
                waiting[identity] = now
                sock.send(identity + question)
                sent += 1
            answered += _in_time(sock, waiting, 1 / CLIENT_RATE / 4)
    return sent, answered


def _in_time(sock: socket.socket, waiting: dict[bytes, float], wait: float) -> int:
    """Receive what comes within `wait` seconds; return how many answers were not too late."""
    found = 0
    while select.select([sock], [], [], wait)[0]:
        identity = sock.recv(1500)[:2]
        asked = waiting.pop(identity, 0.0)
        found += time.monotonic() - asked < TIMEOUT
        wait = 0.0
    return found


if __name__ == "__main__":
    main()
