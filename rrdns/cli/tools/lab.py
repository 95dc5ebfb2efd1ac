"""`rrdns lab tftpd`: run simulated PVS servers with faults on demand, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rrdns.cli.terminal.errors import WRONG_USE, CliError
from rrdns.cli.terminal.output import printable
from rrdns.lab.tftpd.faults import fault_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rrdns.lab.tftpd.server import TftpServer

_STANDARD_INPUT = 0

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def lab() -> None:
    """Run simulated servers of a PVS farm, for tests."""


@app.command("tftpd")
def tftpd(
    addresses: Annotated[
        list[str], typer.Argument(metavar="ADDRESS", help="Local IPv4 addresses, one per server.")
    ],
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 69,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            help=f"A fault of all servers. Repeatable: {', '.join(fault_names())}.",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root", metavar="FOLDER", help="Serve these files, not simulated boot files."
        ),
    ] = None,
) -> None:
    """Serve boot files over TFTP, with or without faults, until Ctrl-C.

    The simulated boot files look like those of a PVS server, but no target can boot from them.

    Each line on standard input changes the faults. "silent" or "slow=0.5 duplicates=1" is for all
    servers, "127.0.0.12 silent" for one server. "none" means no faults.

    For example:

        rrdns lab tftpd 127.0.0.11 127.0.0.12 127.0.0.13 --port 6969

        rrdns lab tftpd 127.0.0.12 --port 6969 --fault error-at=data --fault error-code=2
    """
    import asyncio

    from rrdns.config.validators import ipv4
    from rrdns.lab.tftpd.boot_files import boot_files
    from rrdns.lab.tftpd.runner import parse_faults, run_servers
    from rrdns.lab.tftpd.server import TftpServer

    files = boot_files() if root is None else _files(root)
    try:
        faults = parse_faults(fault or [])
    except ValueError as error:
        raise CliError(f"--fault: {error}", status=WRONG_USE) from error
    try:
        servers = [TftpServer(ipv4(address), port, files, faults) for address in addresses]
    except ValueError as error:
        raise CliError(f"ADDRESS {error}", status=WRONG_USE) from error
    asyncio.run(run_servers(servers, _STANDARD_INPUT, _print, _print_error))
    for server in servers:
        typer.echo(_counts(server))


def _files(root: Path) -> Mapping[str, bytes]:
    files = {path.name: path.read_bytes() for path in sorted(root.iterdir()) if path.is_file()}
    if not files:
        raise CliError(f"there is no file in {root}", status=WRONG_USE)
    return files


def _print(text: str) -> None:
    typer.echo(printable(text))


def _print_error(text: str) -> None:
    typer.echo(printable(text), err=True)


def _counts(server: TftpServer) -> str:
    counts = server.counts
    return (
        f"{server.address}: {counts.requests} requests, {counts.finished} loaded whole, "
        f"{counts.stopped} stopped by the reader, {counts.refused} refused, "
        f"{counts.left_open} left open, {counts.retransmissions} retransmissions"
    )
