"""Read the members of an order from the arguments, and confirm an order for several."""

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
        help="The members: names in the config, or a pattern such as 'pvs-*'.",
        autocompletion=completion.members,
        show_default=False,
    ),
]
Tag = Annotated[
    str | None,
    typer.Option("--tag", help="All members that have this tag.", autocompletion=completion.tags),
]
AllPools = Annotated[bool, typer.Option("--all-pools", help="In each pool that has the member.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

_PATTERN = set("*?[")


def selector_from_args(
    members: Sequence[str] | None, tag: str | None, pool: str | None, *, everywhere: bool
) -> dict[str, Any]:
    """Return the members that the arguments select, as the API takes it.

    Raises:
        CliError: the arguments select no member, or in two ways.
    """
    if everywhere and pool is not None:
        raise CliError("--pool and --all-pools exclude each other", "leave one out", WRONG_USE)
    if bool(members) == (tag is not None):
        raise CliError(
            "give the members: names, a pattern such as 'pvs-*', or --tag",
            "`rrdns status` lists the members",
            WRONG_USE,
        )
    selector: dict[str, Any] = {} if pool is None else {"pool": pool}
    if tag is not None:
        return {**selector, "tag": tag}
    names = list(members or ())
    if not all(names) or pool == "":
        what = "pool" if pool == "" else "member"
        raise CliError(
            f"the {what}'s name is empty", "check the variables of your script", WRONG_USE
        )
    if len(names) == 1 and _PATTERN & set(names[0]):
        return {**selector, "glob": names[0]}
    return {**selector, "members": names, "one_pool": is_single(names) and not everywhere}


def is_single(members: Sequence[str] | None) -> bool:
    """Return whether the argument is the name of one member, not a pattern."""
    return members is not None and len(members) == 1 and not _PATTERN & set(members[0])


def confirm(verb: str, preview: dict[str, Any]) -> None:
    """Show the members of an order and the remaining ones; on a terminal, confirm several.

    Raises:
        CliError: the admin did not confirm.
    """
    if len(preview["members"]) < 2 or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    for result in preview["members"]:
        member = result["member"]
        typer.echo(
            f"  {printable(member['name'])} of pool {printable(member['pool'])}: {member['why']}"
        )
    typer.echo(remaining_text(preview["remaining"]))
    if preview["guard"]:
        typer.echo(f"The guard would refuse it: {printable(preview['guard'])}.")
    if not typer.confirm(f"{verb} these {len(preview['members'])} members?"):
        raise CliError("nothing was changed", status=REFUSED)


def remaining_text(remaining: dict[str, list[str]]) -> str:
    """Return the members in rotation after an order, pool by pool."""
    return "\n".join(
        f"Then in rotation in pool {printable(pool)}: {printable(', '.join(names)) or 'NONE'}."
        for pool, names in remaining.items()
    )
