"""`rrdns status`: the table of all pools, once or again and again."""

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
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show every member: in or out of the answers, and why.

    Exit status 0 when all is well, 1 when rrdns is not ready or a pool has no healthy member.

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
        Trouble: the API cannot tell, or there is no such pool.
    """
    pools = client.pools()
    if pool is not None:
        known = ", ".join(each["name"] for each in pools) or "none"
        pools = [each for each in pools if each["name"] == pool]
        if not pools:
            raise CliError(f"no pool is called {pool!r}", f"there are: {known}", WRONG_USE)
    return pools, client.readiness()


def watch_lines(
    client: Client, pool: str | None, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Write what there is as a line of JSON again and again, until somebody presses Ctrl-C.

    While rrdns cannot be asked, a line has only an `error`.
    """
    with suppress(KeyboardInterrupt):
        while True:
            try:
                print_json_line(_as_json(*fetch(client, pool)))
            except CliError as trouble:
                if trouble.status == WRONG_USE:
                    raise
                print_json_line({"error": trouble.sentence})
            sleep(WATCH_INTERVAL)


def _as_json(pools: list[dict[str, Any]], readiness: dict[str, Any]) -> dict[str, Any]:
    return {"ready": readiness["ready"], "alarms": readiness["alarms"], "pools": pools}


def watch_table(
    client: Client, pool: str | None, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Show the table again and again, until somebody presses Ctrl-C."""
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
    """Return the table as of now; while rrdns cannot be asked, why not."""
    from rich.console import Group
    from rich.text import Text

    now = time.strftime("%H:%M:%S")
    title = Text(f"{client.url}  {now}  (Ctrl-C ends this)", "dim")
    try:
        return Group(title, *_table(*fetch(client, pool), client.now()))
    except CliError as trouble:
        if trouble.status == WRONG_USE:
            raise
        return Group(title, Text(trouble.sentence, "bold red"), Text(trouble.advice))


def _table(
    pools: list[dict[str, Any]], readiness: dict[str, Any], now: float
) -> list[RenderableType]:
    from rrdns.cli.admin.status_table import status_table

    return status_table(pools, readiness, now)
