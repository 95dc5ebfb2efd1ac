"""Draw the CPU per answer of each server and load as bars in one SVG, with its spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.report import OURS, Spread, cpu_us, of_load
from bench.rounds import TITLES, Sample
from rrdns.lab.bootstorm.svg import bar, line, picture, text

WIDTH, LABEL, VALUE = 860, 120, 90
BAR, GAP, HEAD = 16, 4, 34
OUR_COLOUR, THEIR_COLOUR = "#0b6e8a", "#b8c4cc"


def draw(samples: Sequence[Sample]) -> str:
    """Return an SVG of all loads in which CPU was measured; the scale is logarithmic."""
    loads = list(dict.fromkeys(sample.load for sample in samples))
    spreads = {
        load: {
            server: Spread.of(map(cpu_us, rows)) for server, rows in of_load(samples, load).items()
        }
        for load in loads
    }
    most = max(spread.high for servers in spreads.values() for spread in servers.values())
    scale = Scale(most)
    parts: list[str] = []
    top = HEAD
    for load, servers in spreads.items():
        parts.append(text(8, top + 14, TITLES[load], weight="bold"))
        top += HEAD - 8
        for server, spread in sorted(servers.items(), key=lambda item: item[1].middle):
            parts.append(_bar(server, spread, top, scale))
            top += BAR + GAP
        top += GAP * 3
    title = text(8, 20, "CPU microseconds per answer (logarithmic scale; less is better)", 15)
    label = "CPU microseconds per answer, by load and server"
    return picture(WIDTH, top, label, [title, *parts])


class Scale:
    """Where a figure stands on the logarithmic axis, which begins at one microsecond."""

    def __init__(self, most: float) -> None:
        self._factor = (WIDTH - LABEL - VALUE - 70) / math.log10(max(most, 10.0))

    def __call__(self, value: float) -> float:
        """Return the place in pixels, from the left end of the bars."""
        return math.log10(max(value, 1.0)) * self._factor


def _bar(server: str, spread: Spread, top: float, scale: Scale) -> str:
    length = scale(spread.middle)
    low, high = LABEL + scale(spread.low), LABEL + scale(spread.high)
    middle = top + BAR / 2
    colour = OUR_COLOUR if server == OURS else THEIR_COLOUR
    return (
        text(LABEL - 8, top + BAR - 4, server, anchor="end")
        + bar(LABEL, top, length, BAR, colour)
        + line(f"M{low:.1f} {middle}H{high:.1f}", "#333", 1.5)
        + text(high + 6, top + BAR - 4, f"{spread.middle:,.2f}")
    )
