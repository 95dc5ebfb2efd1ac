"""Compare rrdns with other DNS servers: CPU time per response, losses, latency.

Servers run side by side and receive the same loads in alternating rounds, on 127.0.0.1 only.
Servers run on CPU 0 and the client on CPU 1; configurations "as shipped" run on all cores.
A server that is not installed is left out. Results go to --out: samples.json, tables.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import performance_page, rounds, servers
from bench.load_generators import SOCKETS
from bench.rounds import LOADS, TITLES, Sample
from bench.server_configs import SERVERS

VERSIONS = "gdnsd -V, knotd --version, nsd -v, named -v, pdns_server --version, dnsperf -h"
EXAMPLES = """
examples:
  make bench                         everything, about 20 minutes
  python -m bench --servers rrdns-1-worker gdnsd --loads plain cookie --rounds 9
  python -m bench --loads latency --rounds 15 --calm 0.1 --out build/bench/latency
  python -m bench.performance_page   put the results into docs/performance.md

other tools, each with --help:
  python -m bench.flood    a client beside a flood
  python -m bench.soak     ten minutes of load, orders, reloads and killed workers
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the loads; write samples and tables."""
    options = parse(arguments)
    if os.cpu_count() == 1:
        print("the servers need a core of their own beside the client's", file=sys.stderr)
        return 2
    present = servers.installed(options.servers)
    for name in options.servers:
        if name not in present:
            print(f"not installed, left out: {name}", file=sys.stderr)
    about = describe_machine()
    samples = list(_measure(options, present))
    settings = {name: getattr(options, name) for name in ("rounds", "seconds", "seed", "sockets")}
    raw = {"machine": about, **settings, "samples": [asdict(sample) for sample in samples]}
    found = performance_page.comparison(samples)
    text = "\n\n".join(f"## {name}\n\n{table}" for name, table in found.items()) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "samples.json").write_text(json.dumps(raw, indent=1) + "\n")
    (options.out / "tables.md").write_text(text)
    print(f"{text}\nwritten to {options.out}")
    return 0


def _measure(options: argparse.Namespace, names: Sequence[str]) -> Iterator[Sample]:
    servers.use_client_cpu()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as streams,
        servers.members(),
        servers.servers(names) as running,
    ):
        plan = rounds.Plan(
            Path(streams), options.seconds, options.seed, options.sockets, options.calm
        )
        for one in rounds.run(plan, running, options.loads, options.rounds):
            p99 = f", p99 {one.p99_us:.0f} us" if one.p99_us is not None else ""
            print(
                f"round {one.round + 1} {one.load:10} {one.server:15} {one.cpu_us:8.2f} us, "
                f"{one.rate:9,.0f}/s, {one.lost} lost{p99}, other load {one.other_load:.0%}",
                file=sys.stderr,
                flush=True,
            )
            yield one


def describe_machine() -> dict[str, str]:
    """Return what is needed to repeat a measurement: date, machine, versions."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", cpuinfo)
    kind = "virtual machine" if "hypervisor" in cpuinfo else "no virtual machine"
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load average": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
        "processor": f"{os.cpu_count()} cores, {model[1] if model else platform.machine()}, {kind}",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{command.split()[0]: _version(*command.split()) for command in VERSIONS.split(", ")},
    }


def _version(name: str, option: str) -> str:
    path = shutil.which(name, path=servers.SEARCH)
    if path is None:
        return "not installed"
    done = subprocess.run([path, option], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found.group() if found else "unknown"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    known = [
        *("servers:", *(f"  {name:16} {config.title}" for name, config in SERVERS.items())),
        *("", "loads:", *(f"  {name:16} {title}" for name, title in TITLES.items())),
    ]
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog="\n".join(known) + "\n" + EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=[*SERVERS], metavar="NAME")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=[*LOADS], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each load; default: 1")
    parser.add_argument(
        "--sockets", type=int, default=SOCKETS, help=f"of dnsperf over UDP; default: {SOCKETS}"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the random queries; default: 1")
    parser.add_argument(
        "--calm",
        type=float,
        metavar="SHARE",
        help="before each load, wait until the host uses less than this share of one core",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="default: build/bench"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
