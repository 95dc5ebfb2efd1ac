"""`rrdns audit`: who did what to whom, when and why."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import typer

from rrdns.cli.api import completion
from rrdns.cli.api.options import DEFAULT_URL, CaFile, Json, OnlyPool, Token, Url
from rrdns.cli.terminal.durations import clock_time
from rrdns.cli.terminal.errors import WRONG_USE, CliError
from rrdns.cli.terminal.output import print_json, print_rich, printable
from rrdns.cli.terminal.progress import counting

PAGE = 20  # entries, where nobody says otherwise


def audit(
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=1000, help="Most entries.", show_default=str(PAGE)),
    ] = None,
    before: Annotated[
        int | None, typer.Option("--before", min=1, help="Only entries with a smaller number.")
    ] = None,
    pool: OnlyPool = None,
    member: Annotated[
        str | None,
        typer.Option("--member", help="Only members so called.", autocompletion=completion.members),
    ] = None,
    export: Annotated[
        bool, typer.Option("--export", help="All of it as JSON lines, the newest first.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show who did what to whom, when and why.

    The trail holds orders, changes of standing, and reloads; the newest comes last.

    For example:

        rrdns audit --member pvs-1

        rrdns audit --limit 1000 --json | jq '.entries[] | select(.action == "drain")'

        rrdns audit --export > audit.jsonl
    """
    from rrdns.cli.api.client import Client

    if export and (limit is not None or before is not None):
        raise CliError("--export writes all of it", "leave --limit and --before out", WRONG_USE)
    client = Client(url, token, ca_file)
    if export:
        for line in _lines(client.export_audit(pool=pool, member=member)):
            sys.stdout.buffer.write(line)
        sys.stdout.flush()
        return
    most = limit or PAGE
    told = client.audit(limit=most, before=before, pool=pool, member=member)
    if as_json:
        print_json(told)
        return
    entries = told["entries"]
    if not entries:
        typer.echo("The audit trail has no such entries.")
        return
    print_rich(_table(entries, client.now()))
    oldest = min(entry["id"] for entry in entries)
    if len(entries) == most and oldest > 1:
        typer.echo(f"Older ones: rrdns audit --before {oldest}")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of what comes in; on a terminal they are their own progress."""

    def split() -> Iterator[bytes]:
        rest = b""
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line + b"\n" for line in whole)
        if rest:
            yield rest

    return split() if sys.stdout.isatty() else counting(split(), "entries")


def _table(entries: list[dict[str, Any]], now: float) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("number", "when", "who", "did", "to"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "number" else "left")
    table.add_column("change", overflow="fold")
    table.add_column("why", overflow="fold", ratio=1)
    for entry in sorted(entries, key=lambda each: int(each["id"])):
        table.add_row(*_row(entry, now))
    return table


def _row(entry: Mapping[str, Any], now: float) -> list[Any]:
    from rich.text import Text

    from rrdns.timeformat import from_rfc3339

    before, after = entry["before"], entry["after"]
    change = f"{before} -> {after}".strip() if before or after else ""
    cells = (
        str(entry["id"]),
        clock_time(from_rfc3339(entry["at"]), now),
        entry["by"],
        entry["action"],
        "/".join(part for part in (entry["pool"], entry["member"]) if part),
        change,
        entry["reason"],
    )
    return [Text(printable(cell)) for cell in cells]
