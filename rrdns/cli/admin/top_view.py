"""Make the screen of `rrdns top` from samples of the API, no higher than the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rrdns.cli.terminal.durations import clock_time, milliseconds
from rrdns.cli.terminal.output import printable
from rrdns.timeformat import from_rfc3339, rfc3339

Json = Mapping[str, Any]
EVENTS = 6  # shown at most
_STYLES = {"IN": "green", "OUT": "bold red"}
_ODD = {"drained", "forced-down", "forced-up", "standby", "assumed", "awaiting-probe"}


@dataclass(frozen=True, slots=True)
class ApiSample:
    """The state of rrdns at one time, as the API returned it."""

    at: float  # Unix seconds
    steady: float  # seconds on a monotonic clock
    ready: bool
    alarms: Sequence[Json]
    pools: Sequence[Json]
    queries: Mapping[str, float]  # by RCODE, since the start
    events: Sequence[Json]  # of the audit trail, the newest first
    answers: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by pool and member


def rates(before: ApiSample | None, now: ApiSample) -> dict[str, float]:
    """Return the queries a second by RCODE between two samples."""
    if before is None or now.steady <= before.steady:
        return dict.fromkeys(now.queries, 0.0)
    seconds = now.steady - before.steady
    return {
        rcode: max(0.0, count - before.queries.get(rcode, 0.0)) / seconds
        for rcode, count in now.queries.items()
    }


def shares(before: ApiSample | None, now: ApiSample) -> dict[tuple[str, str], float]:
    """Return each member's share of its pool's answers between two samples."""
    earlier = before.answers if before is not None else {}
    given = {key: max(0, n - earlier.get(key, n)) for key, n in now.answers.items()}
    totals: Counter[str] = Counter()
    for (pool, _), n in given.items():
        totals[pool] += n
    return {key: n / totals[key[0]] for key, n in given.items() if totals[key[0]]}


def as_json(before: ApiSample, now: ApiSample) -> dict[str, Any]:
    """Return the rates between two samples, and the current state, for scripts."""
    given = shares(before, now)
    return {
        "at": rfc3339(now.at),
        "seconds": round(now.steady - before.steady, 3),
        "ready": now.ready,
        "alarms": [alarm["name"] for alarm in now.alarms],
        "queries_per_second": {name: round(rate, 1) for name, rate in rates(before, now).items()},
        "pools": [
            {
                "name": pool["name"],
                "members": [
                    {
                        "name": member["name"],
                        "in": member["in"],
                        "why": member["why"],
                        "share": _rounded(given.get((pool["name"], member["name"]))),
                    }
                    for member in pool["members"]
                ],
            }
            for pool in now.pools
        ],
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def top_view(before: ApiSample | None, now: ApiSample, title: str, height: int) -> RenderableType:
    """Return the screen, no higher than the terminal."""
    head = [_title(now, title), _queries(rates(before, now)), *_alarms(now)]
    rows = sum(len(pool["members"]) for pool in now.pools)
    room = height - len(head) - 2  # the table's heading, and an empty line
    events = list(now.events[: max(0, min(EVENTS, room - min(rows, room - 2) - 1))])
    most = max(1, room - len(events) - (1 if events else 0))
    parts: list[RenderableType] = [*head, _members(before, now, most)]
    if events:
        parts.append(Text("last events", "dim"))
        parts += [_event(entry, now.at) for entry in reversed(events)]
    return Group(*parts)


def _title(now: ApiSample, title: str) -> Text:
    text = Text(f"{title}  {clock_time(now.at, now.at)}  ", "dim")
    text.append("ready" if now.ready else "NOT READY", "green" if now.ready else "bold red")
    text.append("  (q to quit)")
    return _one_line(text)


def _queries(per_second: Mapping[str, float]) -> Text:
    text = Text(f"queries/s {sum(per_second.values()):,.0f}", "bold")
    for rcode, rate in sorted(per_second.items(), key=lambda item: -item[1]):
        if rate > 0:
            text.append(f"  {rcode.upper()} {rate:,.0f}", "not bold")
    return _one_line(text)


def _alarms(now: ApiSample) -> list[Text]:
    return [
        _one_line(Text(printable(f"ALARM {alarm['name']}: {alarm['sentence']}"), "bold red"))
        for alarm in now.alarms[:3]
    ]


def _members(before: ApiSample | None, now: ApiSample, most: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0), expand=True)
    for heading in ("pool", "member", ""):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
    for heading in ("share", "probe"):
        table.add_column(heading, justify="right", no_wrap=True)
    given = shares(before, now)
    members = [(pool, member) for pool in now.pools for member in pool["members"]]
    # If not all members fit, the unhealthy ones come first.
    if len(members) > most:
        members.sort(key=lambda row: row[1]["why"] == "healthy")
    for pool, member in members[:most]:
        table.add_row(*_row(pool["name"], member, given))
    if len(members) > most:
        table.columns[3].footer = f"... and {len(members) - most} more"
        table.show_footer = True
    return table


def _row(
    pool: str, member: Json, given: Mapping[tuple[str, str], float]
) -> tuple[Text, Text, Text, Text, Text, Text]:
    state = "IN" if member["in"] else "OUT"
    style = "yellow" if member["why"] in _ODD else _STYLES[state]
    share = given.get((pool, member["name"]))
    probe = member.get("last_probe")
    return (
        Text(printable(pool)),
        Text(printable(member["name"]), "bold"),
        Text(state, style),
        Text(printable(_why(member))),
        Text(f"{share:.0%}" if share is not None else ""),
        Text(milliseconds(probe["seconds"]) if probe else "", "" if _passed(probe) else "red"),
    )


def _passed(probe: Json | None) -> bool:
    return probe is None or probe["verdict"] in ("ok", "slow")


def _why(member: Json) -> str:
    order, probe = member.get("override"), member.get("last_probe")
    if order:
        reason = f": {order['reason']}" if order["reason"] else ""
        return f"{order['sentence']}{reason}"
    return str((member if _passed(probe) or not probe else probe)["sentence"])


def _event(entry: Json, now: float) -> Text:
    subject = "/".join(part for part in (entry["pool"], entry["member"]) if part)
    after = f" -> {entry['after']}" if entry["after"] else ""
    why = f" ({entry['reason']})" if entry["reason"] else ""
    when = clock_time(from_rfc3339(entry["at"]), now)
    text = f"{when} {entry['by']} {entry['action']} {subject}{after}{why}"
    return _one_line(Text(printable(text)))


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
