"""`rrdns probe`: check whether a target would boot from a server. It needs no config."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.api.options import Json
from rrdns.cli.terminal.durations import milliseconds
from rrdns.cli.terminal.errors import DONE, REFUSED, WRONG_USE, CliError
from rrdns.cli.terminal.output import print_json, print_rich, printable
from rrdns.core.model import Profile

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rrdns.core.health.probe_result import ProbeResult

DEFAULT_FILE = "ARDBP32.BIN"


def probe(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="IPv4 address of the server.")],
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="A boot file. Repeatable.", show_default=DEFAULT_FILE),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 69,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.05, max=60.0, help="Seconds to wait for a packet.")
    ] = 5.0,
    profile: Annotated[
        Profile | None,
        typer.Option(
            "--profile",
            help="The firmware that loads the file.",
            show_default="by the file's name: uefi for *.efi, ipxe for *.ipxe, else bios",
        ),
    ] = None,
    light: Annotated[
        bool, typer.Option("--light", help="Load only the beginning, as most probes do.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check whether a target would boot from a server.

    The command loads the boot file over TFTP, as a booting target does. It needs no config. Like
    firmware it waits 5 seconds for a packet. If the server needs more than a second, the result
    is "slow".

    Exit status 0 if a target would boot from it, 1 if not.

    For example:

        rrdns probe 10.0.0.11

        rrdns probe 10.0.0.11 --file pvsnbpx64.efi --file ARDBP32.BIN

        rrdns probe 10.0.0.11 --file start --profile uefi
    """
    import asyncio

    from rrdns.config.validators import file_name, ipv4
    from rrdns.core.health.probe_result import ProbeDepth
    from rrdns.core.model import BootFile, ProbeSpec
    from rrdns.net import tftp_prober

    try:
        names = [file_name(name) for name in file or [DEFAULT_FILE]]
    except ValueError as error:
        raise CliError(f"--file {error}", status=WRONG_USE) from error
    try:
        host = ipv4(address)
    except ValueError as error:
        raise CliError(f"{address}: {error}", status=WRONG_USE) from error
    spec = ProbeSpec(
        tuple(BootFile(name, profile=profile) for name in names), port=port, timeout=timeout
    )
    result = asyncio.run(
        tftp_prober.probe(host, spec, ProbeDepth.LIGHT if light else ProbeDepth.FULL)
    )
    if as_json:
        print_json(_as_json(host, port, result))
    else:
        print_rich(*_in_words(host, result))
    raise typer.Exit(DONE if result.passed else REFUSED)


def _in_words(host: str, result: ProbeResult) -> list[RenderableType]:
    """Return the verdict, the reason for it, and warnings."""
    from rich.text import Text

    from rrdns.core.health.probe_result import ProbeDepth, Verdict

    if result.passed:
        verdict = Text(f"YES: a target would boot from {host}.", "bold green")
    elif result.verdict is Verdict.LOCAL:
        verdict = Text(f"UNKNOWN: this host could not probe {host}.", "bold yellow")
    else:
        verdict = Text(f"NO: a target would not boot from {host}.", "bold red")
    lines: list[RenderableType] = [verdict, Text(printable(result.sentence))]
    for file in result.seen:
        version = f", version {file.version}" if file.version else ""
        facts = f"  {file.name}: {file.size:,} bytes{version}, SHA-256 {file.sha256}"
        lines.append(Text(printable(facts), no_wrap=True, overflow="ignore"))
    lines += [Text(f"Warning: {printable(warning)}", "yellow") for warning in result.warnings]
    what = "the beginning" if result.depth is ProbeDepth.LIGHT else "the whole file"
    if result.passed:
        lines.append(Text(f"Loaded {what} in {milliseconds(result.seconds)}.", "dim"))
    return lines


def _as_json(host: str, port: int, result: ProbeResult) -> dict[str, Any]:
    return {"address": host, "port": port, "passed": result.passed, **asdict(result)}
