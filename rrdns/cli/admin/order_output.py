"""Print the result of an order, or of a preview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from rrdns.cli.admin.member_selection import remaining_text
from rrdns.cli.terminal.output import printable, relative_time


def targets(done: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the members that an order is for: pools and names."""
    return [(result["member"]["pool"], result["member"]["name"]) for result in done["members"]]


def single_result(done: dict[str, Any]) -> dict[str, Any]:
    """Return the result of an order for one member as the API shows that of a single member."""
    (result,) = done["members"]
    common = {name: value for name, value in done.items() if name != "members"}
    return {**common, **result, "remaining": done["remaining"][result["member"]["pool"]]}


def print_order(done: dict[str, Any], now: float) -> None:
    """Print the result of a drain or a force order."""
    if done["dry_run"]:
        _print_preview(done, now)
        return
    for result in done["members"]:
        typer.echo(_sentence(result, now))
    if done["guard"]:
        guard = printable(done["guard"])
        typer.echo(f"In the current state rrdns will refuse it at its start: {guard}.")
    if not any(result["member"]["in"] for result in done["members"]):
        them = "it" if len(done["members"]) == 1 else "them"
        typer.echo(f"Safe to work on {them} after {relative_time(done['safe_after'], now)}.")


def _sentence(result: Mapping[str, Any], now: float) -> str:
    member = result["member"]
    name = f"{printable(member['name'])} of pool {printable(member['pool'])}"
    plan, override = member.get("plan"), member.get("override")
    order = plan if plan and (result["changed"] or not override) else override or {}
    until = order.get("until")
    lasts = f"until {relative_time(until, now)}" if until else "until you resume it"
    sentence = printable(order.get("sentence", "ordered"))
    if order is plan and plan:
        return f"{name} {sentence} at {relative_time(plan['at'], now)}, {lasts}."
    state = f"is {sentence}" if result["changed"] else f"was already {sentence},"
    return f"{name} {state} {lasts}."


def _print_preview(done: dict[str, Any], now: float) -> None:
    typer.echo("Preview, nothing was changed:")
    for result in done["members"]:
        member = result["member"]
        change = "would change" if result["changed"] else "would not change"
        name = f"{printable(member['name'])} of pool {printable(member['pool'])}"
        typer.echo(
            f"  {name} ({member['why']}) {change}, safe after "
            f"{relative_time(result['safe_after'], now)}"
        )
    typer.echo(remaining_text(done["remaining"]))
    if done["guard"]:
        typer.echo(f"rrdns would REFUSE it: {printable(done['guard'])}.")


def print_resume(done: dict[str, Any]) -> None:
    """Print the result of a resume order."""
    if done["dry_run"]:
        changed = [result["member"] for result in done["members"] if result["changed"]]
        names = ", ".join(printable(member["name"]) for member in changed) or "no member"
        typer.echo(f"Preview, nothing was changed. It would end the orders for {names}.")
        typer.echo(remaining_text(done["remaining"]))
        return
    for result in done["members"]:
        member = result["member"]
        name = f"{printable(member['name'])} of pool {printable(member['pool'])}"
        if not result["changed"]:
            typer.echo(f"There was no order for {name}.")
        elif member["why"] == "no-member":
            typer.echo(f"The order for {name} has ended; the config has no such member.")
        elif member["in"]:
            typer.echo(f"{name} is resumed, and in the answers.")
        else:
            typer.echo(f"{name} is resumed, but stays out for now: {member['why']}.")
