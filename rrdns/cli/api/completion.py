"""Complete the names of members, pools and tags when the user presses Tab.

The shell waits for the result. If the API does not answer at once, or refuses the call, there
are no completions and no message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from rrdns.cli.terminal.errors import CliError

TIMEOUT = 0.7  # seconds

Offer = tuple[str, str]  # a name, and its description


def members(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Return the members that are not on the command line yet, with their pools and states."""
    present = ctx.params.get("members") or ()
    only_pool = ctx.params.get("pool")
    states_of: dict[str, list[str]] = {}
    for pool in _pools(ctx):
        for member in pool["members"] if only_pool in {None, pool["name"]} else ():
            states_of.setdefault(member["name"], []).append(f"{pool['name']}: {member['why']}")
    return [
        (name, ", ".join(states))
        for name, states in states_of.items()
        if name.startswith(incomplete) and name not in present
    ]


def pools(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Return the pools, with the number of their members in rotation."""
    return [
        (pool["name"], _score(pool)) for pool in _pools(ctx) if pool["name"].startswith(incomplete)
    ]


def tags(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Return the tags, with the members that have them."""
    members_of: dict[str, list[str]] = {}
    for pool in _pools(ctx):
        for member in pool["members"]:
            for tag in member["tags"]:
                members_of.setdefault(tag, []).append(member["name"])
    return [
        (tag, ", ".join(names)) for tag, names in members_of.items() if tag.startswith(incomplete)
    ]


def _score(pool: dict[str, Any]) -> str:
    of = len(pool["members"])
    if pool["everything_down"]:
        return f"0 of {of} healthy"
    return f"{sum(bool(member['in']) for member in pool['members'])} of {of} in"


def _pools(ctx: typer.Context) -> Iterator[dict[str, Any]]:
    from rrdns.cli.api.client import Client

    try:
        options = (ctx.params[name] for name in ("url", "token", "ca_file"))
        client = Client(*options, patience=TIMEOUT)
        yield from client.pools(recent=0)
    except (CliError, KeyError, TypeError):
        return
