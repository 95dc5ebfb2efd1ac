"""`rrdns boot`: simulate targets that boot; show how many did, from which server, and why not."""

from __future__ import annotations

import secrets
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rrdns.cli.api.options import Json
from rrdns.cli.terminal.errors import DONE, REFUSED, WRONG_USE, CliError
from rrdns.cli.tools.probe import DEFAULT_FILE
from rrdns.cli.tools.query import endpoint
from rrdns.core.model import Endpoint
from rrdns.net.rlimits import raise_descriptor_limit

if TYPE_CHECKING:
    from rrdns.lab.bootstorm.firmware import Firmware
    from rrdns.lab.bootstorm.storm import Storm
    from rrdns.lab.bootstorm.target import ServerSource

KINDS = ("ipxe", "edk2", "grub", "uboot", "mixed")
RESOLV_CONF = Path("/etc/resolv.conf")
MAX_CLIENTS = 20_000
LONGEST_RAMP = 86_400.0
_OTHER_FILES = 64  # open files of this process that are not sockets of targets


def boot(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME[@RESOLVER]",
            help="The boot hostname. Further ones are compared with the first.",
            show_default=False,
        ),
    ] = None,
    via: Annotated[
        list[str] | None,
        typer.Option(
            "--via",
            metavar="ADDRESS:PORT",
            help="The DNS server that targets query. Repeat it for a second one.",
            show_default="those in /etc/resolv.conf",
        ),
    ] = None,
    clients: Annotated[
        int, typer.Option("--clients", min=1, max=MAX_CLIENTS, help="Number of targets.")
    ] = 20,
    ramp: Annotated[
        str, typer.Option("--ramp", help="The time within which all are switched on.")
    ] = "5s",
    firmware: Annotated[str, typer.Option("--firmware", help=", ".join(KINDS))] = "ipxe",
    file: Annotated[str, typer.Option("--file", help="The boot file.")] = DEFAULT_FILE,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="UDP port of TFTP.")] = 69,
    round_robin: Annotated[
        str | None,
        typer.Option(
            "--round-robin",
            metavar="ADDRESS,...",
            help="Compare with plain round robin over these boot servers, healthy or not.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Repeat a run: the same start times and firmware."),
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", metavar="FILE.svg|png", help="Write a chart of all boots."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate many targets that boot, and show which servers they boot from.

    Each target resolves the name and loads the boot file as its firmware does, with the same
    accepted answers, retries, timeouts and block size. The load on your servers is real: that of
    so many targets.

    Exit status 0 if every target of the first name booted, 1 if not. The names that it is
    compared with do not count.

    For example:

        rrdns boot boot.pvs.example.test --via 10.0.0.53 --clients 200 --ramp 30s

        rrdns boot boot.pvs.example.test plain.example.test@10.0.0.1 --chart storm.svg

        rrdns boot boot.pvs.example.test --round-robin 10.0.0.11,10.0.0.12,10.0.0.13
    """
    from rrdns.cli.tools import boot_output, chart_file
    from rrdns.lab.bootstorm.chart import draw

    storm = _planned(
        _server_sources(names or [], via or [], round_robin),
        clients,
        _seconds(ramp),
        _firmware(firmware),
        _file(file),
        port,
        secrets.randbelow(2**31) if seed is None else seed,
    )
    if chart is not None:
        chart_file.validate_path(chart)
    began = time.time()
    ended = _run(storm)
    if chart is not None:
        chart_file.write_chart(chart, draw(storm.courses, boot_output.title(storm)))
    boot_output.print_result(storm, began, as_json=as_json, chart=chart)
    first = storm.courses[0]
    raise typer.Exit(DONE if ended and first.booted == first.count else REFUSED)


def _planned(
    ways: list[ServerSource],
    clients: int,
    ramp: float,
    firmware: tuple[Firmware, ...],
    file: str,
    port: int,
    seed: int,
) -> Storm:
    from rrdns.lab.bootstorm.storm import Storm
    from rrdns.lab.bootstorm.target import BootFileSource

    raise_descriptor_limit(clients * len(ways) + _OTHER_FILES)
    return Storm.planned(
        ways, BootFileSource(file, port), clients=clients, ramp=ramp, firmware=firmware, seed=seed
    )


def _run(storm: Storm) -> bool:
    """Run the storm; return False if Ctrl-C interrupted it."""
    import asyncio

    from rrdns.cli.tools.boot_output import show_progress

    async def run() -> None:
        async with show_progress(storm.courses):
            await storm.run()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return False
    return True


def _server_sources(
    names: list[str], via: list[str], round_robin: str | None
) -> list[ServerSource]:
    """Return how the targets of each storm find their server.

    Raises:
        CliError: there is no name, or a name or an address is not valid.
    """
    from rrdns.lab.bootstorm.target import ByDnsName, ByRoundRobin

    ways: list[ServerSource] = []
    for name in names:
        host, at, resolver = name.rpartition("@")
        ways.append(ByDnsName(_hostname(host if at else name), _servers([resolver] if at else via)))
    if round_robin is not None:
        addresses = [part.strip() for part in round_robin.split(",")]
        for address in addresses:
            _address(address, 4, "--round-robin")
        ways.append(ByRoundRobin(addresses))
    if not ways:
        raise CliError(
            "the boot hostname is missing",
            "for example: rrdns boot boot.pvs.example.test",
            WRONG_USE,
        )
    return ways


def _servers(texts: list[str]) -> tuple[Endpoint, ...]:
    """Return the DNS servers of a target: the given ones, or those of this host."""
    servers = tuple(endpoint(text, "the DNS server") for text in texts) or _of_this_host()
    for server in servers:
        _address(server.host, None, "the DNS server")
    if len({":" in server.host for server in servers}) > 1:
        raise CliError("the DNS servers must all be IPv4, or all IPv6", status=WRONG_USE)
    return servers


def _of_this_host() -> tuple[Endpoint, ...]:
    from rrdns.net.dns_client import system_resolvers

    found = system_resolvers(RESOLV_CONF)
    if not found:
        advice = "name the one that targets query with --via"
        raise CliError(f"{RESOLV_CONF} has no DNS server", advice, WRONG_USE)
    return found[:3]


def _address(text: str, version: int | None, what: str) -> None:
    try:
        fits = ip_address(text).version == version or version is None
    except ValueError:
        fits = False
    if not fits:
        kind = "IP" if version is None else f"IPv{version}"
        raise CliError(f"{what}: {text!r} is not an {kind} address", status=WRONG_USE)


def _hostname(text: str) -> str:
    from rrdns.wire.dns.client import encode_query

    try:
        encode_query(text, "A", 0)
    except ValueError as error:
        raise CliError(str(error), status=WRONG_USE) from error
    return text


def _seconds(text: str) -> float:
    """Return the length of the ramp; 0 switches all targets on at once."""
    from rrdns.timeformat import duration

    if text.strip() in ("0", "0s"):
        return 0.0
    try:
        seconds = duration(text)
    except ValueError as error:
        raise CliError(f"--ramp: {error}", status=WRONG_USE) from error
    if seconds > LONGEST_RAMP:
        raise CliError(f"--ramp is {text}; the maximum is one day", status=WRONG_USE)
    return seconds


def _file(name: str) -> str:
    from rrdns.config.validators import file_name

    try:
        return file_name(name)
    except ValueError as error:
        raise CliError(f"--file: {error}", status=WRONG_USE) from error


def _firmware(kind: str) -> tuple[Firmware, ...]:
    from rrdns.lab.bootstorm.firmware import FIRMWARE

    if kind not in KINDS:
        raise CliError(f"there is no firmware {kind!r}", f"one of {', '.join(KINDS)}", WRONG_USE)
    return tuple(FIRMWARE.values()) if kind == "mixed" else (FIRMWARE[kind],)
