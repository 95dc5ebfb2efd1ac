"""The command line: every verb, and nothing loaded before it is needed."""

from __future__ import annotations

import importlib
import os
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from rrdns.cli.terminal.errors import INTERRUPTED, REFUSED, CommandGroup, sentence_of

_SERVICE, _ADMIN, _TRY = "Run it", "Ask and order (over the admin API)", "Look closer"
_VERBS = {  # in the order of `--help`: the module that has the verb, its name there, its panel
    "serve": ("run.serve", "serve", _SERVICE),
    "check-config": ("run.check_config", "check_config", _SERVICE),
    "token": ("run.token", "token", _SERVICE),
    "demo": ("run.serve", "demo", _SERVICE),
    "status": ("admin.status", "status", _ADMIN),
    "top": ("admin.top", "top", _ADMIN),
    "drain": ("admin.orders", "drain", _ADMIN),
    "resume": ("admin.orders", "resume", _ADMIN),
    "force": ("admin.orders", "force", _ADMIN),
    "explain": ("admin.explain", "explain", _ADMIN),
    "audit": ("admin.audit", "audit", _ADMIN),
    "probe": ("tools.probe", "probe", _TRY),
    "query": ("tools.query", "query", _TRY),
    "boot": ("tools.boot", "boot", _TRY),
    "lab": ("tools.lab", "app", _TRY),
    "dhcp": ("tools.dhcp", "dhcp", _TRY),
    "delegation": ("tools.delegation", "delegation", _TRY),
}


class LazyVerbs(CommandGroup):
    """The verbs, each imported when it is used: `rrdns serve` must not wait for the others."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - the library's signature
        """Return the names of all verbs."""
        return list(_VERBS)

    def get_command(self, ctx: object, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        """Return a verb; None: there is no such one."""
        if cmd_name not in _VERBS:  # all are wanted, to suggest one that is spelled alike
            self.commands.update((name, _load(name)) for name in _VERBS)
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands[cmd_name]


def _load(name: str) -> Any:
    module, attribute, panel = _VERBS[name]
    verb = getattr(importlib.import_module(f"rrdns.cli.{module}"), attribute)
    alone = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=_CONTEXT,
    )
    if isinstance(verb, typer.Typer):
        alone.add_typer(verb, name=name, rich_help_panel=panel)
        return typer.main.get_group(alone).commands[name]
    alone.command(name, rich_help_panel=panel)(verb)
    return typer.main.get_command(alone)


_CONTEXT = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="rrdns",
    cls=LazyVerbs,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_CONTEXT,
)


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
