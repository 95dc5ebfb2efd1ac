"""`rrdns top`: a live view of pools, members, answers and events, until q is pressed."""

from __future__ import annotations

import select
import sys
import termios
import time
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from rrdns.cli.api.options import DEFAULT_URL, CaFile, Json, Token, Url
from rrdns.cli.terminal.errors import WRONG_USE, CliError
from rrdns.cli.terminal.output import console, print_json_line

if TYPE_CHECKING:
    from rrdns.cli.admin.top_view import ApiSample
    from rrdns.cli.api.client import Client

_QUIT_KEYS = {"q", "Q", "\x03", "\x04", ""}  # an empty read: the terminal is closed


def top(
    every: Annotated[
        float, typer.Option("--every", min=0.2, max=60.0, help="Seconds between two samples.")
    ] = 1.0,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Watch members, their shares of the answers, and events. Quit with q or Ctrl-C.

    With --json, each sample is a line for scripts: queries a second, and shares of the answers.

    For example:

        rrdns top --url http://rrdns1.example.test:8053

        rrdns top --json --every 60 >> load.jsonl
    """
    from rrdns.cli.api.client import Client

    if as_json:
        watch_lines(Client(url, token, ca_file), every)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError("rrdns top needs a terminal", "use `rrdns top --json` in scripts", WRONG_USE)
    with _keys():
        _watch(Client(url, token, ca_file), every)


def _watch(client: Client, every: float) -> None:
    from rich.live import Live
    from rich.text import Text

    from rrdns.cli.admin.top_view import top_view

    out, before = console(), None
    with Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            try:
                now = fetch(client)
            except CliError as error:
                if error.status == WRONG_USE:
                    raise
                live.update(Text(f"{error.sentence}\n{error.advice}", "bold red"), refresh=True)
            else:
                live.update(top_view(before, now, client.url, out.size.height), refresh=True)
                before = now
            if _wait_for_quit(every):
                return


def watch_lines(
    client: Client, every: float, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Write a line of JSON for the time between each two samples, until Ctrl-C."""
    from rrdns.cli.admin.top_view import as_json

    before = fetch(client)
    with suppress(KeyboardInterrupt):
        while True:
            sleep(every)
            try:
                now = fetch(client)
            except CliError as error:
                print_json_line({"error": error.sentence})
            else:
                print_json_line(as_json(before, now))
                before = now


def fetch(client: Client) -> ApiSample:
    """Fetch one sample of everything that is shown from the API.

    Raises:
        CliError: the API cannot be read.
    """
    from rrdns.cli.admin.top_view import EVENTS, ApiSample

    pools, readiness = client.pools(recent=0), client.readiness()
    return ApiSample(
        at=client.now(),
        steady=time.monotonic(),
        ready=bool(readiness["ready"]),
        alarms=readiness["alarms"],
        pools=pools,
        queries=queries_by_rcode(client.metrics()),
        events=client.audit(limit=EVENTS)["entries"],
        answers={
            (pool["name"], member["name"]): member["answers"]
            for pool in pools
            for member in pool["members"]
        },
    )


def queries_by_rcode(metrics: str) -> dict[str, float]:
    """Return the number of queries by RCODE from the metrics."""
    from prometheus_client.parser import text_string_to_metric_families

    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "rrdns_queries_total":
                found[sample.labels["rcode"]] += sample.value  # type: ignore[assignment]  # floats add up, too
    return dict(found)


def _wait_for_quit(seconds: float) -> bool:
    """Wait for a key; return whether it is one that quits."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            ready, _, _ = select.select([sys.stdin], [], [], left)
            if ready and sys.stdin.read(1) in _QUIT_KEYS:
                return True
        except KeyboardInterrupt:
            return True
    return False


@contextmanager
def _keys() -> Iterator[None]:
    """Read single keys from the terminal, and restore its mode afterwards."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield
    except KeyboardInterrupt:
        return
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
