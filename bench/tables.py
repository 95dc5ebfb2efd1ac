"""Turn samples into medians, ratios within each round, and Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.rounds import TITLES, Sample
from bench.server_configs import SERVERS

BASELINE = "gdnsd"
SHIPPED = ("rrdns-default", "gdnsd-default")
Figure = Callable[[Sample], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and their range."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of at least one value."""
        known = list(values)
        return cls(median(known), min(known), max(known))

    def text(self, digits: int = 2) -> str:
        """Return it as `median (min-max)`."""
        return f"{self.middle:,.{digits}f} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


def rows_of(samples: Iterable[Sample], load: str, server: str) -> list[Sample]:
    """Return the samples of one load on one server."""
    return [sample for sample in samples if (sample.load, sample.server) == (load, server)]


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample], figure: Figure) -> Spread | None:
    """Return our figure divided by theirs, round by round; None without a common round."""
    by_round = {sample.round: figure(sample) for sample in theirs}
    ratios = [figure(one) / by_round[one.round] for one in ours if by_round.get(one.round)]
    return Spread.of(ratios) if ratios else None


def cpu_us(sample: Sample) -> float:
    """Return the CPU microseconds per response."""
    return sample.cpu_us


def p99_us(sample: Sample) -> float:
    """Return the p99 latency, or infinity where it was not measured."""
    return sample.p99_us if sample.p99_us is not None else float("inf")


def shipped(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return rrdns beside gdnsd, both as shipped, a row for each load."""
    found = []
    for load in dict.fromkeys(sample.load for sample in samples):
        ours, theirs = (rows_of(samples, load, server) for server in SHIPPED)
        compared = ratio(ours, theirs, cpu_us)
        if compared and load != "latency":
            found.append(
                {
                    "load": TITLES[load],
                    "rrdns us": Spread.of(map(cpu_us, ours)).text(),
                    "gdnsd us": Spread.of(map(cpu_us, theirs)).text(),
                    "rrdns / gdnsd": compared.text(),
                    "rrdns responses/s": round(median(one.rate for one in ours)),
                    "lost": f"{sum(one.lost for one in ours)} of {sum(one.sent for one in ours):,}",
                }
            )
    return found


def one_core(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return a row for each server on one core: CPU per load, and the ratio to gdnsd."""
    loads = [load for load in dict.fromkeys(one.load for one in samples) if load != "latency"]
    found = []
    for server in dict.fromkeys(one.server for one in samples if one.server not in SHIPPED):
        row: dict[str, Any] = {"configuration": SERVERS[server].title}
        for load in loads:
            rows = rows_of(samples, load, server)
            if rows:
                row[load] = f"{median(map(cpu_us, rows)):.2f}"
            compared = ratio(rows, rows_of(samples, load, BASELINE), cpu_us)
            if compared and server != BASELINE:
                row[load] += f" ({compared.middle:.2f})"
        own = [sample for sample in samples if sample.server == server]
        row["lost"] = f"{sum(one.lost for one in own)} of {sum(one.sent for one in own):,}"
        row["memory MB"] = f"{median(one.memory for one in own) / 1e6:.1f}"
        row["other load"] = f"{median(one.other_load for one in own):.0%}"
        found.append(row)
    return found


def latency(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return the latency of each server at a fixed rate."""
    theirs = rows_of(samples, "latency", BASELINE)
    found = []
    for server in dict.fromkeys(one.server for one in samples if one.load == "latency"):
        rows = rows_of(samples, "latency", server)
        compared = ratio(rows, theirs, p99_us)
        found.append(
            {
                "configuration": SERVERS[server].title,
                "p50 us": Spread.of(one.p50_us or 0.0 for one in rows).text(0),
                "p99 us": Spread.of(map(p99_us, rows)).text(0),
                "p99 / gdnsd": compared.text() if compared else None,
                "other load": f"{median(one.other_load for one in rows):.0%}",
            }
        )
    return found


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a Markdown table; the keys of all rows are its columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    """Return a value as text."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return f"{value[0]} to {value[-1]} (max {max(value)})" if value else "-"
        case dict():
            return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return "-" if value is None else str(value)
