"""`rrdns delegation`: what to enter at the parent zone and at resolvers, and whether it works."""

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
    zone: Annotated[str | None, typer.Option("--zone", help="May be left out with one.")] = None,
    parent_zone: Annotated[
        str | None,
        typer.Option("--parent-zone", help="Where it is not the name right above the zone's."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Ask whether it works.")] = False,
    parent: Annotated[
        list[str] | None,
        typer.Option(
            "--parent",
            metavar="ADDRESS",
            help="With --check: a server of the parent zone; ADDRESS:PORT for another port.",
            show_default="those found through the resolver",
        ),
    ] = None,
    resolver: Annotated[
        list[str] | None,
        typer.Option(
            "--resolver",
            metavar="ADDRESS",
            help="With --check: a resolver; may be given again, as may --parent.",
            show_default="those of this host",
        ),
    ] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            metavar="ADDRESS",
            help="With --check: where rrdns is to be asked.",
            show_default="those of the zone's nameservers",
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool",
            help="With --check: whose hostname to ask for.",
            show_default="the zone's first",
        ),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            min=0.0,
            max=3600.0,
            help="With --check: seconds at most to see answers expire and turn.",
        ),
    ] = 60.0,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=0.05,
            max=60.0,
            help="With --check: seconds for an answer, a try.",
        ),
    ] = 2.0,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The config, in TOML.")
    ] = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Print what makes your DNS servers ask rrdns for its zone, or check that they do.

    --check asks the parent zone's servers, rrdns itself and resolvers, and tells each thing
    that is wrong with its mend. Most of its time it waits for answers to expire, a TTL or two
    as a rule. Exit status 1 when something is wrong.

    For example:

        rrdns delegation --format windows

        rrdns delegation --format unbound --config /etc/rrdns/rrdns.toml

        rrdns delegation --check

        rrdns delegation --check --parent 10.0.0.1 --resolver 10.0.0.2 --resolver 10.0.0.3
    """
    from rrdns.config import load

    settings = load(config)
    chosen = choose_zone(settings.zones, zone)
    asked = {"--parent": parent, "--resolver": resolver, "--server": server}
    if not check:
        _refuse({**asked, "--pool": pool}, "is for --check")
        _print(form, _delegation(settings, chosen, parent_zone), as_json=as_json)
        return
    _refuse({"--format": form, "--parent-zone": parent_zone}, "is for printing, without --check")
    plan = _plan(chosen, _pool_in(settings, chosen, pool), wait, asked)
    raise typer.Exit(run_check(plan, timeout, as_json=as_json))


def _refuse(options: dict[str, object], why: str) -> None:
    for option, value in options.items():
        if value:
            raise CliError(f"{option} {why}", "`rrdns delegation --help` has examples", WRONG_USE)


def _pool_in(settings: Settings, zone: Zone, name: str | None) -> Pool | None:
    """Return the pool whose hostname is asked for: the one that is named, or the first."""
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
    """Return the zone that is meant.

    Raises:
        Trouble: there is none of that name, or several without a name.
    """
    names = ", ".join(zone.name for zone in zones)
    if name is None and len(zones) == 1:
        return zones[0]
    if name is None:
        raise CliError("there are several zones", f"choose one with --zone: {names}", WRONG_USE)
    wanted = name.lower().removesuffix(".")
    for zone in zones:
        if zone.name == wanted:
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
    """Print one format as it goes into a file, or all of them, each behind a heading."""
    from rrdns.snippets.delegation.formats import TITLES, Format, delegation_text
    from rrdns.snippets.delegation.records import NameserverAddressMissing

    if form is not None and form not in FORMATS:
        raise CliError(f"there is no format {form!r}", f"one of {', '.join(FORMATS)}", WRONG_USE)
    texts = {}
    for each in Format if form is None else (Format(form),):
        try:
            texts[each] = delegation_text(each, delegation)
        except NameserverAddressMissing as error:
            if form is not None:
                raise
            texts[each] = f"# {error}\n"
    if as_json:
        told = {"zone": delegation.zone, "parent": delegation.parent}
        print_json(told | {"formats": {each.value: text for each, text in texts.items()}})
    elif form is not None:
        typer.echo(texts[Format(form)].rstrip("\n"))
    else:
        headings = (TITLES[each].format(parent=delegation.parent) for each in texts)
        parts = (f"[{head}]\n{text}" for head, text in zip(headings, texts.values(), strict=True))
        typer.echo("\n".join(parts).rstrip("\n"))
