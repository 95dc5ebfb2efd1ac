"""Turn samples into medians, ratios within each round, and tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.rounds import TITLES, Sample

OURS = "rrdns"


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some figures, and their ends."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the median of some values with the least and the greatest."""
        known = list(values)
        return cls(median(known), min(known), max(known))

    def text(self, digits: int = 2) -> str:
        """Return it as `median (min-max)`."""
        return f"{self.middle:,.{digits}f} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


def of_load(samples: Iterable[Sample], load: str) -> dict[str, list[Sample]]:
    """Return the samples of one load by server, in the order in which servers first appear."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.load == load:
            found.setdefault(sample.server, []).append(sample)
    return found


def ratio(
    ours: Sequence[Sample], theirs: Sequence[Sample], figure: Callable[[Sample], float]
) -> Spread | None:
    """Return our figure over theirs, round by round; None where they share no round."""
    by_round = {sample.round: figure(sample) for sample in theirs}
    ratios = [
        figure(sample) / by_round[sample.round] for sample in ours if by_round.get(sample.round)
    ]
    return Spread.of(ratios) if ratios else None


def cpu_us(sample: Sample) -> float:
    """Return the CPU microseconds per answer."""
    return sample.cpu_us


def p99_us(sample: Sample) -> float:
    """Return the p99 latency, or infinity where it was not measured."""
    return sample.p99_us if sample.p99_us is not None else float("inf")


def tables(samples: Sequence[Sample]) -> str:
    """Return every load's table as Markdown."""
    loads = list(dict.fromkeys(sample.load for sample in samples))
    return "\n".join(_table(load, of_load(samples, load)) for load in loads)


def _table(load: str, servers: dict[str, list[Sample]]) -> str:
    timed = any(sample.p99_us is not None for rows in servers.values() for sample in rows)
    measure = p99_us if timed else cpu_us
    columns = ["server", "CPU us/answer", "user + system", "busiest process", "answers/s"]
    columns += ["lost", "p50 us", "p99 us"] if timed else ["lost"]
    columns += ["memory MB", "others on its CPU", f"{OURS} / server, {'p99' if timed else 'CPU'}"]
    lines = [f"### {TITLES[load]}", "", _row(columns), _row(["---"] * len(columns))]
    ours = servers.get(OURS, [])
    for server, rows in sorted(servers.items(), key=lambda item: _middle(item[1], measure)):
        compared = ratio(ours, rows, measure) if server != OURS else None
        lines.append(_row([server, *_cells(rows, timed), compared.text() if compared else "-"]))
    return "\n".join([*lines, ""])


def _cells(rows: Sequence[Sample], timed: bool) -> list[str]:
    split = f"{_middle(rows, lambda s: s.user_us):.2f} + {_middle(rows, lambda s: s.system_us):.2f}"
    cells = [
        Spread.of(map(cpu_us, rows)).text(),
        split,
        f"{_middle(rows, lambda s: s.busiest_us):.2f}",
        Spread.of(sample.rate for sample in rows).text(0),
        f"{sum(sample.lost for sample in rows)} of {sum(sample.sent for sample in rows):,}",
    ]
    if timed:
        cells.append(Spread.of(sample.p50_us or 0.0 for sample in rows).text(0))
        cells.append(Spread.of(map(p99_us, rows)).text(0))
    cells.append(f"{_middle(rows, lambda s: s.pss / 1e6):.1f}")
    return [*cells, f"{_middle(rows, lambda s: s.foreign):.0%}"]


def _middle(rows: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    return median(figure(sample) for sample in rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
