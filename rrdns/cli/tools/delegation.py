"""`rrdns delegation`: print config for the parent zone and for resolvers, or check it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rrdns.cli.api.options import DEFAULT_CONFIG, Json
from rrdns.cli.terminal.errors import WRONG_USE, CliError
from rrdns.cli.terminal.output import print_json
from rrdns.cli.tools.delegation_output import check as run_check

if TYPE_CHECKING:
    from rrdns.config import Settings
    from rrdns.core.model import Pool, Zone
    from rrdns.net.delegation_survey import SurveyPlan
    from rrdns.snippets.delegation.records import Delegation

FORMATS = ("windows", "bind", "bind-resolver", "knot", "unbound", "dnsmasq")


def delegation(
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}; or all."),
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", help="Needed if there are several zones.")
    ] = None,
    parent_zone: Annotated[
        str | None,
        typer.Option("--parent-zone", help="Needed if it is not the zone's name without a label."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check whether it works.")] = False,
    parent: Annotated[
        list[str] | None,
        typer.Option(
            "--parent",
            metavar="ADDRESS",
            help="With --check: a server of the parent zone, or ADDRESS:PORT. Repeatable.",
            show_default="found by the resolver",
        ),
    ] = None,
    resolver: Annotated[
        list[str] | None,
        typer.Option(
            "--resolver",
            metavar="ADDRESS",
            help="With --check: a resolver, or ADDRESS:PORT. Repeatable.",
            show_default="those of this host",
        ),
    ] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            metavar="ADDRESS",
            help="With --check: an address of rrdns, or ADDRESS:PORT. Repeatable.",
            show_default="those of the zone's nameservers",
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool",
            help="With --check: the pool whose hostname is queried.",
            show_default="the zone's first",
        ),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            min=0.0,
            max=3600.0,
            help="With --check: maximum seconds to watch answers expire and rotate.",
        ),
    ] = 60.0,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=0.05,
            max=60.0,
            help="With --check: seconds to wait for each answer.",
        ),
    ] = 2.0,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The config, in TOML.")
    ] = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Print config that makes your DNS servers query rrdns for its zone, or check that they do.

    --check queries the parent zone's servers, rrdns itself and resolvers. It prints each finding
    with a remedy. Most of the time it waits for answers to expire, usually one or two TTLs. Exit
    status 1 if there are findings.

    For example:

        rrdns delegation --format windows

        rrdns delegation --format unbound --config /etc/rrdns/rrdns.toml

        rrdns delegation --check

        rrdns delegation --check --parent 10.0.0.1 --resolver 10.0.0.2 --resolver 10.0.0.3
    """
    from rrdns.config import load

    settings = load(config)
    chosen = choose_zone(settings.zones, zone)
    servers = {"--parent": parent, "--resolver": resolver, "--server": server}
    if not check:
        _refuse({**servers, "--pool": pool}, "needs --check")
        _print(form, _delegation(settings, chosen, parent_zone), as_json=as_json)
        return
    _refuse({"--format": form, "--parent-zone": parent_zone}, "cannot be used with --check")
    plan = _plan(chosen, _pool_in(settings, chosen, pool), wait, servers)
    raise typer.Exit(run_check(plan, timeout, as_json=as_json))


def _refuse(options: dict[str, object], problem: str) -> None:
    for option, value in options.items():
        if value:
            advice = "`rrdns delegation --help` has examples"
            raise CliError(f"{option} {problem}", advice, WRONG_USE)


def _pool_in(settings: Settings, zone: Zone, name: str | None) -> Pool | None:
    """Return the pool whose hostname is queried: the one of that name, or the zone's first."""
    from rrdns.core.model import is_inside

    pools = [pool for pool in settings.pools if is_inside(pool.hostname, zone.name)]
    if name is None:
        return pools[0] if pools else None
    for pool in pools:
        if pool.name == name:
            return pool
    names = ", ".join(pool.name for pool in pools) or "none"
    raise CliError(f"{zone.name} has no pool {name!r}", f"there are: {names}", WRONG_USE)


def _plan(
    zone: Zone, pool: Pool | None, wait: float, places: dict[str, list[str] | None]
) -> SurveyPlan:
    from rrdns.cli.tools.query import endpoint
    from rrdns.net.delegation_survey import SurveyPlan
    from rrdns.net.dns_client import system_resolvers

    parents, resolvers, servers = (
        tuple(dict.fromkeys(endpoint(text, option) for text in texts or ()))
        for option, texts in places.items()
    )
    return SurveyPlan(zone, pool, wait, resolvers or system_resolvers(), parents, servers)


def choose_zone(zones: tuple[Zone, ...], name: str | None) -> Zone:
    """Return the zone of a name, or the only one.

    Raises:
        CliError: there is no zone of that name, or there are several and no name.
    """
    names = ", ".join(zone.name for zone in zones)
    if name is None and len(zones) == 1:
        return zones[0]
    if name is None:
        raise CliError("there are several zones", f"choose one with --zone: {names}", WRONG_USE)
    normalized = name.lower().removesuffix(".")
    for zone in zones:
        if zone.name == normalized:
            return zone
    raise CliError(f"no zone is called {name!r}", f"there are: {names}", WRONG_USE)


def _delegation(settings: Settings, zone: Zone, parent_zone: str | None) -> Delegation:
    from rrdns.core.model import is_inside
    from rrdns.snippets.delegation.records import Delegation, parent_of

    parent = (parent_zone or parent_of(zone.name)).lower().removesuffix(".")
    if parent == zone.name or not is_inside(zone.name, parent):
        raise CliError(
            f"{zone.name} is not below {parent or 'the root'}",
            "--parent-zone is the zone that delegates it, such as corp.example",
            WRONG_USE,
        )
    hostnames = tuple(p.hostname for p in settings.pools if is_inside(p.hostname, zone.name))
    return Delegation(zone.name, parent, zone.nameservers, hostnames)


def _print(form: str | None, delegation: Delegation, *, as_json: bool) -> None:
    """Print one format as it goes into a file, or all formats with headings."""
    from rrdns.snippets.delegation.formats import TITLES, Format, delegation_text
    from rrdns.snippets.delegation.records import NameserverAddressMissing

    if form is not None and form not in FORMATS:
        raise CliError(f"there is no format {form!r}", f"one of {', '.join(FORMATS)}", WRONG_USE)
    texts = {}
    for fmt in Format if form is None else (Format(form),):
        try:
            texts[fmt] = delegation_text(fmt, delegation)
        except NameserverAddressMissing as error:
            if form is not None:
                raise
            texts[fmt] = f"# {error}\n"
    if as_json:
        names = {"zone": delegation.zone, "parent": delegation.parent}
        print_json(names | {"formats": {fmt.value: text for fmt, text in texts.items()}})
    elif form is not None:
        typer.echo(texts[Format(form)].rstrip("\n"))
    else:
        headings = (TITLES[fmt].format(parent=delegation.parent) for fmt in texts)
        parts = (f"[{head}]\n{text}" for head, text in zip(headings, texts.values(), strict=True))
        typer.echo("\n".join(parts).rstrip("\n"))
