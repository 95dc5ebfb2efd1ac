"""`rrdns dhcp`: print config for a DHCP server, for the members that are in rotation now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rrdns.cli.api import completion
from rrdns.cli.api.options import DEFAULT_URL, CaFile, Json, Token, Url
from rrdns.cli.terminal.errors import WRONG_USE, CliError
from rrdns.cli.terminal.output import print_json

FORMATS = ("windows", "kea", "isc", "dnsmasq", "option66", "option150")


def dhcp(
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help=", ".join(FORMATS))],
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool", help="Needed if there are several pools.", autocompletion=completion.pools
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Read this config; do not call the running rrdns."
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    ca_file: CaFile = None,
    as_json: Json = False,
) -> None:
    """Print config for a DHCP server, with comments about its limits.

    It contains the members that are in rotation now. An exporter can keep such a config up to
    date (docs/exporters.md). With --config it contains all members except backups.

    For example:

        rrdns dhcp --format kea

        rrdns dhcp --format windows --pool boot --config /etc/rrdns/rrdns.toml
    """
    from rrdns.snippets.dhcp.boot_options import BootFiles
    from rrdns.snippets.dhcp.formats import snippet

    if form not in FORMATS:
        raise CliError(f"there is no format {form!r}", f"one of {', '.join(FORMATS)}", WRONG_USE)
    pools = _configured(config) if config is not None else _running(url, token, ca_file)
    chosen = _choose(pools, pool)
    files = BootFiles.among(chosen["files"])
    try:
        text = snippet(form, chosen["hostname"], chosen["addresses"], boot_files=files)
    except ValueError as error:
        raise CliError(str(error)) from error
    if as_json:
        print_json(
            {"format": form, "pool": chosen.pop("name"), **chosen, "text": text.rstrip("\n")}
        )
        return
    typer.echo(text.rstrip("\n"))


def _configured(config: Path) -> list[dict[str, Any]]:
    from rrdns.config import load

    return [
        {
            "name": pool.name,
            "hostname": pool.hostname,
            "addresses": [member.address for member in pool.members if not member.backup],
            "files": [file.name for file in pool.probe.files],
        }
        for pool in load(config).pools
    ]


def _running(url: str, token: str | None, ca_file: Path | None) -> list[dict[str, Any]]:
    from rrdns.cli.api.client import Client

    return [
        {
            "name": pool["name"],
            "hostname": pool["hostname"],
            "addresses": [member["address"] for member in pool["members"] if member["in"]],
            "files": [file["name"] for member in pool["members"] for file in member["files"]],
        }
        for pool in Client(url, token, ca_file).pools()
    ]


def _choose(pools: list[dict[str, Any]], name: str | None) -> dict[str, Any]:
    names = ", ".join(pool["name"] for pool in pools)
    if name is None and len(pools) == 1:
        return pools[0]
    if name is None:
        raise CliError("there are several pools", f"choose one with --pool: {names}", WRONG_USE)
    for pool in pools:
        if pool["name"] == name:
            return pool
    raise CliError(f"no pool is called {name!r}", f"there are: {names}", WRONG_USE)
