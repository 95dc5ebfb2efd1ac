"""Read which members an order is for, and ask before it is given for several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rrdns.cli.api import completion
from rrdns.cli.terminal.errors import REFUSED, WRONG_USE, CliError
from rrdns.cli.terminal.output import printable

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


def selector_from_args(
    members: Sequence[str] | None, tag: str | None, pool: str | None, *, everywhere: bool
) -> dict[str, Any]:
    """Return the members that the arguments select, as the API takes it.

    Raises:
        CliError: the arguments select no member, or in two ways.
    """
    if everywhere and pool is not None:
        raise CliError("--pool and --all-pools say two things", "leave one out", WRONG_USE)
    if bool(members) == (tag is not None):
        raise CliError(
            "say which members: names, a pattern such as 'pvs-*', or --tag",
            "`rrdns status` lists the members",
            WRONG_USE,
        )
    selector: dict[str, Any] = {} if pool is None else {"pool": pool}
    if tag is not None:
        return {**selector, "tag": tag}
    names = list(members or ())
    if not all(names) or pool == "":
        what = "pool" if pool == "" else "member"
        raise CliError(f"the {what}'s name is empty", "is a variable not set?", WRONG_USE)
    if len(names) == 1 and _PATTERN & set(names[0]):
        return {**selector, "glob": names[0]}
    return {**selector, "members": names, "one_pool": is_single(names) and not everywhere}


def is_single(members: Sequence[str] | None) -> bool:
    """Return whether one member is plainly named."""
    return members is not None and len(members) == 1 and not _PATTERN & set(members[0])


def confirm(verb: str, preview: dict[str, Any]) -> None:
    """Show whom an order is for and who is left, and ask on a terminal where they are several.

    Raises:
        Trouble: the answer is no.
    """
    if len(preview["members"]) < 2 or not (sys.stdin.isatty() and sys.stdout.isatty()):
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
