"""Draw a storm: the start of each target, and the time that it took to boot.

Each way to find a server has a panel, all with the same axes. Next to it are bars of the
servers' targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rrdns.lab.bootstorm.storm import StormRun
from rrdns.lab.bootstorm.summary import Share, Summary, summarize
from rrdns.lab.bootstorm.svg import bar, dot, line, picture, text
from rrdns.lab.bootstorm.target import Boot

WIDTH, HEAD, FOOT = 860, 70, 40
LEFT, PLOT_WIDTH, PLOT_HEIGHT = 60, 520, 170
PANEL = HEAD + PLOT_HEIGHT + FOOT
SHARES_LEFT, SHARES_WIDTH = 705, 65
SERVER_COLOURS = ("#0b6e8a", "#c77d0a", "#5a7d2a", "#7a4fa3", "#8a5a44", "#4a5568")
FAILED = "#c22f2f"
GRID, FAINT = "#e3e8ec", "#5b6670"


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of all panels: seconds of the storm to the right, seconds to boot upwards."""

    longest: float  # of the ramp
    low: int  # powers of ten
    high: int

    @classmethod
    def of(cls, boots: Sequence[Boot]) -> Axes:
        """Return axes that fit all boots."""
        took = [max(boot.seconds, 0.001) for boot in boots] or [1.0]
        low, high = math.floor(math.log10(min(took))), math.ceil(math.log10(max(took)))
        longest = max([boot.began for boot in boots], default=1.0) or 1.0
        return cls(longest, low, max(high, low + 1))

    def right(self, began: float) -> float:
        """Return the position of a start time, from the left."""
        return LEFT + began / self.longest * PLOT_WIDTH

    def up(self, seconds: float) -> float:
        """Return the position of a duration, from the plot's top."""
        part = (math.log10(max(seconds, 10.0**self.low)) - self.low) / (self.high - self.low)
        return PLOT_HEIGHT * (1 - part)


def draw(courses: Sequence[StormRun], title: str) -> str:
    """Return the chart as an SVG."""
    boots = [boot for storm_run in courses for boot in storm_run.boots]
    axes = Axes.of(boots)
    servers = [share.server for share in summarize(boots).shares]
    colours = {
        server: SERVER_COLOURS[number % len(SERVER_COLOURS)]
        for number, server in enumerate(servers)
    }
    parts = [text(12, 24, title, 15, weight="bold")]
    for number, storm_run in enumerate(courses):
        parts += _panel(storm_run, axes, colours, 24 + number * PANEL)
    return picture(WIDTH, 34 + len(courses) * PANEL, title, parts)


def _panel(storm_run: StormRun, axes: Axes, colours: dict[str, str], top: float) -> list[str]:
    summary = summarize(storm_run.boots)
    counts = f"{summary.booted} booted, {summary.failed} failed"
    plot = top + HEAD
    return [
        text(12, top + 30, storm_run.way.label, 13, weight="bold"),
        text(12, top + 48, counts, 13, fill=FAILED if summary.failed else ""),
        *_grid(axes, plot),
        *[_mark(boot, axes, colours, plot) for boot in storm_run.boots],
        *_shares(summary, colours, plot),
    ]


def _grid(axes: Axes, plot: float) -> list[str]:
    """Return the lines of the plot, and their labels."""
    parts = [text(LEFT, plot - 8, "seconds to boot file", 11, fill=FAINT, anchor="middle")]
    for power in range(axes.low, axes.high + 1):
        at = plot + axes.up(10.0**power)
        parts.append(line(f"M{LEFT} {at:.1f}H{LEFT + PLOT_WIDTH}", GRID))
        parts.append(text(LEFT - 6, at + 4, f"{10.0**power:g}", 11, anchor="end", fill=FAINT))
    base = plot + PLOT_HEIGHT + 16
    for part in range(6):
        began = axes.longest * part / 5
        shown = f"{began:.0f}" if axes.longest >= 10 else f"{began:.1f}"
        parts.append(text(axes.right(began), base, shown, 11, anchor="middle", fill=FAINT))
    parts.append(text(LEFT + PLOT_WIDTH + 14, base, "switched on at (s)", 11, fill=FAINT))
    return parts


def _mark(boot: Boot, axes: Axes, colours: dict[str, str], plot: float) -> str:
    left, top = axes.right(boot.began), plot + axes.up(boot.seconds)
    if boot.booted:
        return dot(left, top, 3, colours[boot.server])
    cross = f"M{left - 4:.1f} {top - 4:.1f}l8 8m-8 0l8 -8"
    return line(cross, FAILED, 1.6)


def _shares(summary: Summary, colours: dict[str, str], plot: float) -> list[str]:
    """Return a bar for each server: its booted targets, and in red its failed ones."""
    parts = []
    most = max((share.asked for share in summary.shares), default=1)
    for number, share in enumerate(summary.shares):
        top = plot + number * 24
        parts.append(text(SHARES_LEFT - 6, top + 12, share.server, 11, anchor="end"))
        parts.append(_share(share, colours, top, SHARES_WIDTH / most))
    return parts


def _share(share: Share, colours: dict[str, str], top: float, scale: float) -> str:
    booted, failed = share.booted * scale, share.failed * scale
    counts = ((share.booted, ""), (share.failed, " failed"))
    label = ", ".join(f"{count}{word}" for count, word in counts if count)
    return (
        bar(SHARES_LEFT, top, booted, 16, colours[share.server])
        + bar(SHARES_LEFT + booted, top, failed, 16, FAILED)
        + text(SHARES_LEFT + booted + failed + 5, top + 12, label, 11)
    )
