"""Tell what became of an order, or what would become of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from rrdns.cli.admin.member_selection import remaining_text
from rrdns.cli.terminal.output import printable, relative_time


def targets(done: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the members that an order is for: pools and names."""
    return [(one["member"]["pool"], one["member"]["name"]) for one in done["members"]]


def single_result(done: dict[str, Any]) -> dict[str, Any]:
    """Return the result of an order for one member as the API shows that of a single member."""
    (one,) = done["members"]
    result = {name: value for name, value in done.items() if name != "members"}
    return {**result, **one, "remaining": done["remaining"][one["member"]["pool"]]}


def print_order(done: dict[str, Any], now: float) -> None:
    """Say what became of an order that takes members out, or forces them in."""
    if done["dry_run"]:
        _print_preview(done, now)
        return
    for one in done["members"]:
        typer.echo(_sentence(one, now))
    if done["guard"]:
        typer.echo(f"As things are now it will be refused then: {printable(done['guard'])}.")
    if not any(one["member"]["in"] for one in done["members"]):
        them = "it" if len(done["members"]) == 1 else "them"
        typer.echo(f"Safe to work on {them} after {relative_time(done['safe_after'], now)}.")


def _sentence(one: Mapping[str, Any], now: float) -> str:
    member = one["member"]
    name = f"{printable(member['name'])} of pool {printable(member['pool'])}"
    plan, override = member.get("plan"), member.get("override")
    order = plan if plan and (one["changed"] or not override) else override or {}
    until = order.get("until")
    lasts = f"until {relative_time(until, now)}" if until else "until you resume it"
    sentence = printable(order.get("sentence", "ordered"))
    if order is plan and plan:
        return f"{name} {sentence} at {relative_time(plan['at'], now)}, {lasts}."
    state = f"is {sentence}" if one["changed"] else f"was already {sentence},"
    return f"{name} {state} {lasts}."


def _print_preview(done: dict[str, Any], now: float) -> None:
    typer.echo("Nothing was done. What it would do:")
    for one in done["members"]:
        member = one["member"]
        change = "would change" if one["changed"] else "is so already"
        name = f"{printable(member['name'])} of pool {printable(member['pool'])}"
        typer.echo(
            f"  {name} ({member['why']}) {change}, safe after "
            f"{relative_time(one['safe_after'], now)}"
        )
    typer.echo(remaining_text(done["remaining"]))
    if done["guard"]:
        typer.echo(f"It would be REFUSED: {printable(done['guard'])}.")


def print_resume(done: dict[str, Any]) -> None:
    """Say what became of members that were resumed."""
    if done["dry_run"]:
        names = [printable(one["member"]["name"]) for one in done["members"] if one["changed"]]
        typer.echo(f"Nothing was done. It would end what is ordered for: {', '.join(names)}.")
        typer.echo(remaining_text(done["remaining"]))
        return
    for one in done["members"]:
        told = one["member"]
        name = f"{printable(told['name'])} of pool {printable(told['pool'])}"
        if not one["changed"]:
            typer.echo(f"Nothing was ordered for {name}.")
        elif told["why"] == "no-member":
            typer.echo(f"The order for {name} is ended; the config has no such member.")
        elif told["in"]:
            typer.echo(f"{name} is resumed, and in the answers.")
        else:
            typer.echo(f"{name} is resumed, and stays out for now: {told['why']}.")
