"""Show how a storm of booting targets goes, and what came of it."""

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
_LOOK = 0.1  # seconds between two looks at a storm that goes on


@asynccontextmanager
async def show_progress(courses: Sequence[StormRun]) -> AsyncIterator[None]:
    """Show the courses while the block runs: on standard error, if that is a terminal."""
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

        async def look() -> None:
            while True:
                for task, course in zip(tasks, courses, strict=True):
                    progress.update(task, completed=len(course.boots), now=_now(course))
                progress.refresh()
                await asyncio.sleep(_LOOK)

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()


def _now(course: StormRun) -> str:
    failed = len(course.boots) - course.booted
    return f"{course.booted} booted, {failed} failed, {course.running} on their way"


def title(storm: Storm) -> str:
    """Return what was played, in a line."""
    kinds = ", ".join(dict.fromkeys(target.firmware.title for target in storm.targets))
    count = len(storm.targets)
    who = f"{count:,} target{'' if count == 1 else 's'} ({kinds})"
    return f"{who} within {storm.ramp:g} s, {storm.file.name}, seed {storm.seed}"


def print_result(storm: Storm, began: float, *, as_json: bool, chart: Path | None) -> None:
    """Write what came of a storm."""
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
        lines += ["", f"All boots are drawn in {chart}."]
    print_rich(*lines)


def _in_words(course: StormRun, summary: Summary) -> list[RenderableType]:
    from rich.text import Text

    lines: list[RenderableType] = [Text(printable(course.way.label), "bold")]
    done = f"{summary.booted} of {summary.targets} booted"
    lines.append(Text(f"  {done}", "bold red" if summary.failed else "bold green"))
    if summary.targets < course.count:
        lines.append(Text(f"  interrupted: {course.count - summary.targets} had not ended", "red"))
    if summary.shares:
        lines += [_servers(summary), *_spread(summary)]
    if summary.times is not None:
        lines += [f"  switched on to boot file: {_times(summary.times)}", *_histogram(course.boots)]
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
    return [f"  spread: those that served are at most {summary.uneven:.1%} off an even share"]


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

    bins = histogram([one.seconds for one in boots if one.booted])
    most = max(one.boots for one in bins)
    return [
        Text.assemble(
            f"  {_time(one.low) if one.low else '0':>8} - {_time(one.high):<8}",
            ("█" * round(one.boots / most * _BAR) or ("▏" if one.boots else ""), "cyan"),
            f" {one.boots}",
        )
        for one in bins
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
                "boots": [_boot(one) for one in sorted(course.boots, key=_number)],
            }
            for course, summary in zip(storm.courses, summaries, strict=True)
        ],
    }


def _number(one: Boot) -> int:
    return one.target.number


def _boot(one: Boot) -> dict[str, Any]:
    return {
        "target": one.target.number,
        "firmware": one.target.firmware.name,
        "start": one.target.start,
        "began": one.began,
        "seconds": one.seconds,
        "server": one.server or None,
        "resolved": one.resolved,
        "booted": one.booted,
        "verdict": one.verdict,
        "reason": one.reason or None,
    }
