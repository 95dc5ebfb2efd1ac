"""`python -m bench`: rrdns and its peers under the same loads, in alternating rounds."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import chart, machine, peers, report
from bench.configs import SERVERS
from bench.rounds import LOADS, Bench, Sample, run

SERVER_CPU, CLIENT_CPU = 0, 1
STANDARD = "hits,edns,nxdomain,case,cookies,options,tcp,hits-batched,latency"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; write tables, raw samples and the chart."""
    wanted = _parser().parse_args(arguments)
    loads, names = _chosen(wanted.what, LOADS), _chosen(wanted.only, SERVERS)
    if os.cpu_count() == 1:
        print("the servers need a core of their own beside the client's", file=sys.stderr)
        return 2
    present = peers.installed(names)
    for missing in sorted(set(names) - set(present)):
        print(f"not installed, left out: {missing}", file=sys.stderr)
    samples = _measure(wanted, present, loads)
    _write(wanted.out, samples, wanted)
    print(report.tables(samples))
    return 0


def _measure(
    wanted: argparse.Namespace, names: Sequence[str], loads: Sequence[str]
) -> list[Sample]:
    samples = []
    peers.be_client(CLIENT_CPU)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as streams,
        peers.members(CLIENT_CPU),
        peers.servers(names, SERVER_CPU) as running,
    ):
        bench = Bench(
            Path(streams), wanted.seconds, CLIENT_CPU, SERVER_CPU, wanted.seed, wanted.calm
        )
        for sample in run(bench, running, loads, wanted.rounds):
            print(_line(sample), file=sys.stderr, flush=True)
            samples.append(sample)
    return samples


def _line(sample: Sample) -> str:
    timed = (
        "" if sample.p99_us is None else f", p50 {sample.p50_us:.0f}, p99 {sample.p99_us:.0f} us"
    )
    return (
        f"round {sample.round + 1} {sample.load:16} {sample.server:14} "
        f"{sample.cpu_us:8.2f} us/answer {sample.rate:10,.0f}/s, {sample.lost} lost{timed}"
    )


def _write(directory: Path, samples: Sequence[Sample], wanted: argparse.Namespace) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    raw = {
        "machine": machine.describe(),
        "rounds": wanted.rounds,
        "seconds": wanted.seconds,
        "seed": wanted.seed,
        "samples": [sample.to_json() for sample in samples],
    }
    (directory / "samples.json").write_text(json.dumps(raw, indent=1) + "\n")
    (directory / "tables.md").write_text(report.tables(samples))
    (directory / "performance.svg").write_text(chart.draw(samples))
    print(f"written to {directory}", file=sys.stderr)


def _chosen(text: str, known: Mapping[str, object]) -> list[str]:
    chosen = list(dict.fromkeys(text.split(",")))
    for name in chosen:
        if name not in known:
            raise SystemExit(f"{name!r} is none of {', '.join(known)}")
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--only", default=",".join(SERVERS), metavar="SERVER,...")
    parser.add_argument("--what", default=STANDARD, metavar="LOAD,...", help=", ".join(LOADS))
    parser.add_argument("--seed", type=int, default=1, help="of the random queries")
    parser.add_argument(
        "--calm", type=float, help="wait before each load until others use less than this of a core"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="a directory")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
