"""Write docs/performance.md and its chart from what was measured: `python -m bench.page`.

It reads samples.json, that of each folder beside it (what was measured in other rounds), and
for each benchmark of rrdns alone NAME.jsonl where there is one; nothing is filled in for a figure
that was not measured.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import chart, report
from bench.rounds import Sample

CALM = 0.1  # share of the servers' CPU that others may take before the page warns
ALONE = {
    "publish": "Publication: from a change to the first answer that follows it",
    "failures": "Killed and frozen processes",
    "growth": "Growth with pools and members",
    "probes": "Probing",
    "flood": "A client beside a flood",
    "crowd": "Clients beside thousands of TCP connections",
    "scaling": "One worker against two",
    "soak": "Soak",
}
METHOD = """\
## Method

`make bench` starts every server with the same zone and the same set of three members, on CPU 0,
with one thread or process that answers. The client runs on CPU 1. Nothing logs queries, limits
rates (but for rrdns-limited, which keeps an account of each answer, and exempts nobody), signs or
sends cookies; answers hold the set and no more. rrdns runs whole (supervisor,
control process and one worker) on that one CPU and probes its members over TFTP each second;
gdnsd-multifo and pdns-lua check theirs by TCP each five seconds; the others check nothing.

- Rounds alternate: within a load the servers follow one another at once, and each round begins
  with another one. Figures are medians over the rounds, with least and greatest. Ratios are taken
  within a round and their median is shown, so what else the machine did touches both sides.
- CPU is the operating system's account of the server's whole process tree (user + system),
  divided by the answers. "Busiest process" is the one that used most: for rrdns, its DNS worker.
- On the loopback interface the kernel's work for an arriving datagram is done on the sender's CPU:
  the server's account holds its own receiving and sending, for all servers alike.
- dnsperf keeps 100 queries in flight. "In batches" is a sender of the benchmark's own
  (`sendmmsg`, 256 in flight). Its opening burst may overfill a receive buffer of the default
  size: those few queries are the lost ones there.
- Latency is measured at 20,000 evenly spaced queries a second, from the send call to the moment
  the kernel puts the answer into the client's socket.
- Random names, cases, cookies and options come from a seed, 300,000 of each before they repeat.
- "Others on its CPU" is how much of the server's CPU other processes took meanwhile, the other
  servers and the system included; where it is high, only the ratios say something.
- Memory is PSS (shared pages divided among their users), right after the load.
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio that rrdns shall keep to."""

    load: str
    peers: tuple[str, ...]  # the best of these
    most: float
    figure: str = "cpu"
    server: str = report.OURS


GOALS = (
    Goal("hits", ("gdnsd",), 1.0),
    Goal("hits", ("knot", "nsd"), 1.1),
    Goal("hits", ("pdns-lua",), 1 / 40),
    Goal("edns", ("gdnsd",), 1.0),
    Goal("edns", ("knot", "nsd"), 1.1),
    Goal("edns", ("pdns-lua",), 1 / 40),
    Goal("nxdomain", ("gdnsd",), 3.0),
    Goal("case", ("gdnsd",), 3.0),
    Goal("cookies", ("gdnsd",), 3.0),
    Goal("options", ("gdnsd",), 3.0),
    Goal("latency", ("gdnsd",), 1.25, "p99"),
    Goal("hits", ("rrdns",), 1.15, server="rrdns-limited"),
    Goal("edns", ("rrdns",), 1.15, server="rrdns-limited"),
)


def main() -> None:
    """Write the page and the chart."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    wanted = parser.parse_args()
    files = [wanted.results / "samples.json", *sorted(wanted.results.glob("*/samples.json"))]
    runs = [json.loads(file.read_text()) for file in files]
    samples = [Sample.from_json(one) for run in runs for one in run["samples"]]
    (wanted.docs / "performance.svg").write_text(chart.draw(samples))
    page = "\n".join(sections(runs, samples, wanted.results))
    (wanted.docs / "performance.md").write_text(page.rstrip() + "\n")


def sections(
    runs: Sequence[dict[str, Any]], samples: Sequence[Sample], results: Path
) -> Iterator[str]:
    """Return the parts of the page in order."""
    yield "# Performance\n"
    yield "What was measured, and nothing else; written by `python -m bench.page`.\n"
    yield "![CPU microseconds per answer, by load and server](performance.svg)\n"
    yield machine(runs)
    yield noise(samples)
    yield goals(samples)
    yield METHOD
    yield "## rrdns beside its peers\n"
    yield report.tables(samples)
    for name, title in ALONE.items():
        path = results / f"{name}.jsonl"
        if path.exists():
            rows = [json.loads(line) for line in path.read_text().splitlines() if line]
            at = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
            yield f"## {title}\n"
            yield f"`python -m bench.{name}`, {at:%Y-%m-%d %H:%M} UTC\n\n{table(rows)}"


def machine(runs: Sequence[dict[str, Any]]) -> str:
    """Return what it was measured on, and in how many rounds; the machine is that of the first."""
    lines = [f"- {name}: {value}" for name, value in runs[0]["machine"].items()]
    for run in runs:
        loads, servers = (
            dict.fromkeys(sample[what] for sample in run["samples"]) for what in ("load", "server")
        )
        how = f"{run['rounds']} rounds of {run['seconds']:g} s for each server"
        lines.append(f"- {', '.join(loads)}: {how} ({', '.join(sorted(servers))})")
    return "\n".join(["## Machine\n", *lines, ""])


def noise(samples: Sequence[Sample]) -> str:
    """Return a warning if the servers did not have their CPU to themselves."""
    share = median(sample.foreign for sample in samples)
    if share < CALM:
        return ""
    return (
        f"**The machine was not calm:** in half of the runs other processes took {share:.0%} or "
        "more of the servers' CPU. Rates, losses and latencies say little then; CPU per answer "
        "and the ratios within a round say more.\n"
    )


def goals(samples: Sequence[Sample]) -> str:
    """Return each goal beside what was measured; empty without figures of ours."""
    rows = [row for goal in GOALS if (row := measured(goal, samples))]
    if not rows:
        return ""
    return f"## Goals\n\nThe server divided by the best of the peers named.\n\n{table(rows)}"


def measured(goal: Goal, samples: Sequence[Sample]) -> dict[str, Any] | None:
    """Return one goal's row, or None where it was not measured."""
    servers = report.of_load(samples, goal.load)
    figure = report.p99_us if goal.figure == "p99" else report.cpu_us
    spreads = {
        peer: spread
        for peer in goal.peers
        if (spread := report.ratio(servers.get(goal.server, []), servers.get(peer, []), figure))
    }
    if not spreads:
        return None
    peer, worst = max(spreads.items(), key=lambda item: item[1].middle)
    return {
        "load": goal.load,
        "server": goal.server,
        "figure": "p99 latency" if goal.figure == "p99" else "CPU per answer",
        "peer": peer,
        "goal": f"at most {goal.most:.3g}",
        "measured": worst.text(3),
        "kept": _verdict(goal, worst.middle, servers[goal.server]),
    }


def _verdict(goal: Goal, measured: float, ours: Sequence[Sample]) -> str:
    """Say whether a goal is kept; a latency on a busy machine proves neither."""
    if goal.figure == "p99" and median(sample.foreign for sample in ours) >= CALM:
        return "not judged: not calm"
    return "yes" if measured <= goal.most else "no"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a Markdown table; every row's keys are its columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[cell(row.get(column)) for column in columns] for row in rows]
    heads = [column.replace("_", " ") for column in lines[0]]
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, *lines[1:]]) + "\n"


def cell(value: Any) -> str:
    """Return a value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return f"{value[0]} to {value[-1]} (most {max(value)})" if value else "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return "-" if value is None else str(value)


if __name__ == "__main__":
    main()
