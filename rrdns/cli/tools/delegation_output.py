"""Check a delegation, show that it goes on, and tell what was found."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from rrdns.cli.terminal.errors import DONE, REFUSED
from rrdns.cli.terminal.output import print_json, print_rich, printable
from rrdns.cli.terminal.progress import waiting_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from rrdns.core.delegation.observations import Finding, Note, Observations
    from rrdns.core.delegation.report import Report
    from rrdns.net.delegation_survey import SurveyPlan


# What the command line offers for each `Hint`.
_HINTS = {
    "print-records": "`rrdns delegation` prints what to enter there",
    "other-parent": "--parent ADDRESS names a server of the parent zone",
    "other-resolver": "--resolver ADDRESS names one",
    "query-rrdns": "`rrdns query NAME --server RRDNS` on its host shows that",
    "show-members": "`rrdns status` shows which members are out, and why",
    "longer-timeout": "--wait SECONDS allows more time",
}


def check(plan: SurveyPlan, timeout: float, *, as_json: bool) -> int:
    """Check a delegation, and return the exit status."""
    from rrdns.core.delegation.report import build_report
    from rrdns.net.delegation_survey import real_environment, run_survey

    what = f"Asking, and waiting for answers to expire (--wait {plan.timeout:g})"
    with waiting_message(what) as tick:
        seen = run_survey(plan, real_environment(timeout, tick))
    told = build_report(seen)
    print_report(seen, told, as_json=as_json)
    return REFUSED if told.findings else DONE


def print_report(seen: Observations, told: Report, *, as_json: bool) -> None:
    """Write what was found, for people or for scripts."""
    if as_json:
        print_json(_as_json(seen, told))
    else:
        print_rich(*_in_words(seen, told))


def _in_words(seen: Observations, told: Report) -> Iterator[RenderableType]:
    from rich.text import Text

    hostname = f", for {seen.pool.hostname}" if seen.pool is not None else ""
    yield Text(f"The delegation of {seen.zone.name}{hostname}:")
    yield _asked(told)
    for remedy, findings in groupby(told.findings, key=_remedy):
        yield Text("")
        for finding in findings:
            yield Text(f"{finding.code}: {printable(finding.sentence)}", "red")
        yield Text(f"  -> {printable(remedy)}")
    for note in told.notes:
        yield Text(f"\nNote: {printable(_note(note))}.", "yellow")
    count = len(told.findings)
    if count:
        yield Text(f"\n{count} finding{'s' if count > 1 else ''}.", "bold red")
    else:
        yield Text("\nAll is well.", "bold green")


def _remedy(finding: Finding) -> str:
    return f"{finding.remedy}; {_HINTS[finding.hint]}" if finding.hint else finding.remedy


def _note(note: Note) -> str:
    return f"{note.sentence}; {_HINTS[note.hint]}" if note.hint else note.sentence


def _asked(told: Report) -> Table:
    """Return a row for each server that was asked."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for one in told.servers:
        faults = ", ".join(finding.code for finding in one.findings)
        result = Text(faults, "red") if faults else Text(f"ok: {printable(one.ok_text)}", "green")
        table.add_row(Text(one.role), Text(printable(one.server), no_wrap=True), result)
    return table


def _as_json(seen: Observations, told: Report) -> dict[str, Any]:
    asked = [
        {"role": one.role, "server": one.server, "ok": not one.findings, "summary": one.ok_text}
        for one in told.servers
    ]
    return {
        "ok": not told.findings,
        "zone": seen.zone.name,
        "parent": seen.parent_zone or None,
        "hostname": seen.pool.hostname if seen.pool is not None else None,
        "asked": asked,
        "findings": [
            {
                "role": one.role,
                "server": one.server,
                "code": finding.code,
                "sentence": finding.sentence,
                "remedy": _remedy(finding),
            }
            for one in told.servers
            for finding in one.findings
        ],
        "notes": [_note(note) for note in told.notes],
    }
