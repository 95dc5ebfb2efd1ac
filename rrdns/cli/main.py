"""The command line. The module of a verb is imported when the verb is used."""

from __future__ import annotations

import importlib
import os
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from rrdns.cli.terminal.errors import INTERRUPTED, REFUSED, CommandGroup, sentence_of

_SERVICE, _ADMIN, _TOOLS = (
    "Run rrdns",
    "Administer a running rrdns (over its API)",
    "Test and set up",
)
_VERBS = {  # in the order of `--help`: the verb's module, its name there, its panel
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
    "probe": ("tools.probe", "probe", _TOOLS),
    "query": ("tools.query", "query", _TOOLS),
    "boot": ("tools.boot", "boot", _TOOLS),
    "lab": ("tools.lab", "app", _TOOLS),
    "dhcp": ("tools.dhcp", "dhcp", _TOOLS),
    "delegation": ("tools.delegation", "delegation", _TOOLS),
}


class LazyVerbs(CommandGroup):
    """The verbs. Each is imported when it is used, so that `rrdns serve` starts fast."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - the library's signature
        """Return the names of all verbs."""
        return list(_VERBS)

    def get_command(self, ctx: object, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        """Return a verb, or None if there is no verb of this name."""
        if cmd_name not in _VERBS:  # the library suggests a similar name from `commands`
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

    The answers contain only servers that really serve the boot file. Each is first equally often.
    """


def main() -> None:
    """Run the command line."""
    _reopen_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may lack a character of a message
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="rrdns")
    except KeyboardInterrupt:  # before a verb runs
        sys.exit(INTERRUPTED)
    except OSError as error:  # the help cannot be written
        print(f"rrdns: {sentence_of(error)}", file=sys.stderr)  # noqa: T201 - the message itself
        sys.exit(REFUSED)


def _reopen_closed_streams() -> None:
    """Open /dev/null for each standard stream that the caller closed (`rrdns drain pvs-1 >&-`).

    They are opened first and in this order, so that they get the numbers 0 to 2, not a socket.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8"))
