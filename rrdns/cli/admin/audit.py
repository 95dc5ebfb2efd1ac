"""`rrdns audit`: show the audit trail."""

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

PAGE = 20  # entries without --limit


def audit(
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, max=1000, help="Maximum of entries.", show_default=str(PAGE)
        ),
    ] = None,
    before: Annotated[
        int | None, typer.Option("--before", min=1, help="Only entries with a smaller number.")
    ] = None,
    pool: OnlyPool = None,
    member: Annotated[
        str | None,
        typer.Option(
            "--member", help="Only members of this name.", autocompletion=completion.members
        ),
    ] = None,
    export: Annotated[
        bool, typer.Option("--export", help="All entries as JSON lines, the newest first.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show the audit trail: what happened to which member, when, by whose order, and why.

    The trail contains orders, changes of health, and reloads. The newest entry is last.

    For example:

        rrdns audit --member pvs-1

        rrdns audit --limit 1000 --json | jq '.entries[] | select(.action == "drain")'

        rrdns audit --export > audit.jsonl
    """
    from rrdns.cli.api.client import Client

    if export and (limit is not None or before is not None):
        raise CliError("--export writes all entries", "leave --limit and --before out", WRONG_USE)
    client = Client(url, token, ca_file)
    if export:
        for line in _lines(client.export_audit(pool=pool, member=member)):
            sys.stdout.buffer.write(line)
        sys.stdout.flush()
        return
    most = limit or PAGE
    page = client.audit(limit=most, before=before, pool=pool, member=member)
    if as_json:
        print_json(page)
        return
    entries = page["entries"]
    if not entries:
        typer.echo("The audit trail has no entries that match.")
        return
    print_rich(_table(entries, client.now()))
    oldest = min(entry["id"] for entry in entries)
    if len(entries) == most and oldest > 1:
        typer.echo(f"Older entries: rrdns audit --before {oldest}")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of a stream. If they go to a file, show their number on the terminal."""

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
    for entry in sorted(entries, key=lambda entry: int(entry["id"])):
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
