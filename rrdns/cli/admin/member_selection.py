"""Find out whom an admin means, and ask before an order is given for several at once."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.api import completion
from rrdns.cli.terminal.errors import REFUSED, WRONG_USE, CliError
from rrdns.cli.terminal.output import printable

if TYPE_CHECKING:
    from rrdns.cli.api.client import Client

Members = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MEMBER",
        help="The members, as config names them, or 'pvs-*'.",
        autocompletion=completion.members,
        show_default=False,
    ),
]
Tag = Annotated[
    str | None,
    typer.Option("--tag", help="All members that have this tag.", autocompletion=completion.tags),
]
AllPools = Annotated[bool, typer.Option("--all-pools", help="In each pool that has such a member.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, also for several members.")]

_PATTERN = set("*?[")


def single_member(
    members: Sequence[str] | None, tag: str | None, pool: str | None, *, everywhere: bool
) -> str | None:
    """Return the single member that is plainly named, or None where a choice is to be made.

    Raises:
        Trouble: nobody is named, or in two ways.
    """
    if everywhere and pool is not None:
        raise CliError("--pool and --all-pools say two things", "leave one out", WRONG_USE)
    if bool(members) == (tag is not None):
        raise CliError(
            "say whom you mean: members, a pattern such as 'pvs-*', or --tag",
            "`rrdns status` lists the members",
            WRONG_USE,
        )
    if not everywhere and members and len(members) == 1 and not _PATTERN & set(members[0]):
        return members[0]
    return None


def selector_from_args(
    client: Client,
    members: Sequence[str] | None,
    tag: str | None,
    pool: str | None,
    *,
    orphaned: bool = False,
) -> dict[str, Any]:
    """Return which members are meant, as the API takes it.

    `orphaned`: also those that are in no pool any more, where there still is an order for them.
    """
    where = {} if pool is None else {"pool": pool}
    if tag is not None:
        return {"tag": tag, **where}
    names = list(members or ())
    if len(names) == 1 and _PATTERN & set(names[0]):
        return {"glob": names[0], **where}
    return {"members": _spelled_out(client, names, pool, orphaned=orphaned), **where}


def _spelled_out(
    client: Client, names: Iterable[str], pool: str | None, *, orphaned: bool
) -> list[str]:
    known = [
        str(member["name"])
        for each in client.pools()
        if pool in {None, each["name"]}
        for member in each["members"]
    ]
    if orphaned:
        known += [str(one["member"]) for one in _orphaned(client) if pool in {None, one["pool"]}]
    meant: dict[str, None] = {}
    for name in names:
        fitting = [one for one in known if fnmatchcase(one, name)]
        meant.update(dict.fromkeys(fitting if _PATTERN & set(name) and fitting else [name]))
    return list(meant)


def find_pool(
    client: Client, member: str, pool: str | None, *, or_all: str = "", orphaned: bool = False
) -> str:
    """Return the pool that a member is in, where its name alone tells.

    `orphaned`: or was in, where there still is an order for it.

    Raises:
        Trouble: no pool has such a member, or several have.
    """
    if pool is not None:
        return pool
    pools = client.pools()
    homes = [each["name"] for each in pools if member in _names(each)]
    if orphaned and not homes:
        homes = [each["pool"] for each in _orphaned(client) if each["member"] == member]
    if len(homes) == 1:
        return str(homes[0])
    if not homes:
        known = {name for each in pools for name in _names(each)}
        near = _nearest(member, sorted(known))
        advice = f"did you mean {near}?" if near else "`rrdns status` lists the members"
        raise CliError(f"no pool has a member {member!r}", advice, WRONG_USE)
    raise CliError(
        f"{member!r} is a member of several pools: {', '.join(homes)}",
        "say which one: " + " or ".join(f"--pool {name}" for name in homes) + or_all,
        WRONG_USE,
    )


def _orphaned(client: Client) -> list[dict[str, Any]]:
    """Return the orders that fit no member of the config."""
    orders: list[dict[str, Any]] = client.readiness().get("orphaned", [])
    return orders


def _nearest(name: str, known: Sequence[str]) -> str:
    """Return what may have been meant: the names that are equally near, three at most."""

    def nearness(one: str) -> float:
        return difflib.SequenceMatcher(None, one, name).ratio()

    near = difflib.get_close_matches(name, known)
    return " or ".join(sorted(one for one in near if nearness(one) == nearness(near[0])))


def confirm(verb: str, preview: dict[str, Any], *, yes: bool) -> None:
    """Show whom an order is for and who is left, and ask on a terminal where they are several.

    Raises:
        Trouble: the answer is no.
    """
    if yes or len(preview["members"]) < 2 or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    for one in preview["members"]:
        member = one["member"]
        typer.echo(
            f"  {printable(member['name'])} of pool {printable(member['pool'])}: {member['why']}"
        )
    typer.echo(remaining_text(preview["remaining"]))
    if preview["guard"]:
        typer.echo(f"The guard's word: {printable(preview['guard'])}.")
    if not typer.confirm(f"{verb} these {len(preview['members'])} members?"):
        raise CliError("nothing was changed", status=REFUSED)


def remaining_text(left: dict[str, list[str]]) -> str:
    """Return who is handed out, pool by pool."""
    return "\n".join(
        f"Handed out in pool {printable(pool)} then: {printable(', '.join(names)) or 'NOBODY'}."
        for pool, names in left.items()
    )


def _names(pool: dict[str, Any]) -> set[str]:
    return {str(member["name"]) for member in pool["members"]}
