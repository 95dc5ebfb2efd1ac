"""Measure a client beside a flood of queries that the packet cache cannot answer.

dnsperf sends as much as one core can, with 1,000 queries in flight, which overflows the
server's socket from time to time. Beside it a client sends 100 queries a second.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import process_usage, query_streams, servers
from bench.load_generators import dnsperf_command, measure_latency

KINDS = ("nxdomain", "case", "new-cookie", "options")
CLIENT_RATE = 100
STREAM = 400_000


def main() -> None:
    """Flood each server with each kind of query; print one line of JSON for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--servers", default="rrdns-1-worker,gdnsd", metavar="A,B")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flood")
    options = parser.parse_args()
    servers.use_client_cpu()
    names = servers.installed(options.servers.split(","))
    with (
        tempfile.TemporaryDirectory(prefix="flood-") as scratch,
        servers.members(),
        servers.servers(names) as running,
    ):
        for kind in KINDS:
            stream = query_streams.write_kind(Path(scratch) / kind, kind, STREAM)
            for server in running:
                found = {"flood": kind} | measure(server, stream, options.seconds)
                print(json.dumps(found), flush=True)


def measure(server: servers.Running, stream: Path, seconds: float) -> dict[str, Any]:
    """Return what a client lost during a flood, and how the server's memory grew."""
    before = process_usage.memory_of_tree(server.pid)
    command = dnsperf_command(
        server.port, stream, seconds + 2, cpu=servers.CLIENT_CPU, more=["-q", "1000"]
    )
    with servers.program(command, servers.CLIENT_CPU, Path(os.devnull)):
        time.sleep(0.5)
        query = query_streams.encode(query_streams.HOST)
        found = measure_latency(server.port, query, CLIENT_RATE, seconds)
        after = process_usage.memory_of_tree(server.pid)
    return {
        "configuration": server.name,
        "queries": found.sent,
        "lost": found.lost,
        "p99 us": round(found.quantile(0.99) or 0),
        "memory MB": [round(held / 1e6, 1) for held in (before, after)],
    }


if __name__ == "__main__":
    main()
