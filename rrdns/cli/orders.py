"""`rrdns drain` and `rrdns resume`: take a member out of the answers, and put it back."""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.options import DEFAULT_URL, Json, PoolName, Token, Url
from rrdns.cli.say import safe, show_json, when
from rrdns.cli.times import span
from rrdns.cli.trouble import WRONG_USE, Trouble

if TYPE_CHECKING:
    from rrdns.cli.client import Client

MemberName = Annotated[
    str, typer.Argument(metavar="MEMBER", help="The member, as config names it.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; goes to the audit trail.")]


def drain(
    member: MemberName,
    pool: PoolName = None,
    lasting: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="How long, such as 90s, 2h or 1h30m."),
    ] = None,
    reason: Reason = "",
    force: Annotated[
        bool, typer.Option("--force", help="Even if too few members are left.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return only when it is safe.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Take a member out of the answers before you work on it.

    It is probed on. "Safe after" is when the last answer that names it has expired; --wait
    returns then, so that a script can go on. Exit status 1 when too few members would be left.

    For example:

        rrdns drain pvs-1 --for 2h --reason "patch night"

        rrdns drain pvs-1 --wait && ssh pvs-1 reboot
    """
    from rrdns.cli.client import Client

    order: dict[str, Any] = {"reason": reason, "force": force}
    if lasting is not None:
        order["for"] = _duration(lasting)
    client = Client(url, token)
    done = client.drain(find_pool(client, member, pool), member, order)
    if not as_json:
        _tell_drain(done, client.now())
    if wait:
        wait_until_safe(done["safe_after"], clock=client.at_least, quiet=as_json)
    if as_json:
        show_json(done)


def resume(
    member: MemberName,
    pool: PoolName = None,
    reason: Reason = "",
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Put a member back: its probes decide alone again.

    For example:

        rrdns resume pvs-1
    """
    from rrdns.cli.client import Client

    client = Client(url, token)
    done = client.resume(find_pool(client, member, pool), member, {"reason": reason})
    if as_json:
        show_json(done)
        return
    told = done["member"]
    name = f"{told['name']} of pool {told['pool']}"
    if not done["changed"]:
        typer.echo(f"Nothing was ordered for {name}.")
    elif told["in"]:
        typer.echo(f"{name} is back in the answers.")
    else:
        typer.echo(f"{name} is resumed, and stays out for now: {told['why']}.")


def find_pool(client: Client, member: str, pool: str | None) -> str:
    """Return the pool that a member is in, where its name alone tells.

    Raises:
        Trouble: no pool has such a member, or several have.
    """
    if pool is not None:
        return pool
    pools = client.pools()
    homes = [each["name"] for each in pools if member in _names(each)]
    if len(homes) == 1:
        return str(homes[0])
    if not homes:
        known = {name for each in pools for name in _names(each)}
        near = difflib.get_close_matches(member, known, n=1)
        advice = f"did you mean {near[0]}?" if near else "`rrdns status` lists the members"
        raise Trouble(f"no pool has a member {member!r}", advice, WRONG_USE)
    raise Trouble(
        f"{member!r} is a member of several pools: {', '.join(homes)}",
        "say which one: " + " or ".join(f"--pool {name}" for name in homes),
        WRONG_USE,
    )


def wait_until_safe(
    safe_after: str,
    *,
    clock: Callable[[], float],
    quiet: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when the last answer that names the member has expired; count down on a terminal."""
    from rrdns.web.times import from_rfc3339

    end = from_rfc3339(safe_after)
    counting = sys.stdout.isatty() and not quiet
    while (left := end - clock()) > 0:
        if counting:
            typer.echo(f"\rSafe in {span(left)} ...    ", nl=False)
        sleep(min(left, 0.2 if counting else left))
    if not quiet:
        typer.echo(f"{_TO_LINE_START if counting else ''}It is safe now.")


_TO_LINE_START = "\r" + " " * 30 + "\r"


def _names(pool: dict[str, Any]) -> set[str]:
    return {str(member["name"]) for member in pool["members"]}


def _duration(text: str) -> float:
    from rrdns.web.times import duration

    try:
        return duration(text)
    except ValueError as error:
        raise Trouble(f"--for: {error}", status=WRONG_USE) from error


def _tell_drain(done: dict[str, Any], now: float) -> None:
    member = done["member"]
    override = member.get("override") or {}
    until = override.get("until")
    lasts = f"until {when(until, now)}" if until else "until you resume it"
    state = "is drained" if done["changed"] else "was drained already,"
    typer.echo(f"{safe(member['name'])} of pool {safe(member['pool'])} {state} {lasts}.")
    typer.echo(f"Safe to work on it after {when(done['safe_after'], now)}.")
