"""`rrdns status`: show the table of all pools, once or every two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.api.options import DEFAULT_URL, CaFile, Json, OnlyPool, Token, Url
from rrdns.cli.terminal.errors import DONE, REFUSED, WRONG_USE, CliError
from rrdns.cli.terminal.output import console, print_json, print_json_line, print_rich

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rrdns.cli.api.client import Client

WATCH_INTERVAL = 2.0  # seconds


def status(
    pool: OnlyPool = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every 2 seconds.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show every member: in rotation or not, and why.

    Exit status 0 if all is well, 1 if rrdns is not ready or a pool has no healthy member.

    For example:

        rrdns status

        rrdns status --watch --url http://rrdns1.example.test:8053

        rrdns status --watch --json | jq -c '.pools[].members[] | select(.in | not) | .name'
    """
    from rrdns.cli.admin.status_table import is_well
    from rrdns.cli.api.client import Client

    client = Client(url, token, ca_file)
    if watch:
        (watch_lines if as_json else watch_table)(client, pool)
        return
    pools, readiness = fetch(client, pool)
    if as_json:
        print_json(_as_json(pools, readiness))
    else:
        print_rich(*_table(pools, readiness, client.now()))
    raise typer.Exit(DONE if is_well(pools, readiness) else REFUSED)


def fetch(client: Client, pool: str | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the pools, or the one of that name, and the readiness of the service.

    Raises:
        CliError: the API cannot be read, or there is no such pool.
    """
    pools = client.pools()
    if pool is not None:
        names = ", ".join(known["name"] for known in pools) or "none"
        pools = [known for known in pools if known["name"] == pool]
        if not pools:
            raise CliError(f"no pool is called {pool!r}", f"there are: {names}", WRONG_USE)
    return pools, client.readiness()


def watch_lines(
    client: Client, pool: str | None, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Write the status as a line of JSON every two seconds, until Ctrl-C.

    While the API cannot be read, a line has only an `error`.
    """
    with suppress(KeyboardInterrupt):
        while True:
            try:
                print_json_line(_as_json(*fetch(client, pool)))
            except CliError as error:
                if error.status == WRONG_USE:
                    raise
                print_json_line({"error": error.sentence})
            sleep(WATCH_INTERVAL)


def _as_json(pools: list[dict[str, Any]], readiness: dict[str, Any]) -> dict[str, Any]:
    return {"ready": readiness["ready"], "alarms": readiness["alarms"], "pools": pools}


def watch_table(
    client: Client, pool: str | None, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Show the table and refresh it every two seconds, until Ctrl-C."""
    from rich.live import Live

    try:
        if not sys.stdout.isatty():
            while True:
                print_rich(_current(client, pool), "")
                sleep(WATCH_INTERVAL)
        with Live(console=console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(_current(client, pool), refresh=True)
                sleep(WATCH_INTERVAL)
    except KeyboardInterrupt:
        return


def _current(client: Client, pool: str | None) -> RenderableType:
    """Return the current table, or the error while the API cannot be read."""
    from rich.console import Group
    from rich.text import Text

    now = time.strftime("%H:%M:%S")
    title = Text(f"{client.url}  {now}  (Ctrl-C to quit)", "dim")
    try:
        return Group(title, *_table(*fetch(client, pool), client.now()))
    except CliError as error:
        if error.status == WRONG_USE:
            raise
        return Group(title, Text(error.sentence, "bold red"), Text(error.advice))


def _table(
    pools: list[dict[str, Any]], readiness: dict[str, Any], now: float
) -> list[RenderableType]:
    from rrdns.cli.admin.status_table import status_table

    return status_table(pools, readiness, now)
