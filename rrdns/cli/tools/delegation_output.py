"""Check a delegation, show the progress, and print the findings."""

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

    what = f"Querying, and waiting for answers to expire (--wait {plan.timeout:g})"
    with waiting_message(what) as tick:
        seen = run_survey(plan, real_environment(timeout, tick))
    report = build_report(seen)
    print_report(seen, report, as_json=as_json)
    return REFUSED if report.findings else DONE


def print_report(seen: Observations, report: Report, *, as_json: bool) -> None:
    """Write the findings, for people or for scripts."""
    if as_json:
        print_json(_as_json(seen, report))
    else:
        print_rich(*_in_words(seen, report))


def _in_words(seen: Observations, report: Report) -> Iterator[RenderableType]:
    from rich.text import Text

    hostname = f", for {seen.pool.hostname}" if seen.pool is not None else ""
    yield Text(f"The delegation of {seen.zone.name}{hostname}:")
    yield _servers(report)
    for remedy, findings in groupby(report.findings, key=_remedy):
        yield Text("")
        for finding in findings:
            yield Text(f"{finding.code}: {printable(finding.sentence)}", "red")
        yield Text(f"  -> {printable(remedy)}")
    for note in report.notes:
        yield Text(f"\nNote: {printable(_note(note))}.", "yellow")
    count = len(report.findings)
    if count:
        yield Text(f"\n{count} finding{'s' if count > 1 else ''}.", "bold red")
    else:
        yield Text("\nNo findings.", "bold green")


def _remedy(finding: Finding) -> str:
    return f"{finding.remedy}; {_HINTS[finding.hint]}" if finding.hint else finding.remedy


def _note(note: Note) -> str:
    return f"{note.sentence}; {_HINTS[note.hint]}" if note.hint else note.sentence


def _servers(report: Report) -> Table:
    """Return a row for each server that was queried."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for row in report.servers:
        codes = ", ".join(finding.code for finding in row.findings)
        result = Text(codes, "red") if codes else Text(f"ok: {printable(row.ok_text)}", "green")
        table.add_row(Text(row.role), Text(printable(row.server), no_wrap=True), result)
    return table


def _as_json(seen: Observations, report: Report) -> dict[str, Any]:
    servers = [
        {"role": row.role, "server": row.server, "ok": not row.findings, "summary": row.ok_text}
        for row in report.servers
    ]
    return {
        "ok": not report.findings,
        "zone": seen.zone.name,
        "parent": seen.parent_zone or None,
        "hostname": seen.pool.hostname if seen.pool is not None else None,
        "asked": servers,
        "findings": [
            {
                "role": row.role,
                "server": row.server,
                "code": finding.code,
                "sentence": finding.sentence,
                "remedy": _remedy(finding),
            }
            for row in report.servers
            for finding in row.findings
        ],
        "notes": [_note(note) for note in report.notes],
    }
