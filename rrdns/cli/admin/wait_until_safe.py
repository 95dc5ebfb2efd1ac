"""Wait until members are safe to work on; show a countdown on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from rrdns.cli.terminal.durations import format_duration
from rrdns.cli.terminal.errors import CliError
from rrdns.cli.terminal.output import printable

if TYPE_CHECKING:
    from rrdns.cli.api.client import Client

Sleep = Callable[[float], None]
_TO_LINE_START = "\r" + " " * 30 + "\r"


def wait_until_safe(
    client: Client,
    targets: Iterable[tuple[str, str]],
    safe_after: str,
    *,
    quiet: bool,
    sleep: Sleep = time.sleep,
) -> None:
    """Return when all of these members (pool, name) are out of every answer and every cache.

    Raises:
        CliError: a member is in rotation again.
    """
    from rrdns.timeformat import from_rfc3339

    targets = list(targets)
    while True:
        wait_until(safe_after, clock=client.clock.at_least, quiet=quiet, sleep=sleep)
        members = [client.member(pool, name) for pool, name in targets]
        for member in members:
            if member["in"]:
                raise CliError(
                    f"{printable(member['name'])} is in rotation again: {member['why']}",
                    "`rrdns audit` shows what ended its order; drain it again",
                )
        # If a worker applies the order late, the time is later, too.
        safe_after = max(str(member["safe_after"] or safe_after) for member in members)
        if from_rfc3339(safe_after) <= client.clock.at_least():
            break
    if not quiet:
        typer.echo("It is safe now.")


def wait_until(
    safe_after: str,
    *,
    clock: Callable[[], float],
    quiet: bool = False,
    sleep: Sleep = time.sleep,
) -> None:
    """Return when the last answer with a member has expired; show a countdown on a terminal."""
    from rrdns.timeformat import from_rfc3339

    end = from_rfc3339(safe_after)
    counting = sys.stdout.isatty() and not quiet
    while (left := end - clock()) > 0:
        if counting:
            typer.echo(f"\rSafe in {format_duration(left)} ...    ", nl=False)
        sleep(min(left, 0.2 if counting else left))
    if counting:
        typer.echo(_TO_LINE_START, nl=False)
