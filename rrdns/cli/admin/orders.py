"""`rrdns drain`, `resume` and `force`: give orders for members."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.admin.member_selection import (
    AllPools,
    Members,
    Tag,
    Yes,
    confirm,
    is_single,
    selector_from_args,
)
from rrdns.cli.admin.order_output import print_order, print_resume, single_result, targets
from rrdns.cli.admin.wait_until_safe import wait_until_safe
from rrdns.cli.api import completion
from rrdns.cli.api.options import DEFAULT_URL, CaFile, Json, PoolName, Token, Url
from rrdns.cli.terminal.errors import REFUSED, WRONG_USE, CliError
from rrdns.cli.terminal.output import print_json

if TYPE_CHECKING:
    from rrdns.cli.api.client import Client

Reason = Annotated[str, typer.Option("--reason", help="The reason, for the audit trail.")]
Lasting = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="The duration: 90s, 2h or 1h30m."),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="WHEN", help="The end: 06:00 or 2026-01-31T06:00."),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="WHEN", help="A later start: 22:00, +2h or 2026-01-31T22:00."),
]
Force = Annotated[bool, typer.Option("--force", help="Also if too few members remain.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what the order would do.")]


def drain(
    members: Members = None,
    tag: Tag = None,
    pool: PoolName = None,
    all_pools: AllPools = False,
    lasting: Lasting = None,
    until: Until = None,
    at: At = None,
    reason: Reason = "",
    force: Force = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return only when it is safe.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Take members out of the answers before you work on them: all that you name, or none.

    rrdns continues to probe them. "Safe after" is the time when the last answer with them has
    expired; --wait returns at that time. Exit status 1 if too few members would remain.

    For example:

        rrdns drain pvs-1 --for 2h --reason "patch night"

        rrdns drain pvs-1 --all-pools --wait && ssh pvs-1 reboot

        rrdns drain --tag rack-1 --at 22:00 --until 06:00 --reason "new switch"

        rrdns drain 'pvs-*' --dry-run
    """
    from rrdns.cli.api.client import Client

    selector = selector_from_args(members, tag, pool, everywhere=all_pools)
    if wait and (dry_run or at is not None):
        raise CliError("--wait cannot be used with --dry-run or --at", "leave one out", WRONG_USE)
    order = {"reason": reason, "force": force, "dry_run": dry_run, **_times(lasting, until, at)}
    client, single = Client(url, token, ca_file), is_single(members) and not all_pools
    done = _execute(client, "drain", {**selector, **order}, asks=not (single or yes))
    if not as_json:
        print_order(done, client.now())
    if wait:
        wait_until_safe(client, targets(done), done["safe_after"], quiet=as_json)
    _finish(done, as_json=as_json, single=single)


def resume(
    members: Members = None,
    tag: Tag = None,
    pool: PoolName = None,
    all_pools: AllPools = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """End the orders for members: then their probes decide again. Scheduled orders are cancelled.

    If the config no longer has the member of an order, use the name that the order was given for,
    or a pattern. --tag selects only members of the config.

    For example:

        rrdns resume pvs-1

        rrdns resume --tag rack-1
    """
    from rrdns.cli.api.client import Client

    selector = selector_from_args(members, tag, pool, everywhere=all_pools)
    client, single = Client(url, token, ca_file), is_single(members) and not all_pools
    order = {**selector, "reason": reason, "dry_run": dry_run}
    done = _execute(client, "resume", order, asks=not (single or yes))
    if not as_json:
        print_resume(done)
    _finish(done, as_json=as_json, single=single)


class Direction(StrEnum):
    """The forced state of a member."""

    UP = "up"
    DOWN = "down"


def force(
    member: Annotated[
        str,
        typer.Argument(metavar="MEMBER", help="The member.", autocompletion=completion.members),
    ],
    direction: Annotated[
        Direction, typer.Argument(metavar="up|down", help="Into the answers, or out of them.")
    ],
    pool: PoolName = None,
    lasting: Lasting = None,
    until: Until = None,
    at: At = None,
    reason: Reason = "",
    override_guard: Force = False,
    dry_run: DryRun = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Override the probes: keep a member in the answers, or out of them, until you resume it.

    It needs an admin's token, since the probes are usually right.

    For example:

        rrdns force pvs-1 up --for 1h --reason "the probe's VLAN is down"
    """
    from rrdns.cli.api.client import Client

    if not is_single([member]):
        raise CliError(f"{member!r} is a pattern", "force needs the name of one member", WRONG_USE)
    selector = selector_from_args([member], None, pool, everywhere=False)
    times = _times(lasting, until, at)
    order = {"reason": reason, "force": override_guard, "dry_run": dry_run, **times}
    client = Client(url, token, ca_file)
    done = _execute(client, f"force-{direction}", {**selector, **order}, asks=False)
    if not as_json:
        print_order(done, client.now())
    _finish(done, as_json=as_json, single=True)


def _execute(client: Client, verb: str, order: dict[str, Any], *, asks: bool) -> dict[str, Any]:
    """Give an order; `asks`: on a terminal, show first what it does to several members."""
    path = f"/v1/orders/{verb}"
    if asks and not order["dry_run"]:
        confirm(verb.capitalize(), client.order(path, {**order, "dry_run": True}))
    return client.order(path, order)


def _times(lasting: str | None, until: str | None, at: str | None) -> dict[str, Any]:
    from rrdns.cli.terminal.durations import parse_start
    from rrdns.timeformat import duration

    if lasting is not None and until is not None:
        raise CliError("--for and --until both set the end", "leave one out", WRONG_USE)
    times: dict[str, Any] = {}
    reads: tuple[tuple[str, str, str | None, Callable[[str], Any]], ...] = (
        ("--for", "for", lasting, duration),
        ("--at", "at", at, parse_start),
        ("--until", "until", until, lambda text: _end(text, times.get("at"))),
    )
    for option, name, given, read in reads:
        if given is not None:
            try:
                times[name] = read(given)
            except ValueError as error:
                raise CliError(f"{option}: {error}", status=WRONG_USE) from error
    return times


def _end(text: str, begins: str | None) -> str:
    """Return the end of an order. "06:00" is the next 06:00 after its start."""
    from rrdns.cli.terminal.durations import parse_moment
    from rrdns.timeformat import start_of

    if begins is None:
        return parse_moment(text)
    return parse_moment(text, datetime.fromtimestamp(start_of(begins, time.time())).astimezone())


def _finish(done: dict[str, Any], *, as_json: bool, single: bool) -> None:
    if as_json:
        print_json(single_result(done) if single else done)
    if done["dry_run"] and done["guard"]:
        raise typer.Exit(REFUSED)
