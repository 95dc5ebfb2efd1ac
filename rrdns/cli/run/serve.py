"""`rrdns serve` and `rrdns demo`: run rrdns itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rrdns.cli.api.options import DEFAULT_CONFIG
from rrdns.cli.terminal.errors import REFUSED
from rrdns.errors import RrdnsError


def serve(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The config, in TOML.")
    ] = DEFAULT_CONFIG,
) -> None:
    """Run rrdns until SIGTERM.

    rrdns probes the servers, answers DNS queries, and serves the admin API and the page.

    SIGHUP makes rrdns read the config again. If the new config has mistakes, rrdns keeps the old
    one.

    For example:

        rrdns serve --config /etc/rrdns/rrdns.toml
    """
    from rrdns.config import load
    from rrdns.service.processes.launch import run
    from rrdns.service.runtime.log_setup import get_log

    settings = load(config)
    try:
        ended = run(settings, config)
    except (RrdnsError, OSError):
        raise
    except Exception as defect:
        # A service has no terminal: the traceback belongs in its log.
        get_log().critical("the supervisor failed", exc_info=True)
        raise typer.Exit(REFUSED) from defect
    raise typer.Exit(ended)


def demo(
    script: Annotated[
        bool, typer.Option("--script", help="Run all steps without input, and check each.")
    ] = False,
) -> None:
    """Run rrdns on this machine with three simulated boot servers.

    For example:

        rrdns demo

        rrdns demo --script
    """
    from rrdns.cli.run.demo import run

    raise typer.Exit(run(script))
