"""Replace the tables of docs/performance.md by measured ones: `python -m bench.performance_page`.

The text of the page is written by hand. A table belongs between `<!-- NAME -->` and
`<!-- /NAME -->`. It comes from samples.json of `python -m bench`, or from the JSON lines that
another tool printed into NAME.jsonl. A table without results stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import tables
from bench.rounds import Sample

MAX_ROUNDS = 10_000  # of one run
CALM = 0.1  # CPUs' worth of other work above which a latency is not judged


@dataclass(frozen=True, slots=True)
class Goal:
    """The largest accepted ratio of a server to a peer in the same round."""

    load: str
    server: str
    max_ratio: float
    peer: str = tables.BASELINE


GOALS = (
    Goal("plain", "rrdns-1-worker", 0.95),
    Goal("cookie", "rrdns-1-worker", 0.95),
    Goal("plain", "rrdns-2-workers", 1.0),
    Goal("cookie", "rrdns-2-workers", 1.0),
    Goal("plain", "rrdns-no-limits", 0.94),
    *(Goal(load, "rrdns-1-worker", 3.0) for load in ("new-cookie", "nxdomain", "case", "options")),
    *(Goal("plain", "rrdns-1-worker", 1.1, peer) for peer in ("knot", "nsd")),
    Goal("plain", "rrdns-1-worker", 1 / 40, "pdns-lua"),
    Goal("latency", "rrdns-1-worker", 1.25),
)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.performance_page", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    options = parser.parse_args()
    page = options.page.read_text()
    for name, text in blocks(options.results).items():
        page = replace_block(page, name, text)
    options.page.write_text(page)


def blocks(results: Path) -> dict[str, str]:
    """Return the text of each block that has results."""
    runs = [json.loads(path.read_text()) for path in sorted(results.rglob("samples.json"))]
    samples = [
        Sample(**one | {"round": one["round"] + number * MAX_ROUNDS})
        for number, run in enumerate(runs)
        for one in run["samples"]
    ]
    found = comparison(samples)
    if runs:
        found["machine"] = machine(runs)
    for path in sorted(results.rglob("*.jsonl")):
        if rows := [json.loads(line) for line in path.read_text().splitlines()]:
            found[path.stem] = tables.table(rows)
    return found


def comparison(samples: Sequence[Sample]) -> dict[str, str]:
    """Return the tables of the server comparison."""
    rows = {
        "shipped": tables.shipped(samples),
        "goals": [row for goal in GOALS if (row := judge(goal, samples))],
        "one-core": tables.one_core(samples),
        "latency": tables.latency(samples),
    }
    return {name: tables.table(found) for name, found in rows.items() if found}


def machine(runs: Sequence[dict[str, Any]]) -> str:
    """Return the machine of the first run, and how often each load was measured."""
    lines = [f"- {name}: {value}" for name, value in runs[0]["machine"].items()]
    totals: Counter[tuple[str, float, int]] = Counter()
    for run in runs:
        loads = ", ".join(dict.fromkeys(sample["load"] for sample in run["samples"]))
        totals[loads, run["seconds"], run["sockets"]] += run["rounds"]
    for (loads, seconds, sockets), rounds in totals.items():
        lines.append(f"- {loads}: {rounds} rounds of {seconds:g} s, dnsperf with {sockets} sockets")
    return "\n".join(lines)


def judge(goal: Goal, samples: Sequence[Sample]) -> dict[str, Any] | None:
    """Return the row of a goal, or None if it was not measured."""
    figure = tables.p99_us if goal.load == "latency" else tables.cpu_us
    ours = tables.rows_of(samples, goal.load, goal.server)
    found = tables.ratio(ours, tables.rows_of(samples, goal.load, goal.peer), figure)
    if found is None:
        return None
    met = "yes" if found.middle <= goal.max_ratio else "no"
    if goal.load == "latency" and median(one.other_load for one in ours) >= CALM:
        met = "not judged: other load"
    return {
        "load": goal.load,
        "configuration": goal.server,
        "figure": "p99 latency" if goal.load == "latency" else "CPU per response",
        "compared with": goal.peer,
        "goal": f"at most {goal.max_ratio:.3g}",
        "measured": found.text(3),
        "met": met,
    }


def replace_block(page: str, name: str, text: str) -> str:
    """Return the page with new text in one block; a page without this block stays as it is."""
    pattern = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)"
    return re.sub(pattern, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)


if __name__ == "__main__":
    main()
