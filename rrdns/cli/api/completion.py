"""Complete the names of members, pools and tags when somebody presses Tab.

The shell waits for it: an API that does not answer at once, or refuses, completes nothing
and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from rrdns.cli.terminal.errors import CliError

TIMEOUT = 0.7  # seconds

Offer = tuple[str, str]  # a name, and what is to be known of it


def members(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer members that are not named yet, with their pools and states."""
    named = ctx.params.get("members") or ()
    pool = ctx.params.get("pool")
    found: dict[str, list[str]] = {}
    for each in _pools(ctx):
        for member in each["members"] if pool in {None, each["name"]} else ():
            found.setdefault(member["name"], []).append(f"{each['name']}: {member['why']}")
    return [
        (name, ", ".join(states))
        for name, states in found.items()
        if name.startswith(incomplete) and name not in named
    ]


def pools(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer pools, with how many of their members are in."""
    return [
        (each["name"], _score(each)) for each in _pools(ctx) if each["name"].startswith(incomplete)
    ]


def tags(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer tags, with the members that have them."""
    found: dict[str, list[str]] = {}
    for each in _pools(ctx):
        for member in each["members"]:
            for tag in member["tags"]:
                found.setdefault(tag, []).append(member["name"])
    return [(tag, ", ".join(names)) for tag, names in found.items() if tag.startswith(incomplete)]


def _score(pool: dict[str, Any]) -> str:
    of = len(pool["members"])
    if pool["everything_down"]:
        return f"0 of {of} healthy"
    return f"{sum(bool(member['in']) for member in pool['members'])} of {of} in"


def _pools(ctx: typer.Context) -> Iterator[dict[str, Any]]:
    from rrdns.cli.api.client import Client

    try:
        asked = (ctx.params[name] for name in ("url", "token", "ca_file"))
        client = Client(*asked, patience=TIMEOUT)
        yield from client.pools(recent=0)
    except (CliError, KeyError, TypeError):
        return
