"""Show the progress of a boot storm, and its results."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrdns.cli.terminal.durations import format_duration, milliseconds
from rrdns.cli.terminal.output import print_json, print_rich, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rrdns.lab.bootstorm.storm import Storm, StormRun
    from rrdns.lab.bootstorm.summary import Summary, Times
    from rrdns.lab.bootstorm.target import Boot

_BAR = 30  # columns of the longest bar
_INTERVAL = 0.1  # seconds between two updates


@asynccontextmanager
async def show_progress(courses: Sequence[StormRun]) -> AsyncIterator[None]:
    """Show the progress of the storms during the block, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"))
    errors = Console(file=sys.stderr)
    with Progress(*columns, console=errors, transient=True, auto_refresh=False) as progress:
        tasks = [
            progress.add_task(printable(course.way.label), total=course.count, now="")
            for course in courses
        ]

        async def update() -> None:
            while True:
                for task, course in zip(tasks, courses, strict=True):
                    progress.update(task, completed=len(course.boots), now=_now(course))
                progress.refresh()
                await asyncio.sleep(_INTERVAL)

        updating = asyncio.create_task(update())
        try:
            yield
        finally:
            updating.cancel()


def _now(course: StormRun) -> str:
    failed = len(course.boots) - course.booted
    return f"{course.booted} booted, {failed} failed, {course.running} booting"


def title(storm: Storm) -> str:
    """Return the settings of a storm in one line."""
    kinds = ", ".join(dict.fromkeys(target.firmware.title for target in storm.targets))
    count = len(storm.targets)
    targets = f"{count:,} target{'' if count == 1 else 's'} ({kinds})"
    return f"{targets} within {storm.ramp:g} s, {storm.file.name}, seed {storm.seed}"


def print_result(storm: Storm, began: float, *, as_json: bool, chart: Path | None) -> None:
    """Write the results of a storm."""
    from rrdns.lab.bootstorm.summary import summarize

    summaries = [summarize(course.boots) for course in storm.courses]
    if as_json:
        print_json(_as_json(storm, summaries, began))
        return
    lines: list[RenderableType] = [title(storm)]
    for course, summary in zip(storm.courses, summaries, strict=True):
        lines += ["", *_in_words(course, summary)]
    if len(summaries) > 1:
        lines += ["", _compared(storm.courses, summaries)]
    if chart is not None:
        lines += ["", f"The chart of all boots is in {chart}."]
    print_rich(*lines)


def _in_words(course: StormRun, summary: Summary) -> list[RenderableType]:
    from rich.text import Text

    lines: list[RenderableType] = [Text(printable(course.way.label), "bold")]
    done = f"{summary.booted} of {summary.targets} booted"
    lines.append(Text(f"  {done}", "bold red" if summary.failed else "bold green"))
    if summary.targets < course.count:
        unfinished = course.count - summary.targets
        lines.append(Text(f"  interrupted: {unfinished} had not finished", "red"))
    if summary.shares:
        lines += [_servers(summary), *_spread(summary)]
    if summary.times is not None:
        lines.append(f"  from power-on to the boot file: {_times(summary.times)}")
        lines += _histogram(course.boots)
    return lines + [
        Text(f"  {reason.targets} failed: {printable(reason.sentence)}", "red")
        for reason in summary.reasons
    ]


def _servers(summary: Summary) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("  boot server")
    for column in ("booted", "share", "failed"):
        table.add_column(column, justify="right")
    for share in summary.shares:
        part = f"{share.booted / summary.booted:.1%}" if summary.booted else "-"
        failed = f"[red]{share.failed}[/]" if share.failed else "0"
        table.add_row(f"  {printable(share.server)}", str(share.booted), part, failed)
    return table


def _spread(summary: Summary) -> list[str]:
    if summary.uneven is None:
        return []
    return [f"  spread: servers that served are within {summary.uneven:.1%} of an even share"]


def _times(times: Times) -> str:
    return (
        f"median {_time(times.median)}, 95 % within {_time(times.p95)}, "
        f"from {_time(times.least)} to {_time(times.most)}"
    )


def _time(seconds: float) -> str:
    return milliseconds(seconds) if seconds < 1 else format_duration(seconds)


def _histogram(boots: Sequence[Boot]) -> list[RenderableType]:
    from rich.text import Text

    from rrdns.lab.bootstorm.summary import histogram

    bins = histogram([boot.seconds for boot in boots if boot.booted])
    most = max(bar.boots for bar in bins)
    return [
        Text.assemble(
            f"  {_time(bar.low) if bar.low else '0':>8} - {_time(bar.high):<8}",
            ("█" * round(bar.boots / most * _BAR) or ("▏" if bar.boots else ""), "cyan"),
            f" {bar.boots}",
        )
        for bar in bins
    ]


def _compared(courses: Sequence[StormRun], summaries: Sequence[Summary]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("compared")
    for column in ("booted", "failed", "median", "longest", "spread"):
        table.add_column(column, justify="right")
    for course, summary in zip(courses, summaries, strict=True):
        times, uneven = summary.times, summary.uneven
        table.add_row(
            printable(course.way.label),
            str(summary.booted),
            f"[red]{summary.failed}[/]" if summary.failed else "0",
            _time(times.median) if times else "-",
            _time(times.most) if times else "-",
            "-" if uneven is None else f"{uneven:.1%}",
        )
    return table


def _as_json(storm: Storm, summaries: Sequence[Summary], began: float) -> dict[str, Any]:
    from rrdns.timeformat import rfc3339

    return {
        "began": rfc3339(began),
        "seed": storm.seed,
        "clients": len(storm.targets),
        "ramp": storm.ramp,
        "file": storm.file.name,
        "port": storm.file.port,
        "storms": [
            {
                "way": course.way.label,
                **asdict(summary),
                "failed": summary.failed,
                "boots": [_boot(boot) for boot in sorted(course.boots, key=_number)],
            }
            for course, summary in zip(storm.courses, summaries, strict=True)
        ],
    }


def _number(boot: Boot) -> int:
    return boot.target.number


def _boot(boot: Boot) -> dict[str, Any]:
    return {
        "target": boot.target.number,
        "firmware": boot.target.firmware.name,
        "start": boot.target.start,
        "began": boot.began,
        "seconds": boot.seconds,
        "server": boot.server or None,
        "resolved": boot.resolved,
        "booted": boot.booted,
        "verdict": boot.verdict,
        "reason": boot.reason or None,
    }
