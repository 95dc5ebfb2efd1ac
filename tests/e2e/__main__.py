"""Run every storm of docs/boot.md, print its figures, and draw its chart: `python -m tests.e2e`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.storms import CACHED, MEMBERS, STATIC, STRAIGHT, Stormed, a_storm_site

CHART = Path("docs/boot.svg")
VICTIM = MEMBERS[2]
ASKED = {STRAIGHT: "rrdns", CACHED: "rrdns through Unbound", STATIC: "plain round robin"}


@dataclass(frozen=True)
class Scenario:
    """200 targets within 30 s, as iPXE, in each of some ways."""

    title: str
    # rrdns turns its answers for whoever asks: who wants to see its spread keeps Unbound away.
    names: tuple[str, ...] = (STRAIGHT, STATIC)
    ttl: int = 5
    dead_for: float | None = None  # seconds for which a server is stopped before
    hit: str = ""  # what happens to it 10 s into the storm: "stop" or "silence"
    known_after: float = 0.0  # seconds until rrdns knows, at the most
    chart: Path | None = None

    def run(self, folder: Path) -> Stormed:
        """Return what came of it."""
        with a_storm_site(folder, ttl=self.ttl) as site:
            if self.dead_for is not None:
                site.stop(VICTIM)
                time.sleep(self.dead_for)
            hits = {"stop": site.stop, "silence": site.no_response}
            return site.storm(
                self.names,
                clients=200,
                ramp=30,
                chart=self.chart,
                hit=(lambda: hits[self.hit](VICTIM)) if self.hit else None,
                after=10.0,
            )


SCENARIOS = (
    Scenario("all three up"),
    Scenario("one stopped 5 s before", dead_for=5),
    *(
        Scenario(f"one stopped 5 s before, TTL {ttl} s", (CACHED,), ttl, dead_for=5)
        for ttl in (1, 5, 30)
    ),
    *(
        Scenario(f"one stopped {ttl + 5} s before, TTL {ttl} s", (CACHED,), ttl, dead_for=ttl + 5)
        for ttl in (5, 30)
    ),
    Scenario("one stopped in mid-storm, TTL 5 s", tuple(ASKED), hit="stop", known_after=1.5),
    Scenario(
        "one silent in mid-storm, TTL 5 s",
        tuple(ASKED),
        hit="silence",
        known_after=4.5,
        chart=CHART,
    ),
)


def rows(scenario: Scenario, stormed: Stormed) -> Iterator[str]:
    """Yield a line of the table for each way."""
    for name in scenario.names:
        one = stormed[name]
        yield _row(
            scenario.title,
            ASKED[name],
            one["failed"],
            _asked(scenario, stormed, name),
            _when(stormed, name),
            " : ".join(str(share["booted"]) for share in one["shares"]),
            "-" if scenario.hit else f"{one['uneven']:.1%}",
            f"{one['times']['median'] * 1000:.0f} ms",
        )


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _asked(scenario: Scenario, stormed: Stormed, name: str) -> str:
    """Return how many asked rrdns before the death was known and every answer had expired."""
    if not scenario.hit or name == STATIC:
        return "-"
    expiry = scenario.ttl if name == CACHED else 0.0
    return str(stormed.asked_within(name, 0.0, scenario.known_after + expiry))


def _when(stormed: Stormed, name: str) -> str:
    """Return when those that failed were switched on, from the moment of the hit."""
    times = [one["began"] - (stormed.hit_at or 0.0) for one in stormed[name]["boots"]]
    failed = [
        at for at, one in zip(times, stormed[name]["boots"], strict=True) if not one["booted"]
    ]
    return f"{min(failed):.1f} to {max(failed):.1f} s" if failed else "-"


def main() -> None:
    """Run them one after the other."""
    os.environ.setdefault("RRDNS_PEERS", "required")
    titles = "storm", "asked", "failed", "asked in time", "at", "served", "spread", "median"
    sys.stdout.write(f"{_row(*titles)}\n|{'---|' * len(titles)}\n")
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="rrdns-storm-") as folder:
            stormed = scenario.run(Path(folder))
        for row in rows(scenario, stormed):
            sys.stdout.write(f"{row}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
