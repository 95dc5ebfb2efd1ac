"""Make the table of `rrdns status`: which members are in rotation, which are not, and why.

Fields that a newer API adds are ignored; unknown words in known fields are shown as they are.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rrdns.cli.terminal.durations import format_duration, milliseconds
from rrdns.cli.terminal.output import printable, relative_time
from rrdns.timeformat import from_rfc3339

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

Json = Mapping[str, Any]

_OUT = "bold red"
_IN = "green"
_ODD = "yellow"


def is_well(pools: Iterable[Json], readiness: Json) -> bool:
    """Return whether rrdns is ready and every pool has a healthy member."""
    return bool(readiness.get("ready")) and not any(pool["everything_down"] for pool in pools)


def status_table(pools: Sequence[Json], readiness: Json, now: float) -> list[RenderableType]:
    """Return the lines and tables to show, the most urgent first."""
    lines: list[RenderableType] = [*_alarms(pools, readiness, now), *_orphaned(readiness)]
    for pool in pools:
        lines += [*([""] if lines else []), _title(pool), PoolMembers(pool, now), *_remarks(pool)]
    if not pools:
        lines.append(Text("There are no pools.", _OUT))
    return lines


def _alarms(pools: Sequence[Json], readiness: Json, now: float) -> Iterator[Text]:
    alarms = readiness.get("alarms", [])
    for pool in pools:
        if pool["everything_down"]:
            yield Text(f" EVERYTHING IS DOWN in {_called(pool)}: {_consequence(pool)} ", _SHOUT)
    for alarm in alarms:
        since = relative_time(alarm.get("since"), now)
        text = f"ALARM {alarm['name']}{f', since {since}' if since else ''}: {alarm['sentence']}"
        yield Text(printable(text), _OUT)
    if not readiness.get("ready") and not alarms:
        yield Text("rrdns is NOT READY to answer queries.", _OUT)


def _orphaned(readiness: Json) -> Iterator[Text]:
    """Return a line for each order whose member is not in the config, with how to end it."""
    for order in readiness.get("orphaned", []):
        member, pool = order["member"], order["pool"]
        address = f" ({order['address']})" if order.get("address") else ""
        command = f"rrdns resume {shlex.quote(member)} --pool {shlex.quote(pool)}"
        text = f"{member}{address} in pool {pool}: {order['order']}, not in the config"
        yield Text(printable(f"  {text}. End it: {command}"), _ODD)


_SHOUT = "bold white on red"


def _called(pool: Json) -> str:
    return printable(f"pool {pool['name']} ({pool['hostname']})")


def _consequence(pool: Json) -> str:
    """Return what targets get when no member is healthy."""
    if pool["on_empty"] == "servfail":
        return "targets get SERVFAIL."
    if pool["on_empty"] == "silent":
        return "targets get no answer."
    in_rotation = sum(bool(member["in"]) for member in pool["members"])
    if not in_rotation:
        return "targets get SERVFAIL, since orders took all members out."
    members = "member that is" if in_rotation == 1 else f"{in_rotation} members that are"
    return f"targets still get the {members} not drained."


def _title(pool: Json) -> Text:
    title = Text(printable(pool["name"]), "bold")
    title.append(f"  {printable(pool['hostname'])}", "not bold")
    inside = sum(bool(member["in"]) for member in pool["members"])
    of = len(pool["members"])
    if pool["everything_down"]:  # members are in rotation only because all are down
        title.append(f"  0 of {of} healthy", _OUT)
        score = f", {inside} still in"
    else:
        score = f"  {inside} of {of} in"
    facts = (
        f"{score}, TTL {pool['ttl']} s, a dead server stays "
        f"in answers for {pool['worst_case']:.1f} s at most, {pool['queries']:,} "
        f"{'query' if pool['queries'] == 1 else 'queries'}"
    )
    return title.append(facts, "not bold dim")


@dataclass(frozen=True, slots=True)
class PoolMembers:
    """The members of a pool. Reasons that do not fit into the table follow below it."""

    pool: Json
    now: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the table that fits the width of the terminal."""
        unlimited = options.update(max_width=10_000)

        def fits(table: Table) -> bool:
            return Measurement.get(console, unlimited, table).maximum <= options.max_width

        whole = _table(self.pool, self.now)
        if options.max_width >= _ROOMY or fits(whole):
            yield whole
            return
        short = _short_table(self.pool, self.now, with_details=True)
        yield short if fits(short) else _short_table(self.pool, self.now, with_details=False)
        yield from _below(self.pool, self.now)


_ROOMY = 120  # columns: enough to fold reasons in a separate column


def _short_table(pool: Json, now: float, *, with_details: bool) -> Table:
    table = _new_table("", "member", *(["address"] if with_details else []), "why", "last probe")
    for heading in (["took"] if with_details else []) + ["share"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for member in pool["members"]:
        state, name, address, _, _, took, share = _row(member, now)
        probe = member.get("last_probe")
        word = f"{probe['verdict']}, {_ago(probe, now)} ago" if probe else "none yet"
        facts = Text(printable(member["why"])), Text(printable(word))
        if with_details:
            table.add_row(state, name, address, *facts, took, share)
        else:
            table.add_row(state, name, *facts, share)
    return table


def _below(pool: Json, now: float) -> Iterator[Text]:
    """Return the full reasons of each member that has more than one word of them."""
    for member in pool["members"]:
        probe = member.get("last_probe")
        reasons = list(_reasons(member, now))
        if probe and probe["verdict"] != "ok":
            reasons.append(str(probe["sentence"]))
        if reasons != [member["why"]]:
            yield Text.assemble(
                (printable(member["name"]), "bold"), printable(f": {'; '.join(reasons)}")
            )


def _table(pool: Json, now: float) -> Table:
    table = _new_table("", "member", "address")
    table.add_column("why", overflow="fold", ratio=3)
    table.add_column("last probe", overflow="fold", ratio=3)
    for heading in ("took", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for member in pool["members"]:
        table.add_row(*_row(member, now))
    return table


def _new_table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def _row(member: Json, now: float) -> tuple[Text, ...]:
    state, style = ("IN", _IN) if member["in"] else ("OUT", _OUT)
    if member["why"] in {"standby", "drained"}:
        style = _ODD
    probe = member.get("last_probe")
    return (
        Text(state, style),
        Text(printable(member["name"]), "bold"),
        Text(printable(member["address"])),
        Text(printable("; ".join(_reasons(member, now)))),
        _verdict(probe, now),
        Text(milliseconds(probe["seconds"]) if probe else ""),
        Text(f"{member['share']:.0%}" if member["in"] else ""),
    )


def _reasons(member: Json, now: float) -> Iterator[str]:
    """Return why a member is in or out, the deciding reason first."""
    why, standing, override = member["why"], member["standing"], member.get("override")
    if override:
        yield _order(override, now)
        yield str(standing["sentence"])
    else:
        sentence = str(member["sentence"])
        yield (
            f"{sentence}, since {relative_time(standing['since'], now)}"
            if why in _DOWN
            else sentence
        )
    plan = member.get("plan")
    if plan:
        yield f"{plan['sentence']} at {relative_time(plan['at'], now)}"
    safe_after = member.get("safe_after")
    if override and not member["in"] and safe_after is not None:
        passed = from_rfc3339(safe_after) <= now
        yield "safe to work on" if passed else f"safe after {relative_time(safe_after, now)}"


_DOWN = frozenset({"down", "last-resort"})


def _order(override: Json, now: float) -> str:
    text = str(override["sentence"])
    if override.get("reason"):
        text += f": {override['reason']}"
    until = override.get("until")
    return f"{text}, until {relative_time(until, now)}" if until else f"{text}, until it is resumed"


def _verdict(probe: Json | None, now: float) -> Text:
    if probe is None:
        return Text("none yet", "dim")
    ago = _ago(probe, now)
    if probe["verdict"] in ("ok", "slow"):
        return Text(f"ok, {ago} ago")
    return Text(printable(f"{probe['sentence']} ({ago} ago)"), _OUT)


def _ago(probe: Json, now: float) -> str:
    return format_duration(now - from_rfc3339(probe["at"]))


def _remarks(pool: Json) -> Iterator[Text]:
    """Return the warnings about members that stay in rotation."""
    for member in pool["members"]:
        warnings = (member.get("last_probe") or {}).get("warnings", [])
        for remark in dict.fromkeys([*warnings, *member.get("drift", [])]):
            subject = "" if member["name"] in remark else f"{member['name']}: "
            yield Text(f"  ! {printable(subject + remark)}", _ODD)
