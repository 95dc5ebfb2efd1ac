"""`rrdns explain`: the next answers, why each member is in rotation or not, and what changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.api import completion
from rrdns.cli.api.options import DEFAULT_URL, CaFile, Json, Token, Url
from rrdns.cli.terminal.durations import format_duration, milliseconds
from rrdns.cli.terminal.output import print_json, print_rich, printable, relative_time

if TYPE_CHECKING:
    from rich.text import Text


def explain(
    pool: Annotated[
        str | None,
        typer.Argument(metavar="POOL", help="Only this pool.", autocompletion=completion.pools),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Show the next answers, why each member is in rotation or not, and what would change that.

    For example:

        rrdns explain boot
    """
    from rrdns.cli.api.client import Client

    client = Client(url, token, ca_file)
    explanation = client.explain(pool)
    if as_json:
        print_json(explanation)
        return
    for number, one_pool in enumerate(explanation["pools"]):
        print_rich(*([""] if number else []), *_lines(one_pool, client.now()))


def _lines(pool: Mapping[str, Any], now: float) -> Iterator[Text]:
    from rich.text import Text

    yield Text(printable(f"{pool['name']} ({pool['hostname']})"), "bold")
    if pool["next"]:
        yield Text("The next answers:")
    for number, answer in enumerate(pool["next"], 1):
        yield Text(printable(f"  {number}. {', '.join(answer)}"))
    yield Text(printable(f"  {pool['sentence'].capitalize()}."), "dim")
    for member in pool["members"]:
        yield from _member(member, now)


def _member(member: Mapping[str, Any], now: float) -> Iterator[Text]:
    from rich.text import Text

    style = "green" if member["in"] else "bold red"
    word = "IN " if member["in"] else "OUT"
    why, order = member["sentence"], member["override"]
    if order:
        why = order["sentence"] + (f": {order['reason']}" if order["reason"] else "")
    line = Text(word, style)
    line.append(
        printable(f" {member['name']}  {why}, since {relative_time(member['since'], now)}"),
        "default",
    )
    yield line
    if probe := member["probe"]:
        when = f"{milliseconds(probe['seconds'])}, {relative_time(probe['at'], now)}"
        yield Text(printable(f"      last deciding probe: {probe['sentence']} ({when})"))
    for change in member["would_change"]:
        yield Text(
            printable(f"      {'out' if member['in'] else 'in'} when {_change(change, now)}"), "dim"
        )


def _change(change: Mapping[str, Any], now: float) -> str:
    text = str(change["sentence"])
    if change["seconds"] is not None:
        text += f", in about {format_duration(change['seconds'])} at the earliest"
    if change["at"]:
        text += f" at {relative_time(change['at'], now)}"
    if not change["command"]:
        return text
    return f"{text}{'; to cancel it' if change['at'] else ''}: `{change['command']}`"
