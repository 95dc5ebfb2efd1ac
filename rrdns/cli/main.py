"""The command line: every verb, and nothing loaded before it is needed."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from rrdns.cli.audit import audit
from rrdns.cli.boot import boot
from rrdns.cli.check import check_config
from rrdns.cli.delegation import delegation
from rrdns.cli.dhcp import dhcp
from rrdns.cli.explain import explain
from rrdns.cli.lab import app as lab
from rrdns.cli.orders import drain, force, resume
from rrdns.cli.probe import probe
from rrdns.cli.query import query
from rrdns.cli.service import demo, serve
from rrdns.cli.status import status
from rrdns.cli.token import token
from rrdns.cli.top import top
from rrdns.cli.trouble import INTERRUPTED, REFUSED, Verbs, sentence_of

app = typer.Typer(
    name="rrdns",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SERVICE, _ADMIN, _TRY = "Run it", "Ask and order (over the admin API)", "Look closer"
app.command("serve", rich_help_panel=_SERVICE)(serve)
app.command("check-config", rich_help_panel=_SERVICE)(check_config)
app.command("token", rich_help_panel=_SERVICE)(token)
app.command("demo", rich_help_panel=_SERVICE)(demo)
app.command("status", rich_help_panel=_ADMIN)(status)
app.command("top", rich_help_panel=_ADMIN)(top)
app.command("drain", rich_help_panel=_ADMIN)(drain)
app.command("resume", rich_help_panel=_ADMIN)(resume)
app.command("force", rich_help_panel=_ADMIN)(force)
app.command("explain", rich_help_panel=_ADMIN)(explain)
app.command("audit", rich_help_panel=_ADMIN)(audit)
app.command("probe", rich_help_panel=_TRY)(probe)
app.command("query", rich_help_panel=_TRY)(query)
app.command("boot", rich_help_panel=_TRY)(boot)
app.add_typer(lab, name="lab", rich_help_panel=_TRY)
app.command("dhcp", rich_help_panel=_TRY)(dhcp)
app.command("delegation", rich_help_panel=_TRY)(delegation)


def _show_version(wanted: bool) -> None:
    if wanted:
        from rrdns import __version__

        typer.echo(f"rrdns {__version__}")
        raise typer.Exit


@app.callback(epilog="Exit status: 0 done, 1 refused or not healthy, 2 wrong usage or config.")
def rrdns(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Authoritative DNS for the name that Citrix Provisioning targets boot from.

    Only servers that really serve the boot file are answered, each first equally often.
    """


def main() -> None:
    """Run the command line."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may lack letters that a reason has
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="rrdns")
    except KeyboardInterrupt:  # before there is a verb
        sys.exit(INTERRUPTED)
    except OSError as error:  # help that cannot be written
        print(f"rrdns: {sentence_of(error)}", file=sys.stderr)  # noqa: T201 - as in trouble
        sys.exit(REFUSED)


def _open_what_is_closed() -> None:
    """Let standard streams that the caller has closed (`rrdns drain pvs-1 >&-`) go nowhere.

    Opened first and in this order they get their own numbers, which no socket can take then.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))
