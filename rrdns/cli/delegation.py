"""`rrdns delegation`: what to enter at the parent zone and at resolvers, and whether it works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rrdns.cli.options import Json
from rrdns.cli.say import show_json
from rrdns.cli.service import DEFAULT_CONFIG
from rrdns.cli.trouble import WRONG_USE, Trouble

if TYPE_CHECKING:
    from rrdns.config import Settings
    from rrdns.core.model import Zone
    from rrdns.export.delegation import Delegation

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
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The config, in TOML.")
    ] = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Print what makes your DNS servers ask rrdns for its zone.

    For example:

        rrdns delegation --format windows

        rrdns delegation --format unbound --config /etc/rrdns/rrdns.toml
    """
    from rrdns.config import load

    settings = load(config)
    chosen = choose_zone(settings.zones, zone)
    _print(form, _delegation(settings, chosen, parent_zone), as_json=as_json)


def choose_zone(zones: tuple[Zone, ...], name: str | None) -> Zone:
    """Return the zone that is meant.

    Raises:
        Trouble: there is none of that name, or several without a name.
    """
    names = ", ".join(zone.name for zone in zones)
    if name is None and len(zones) == 1:
        return zones[0]
    if name is None:
        raise Trouble("there are several zones", f"choose one with --zone: {names}", WRONG_USE)
    wanted = name.lower().removesuffix(".")
    for zone in zones:
        if zone.name == wanted:
            return zone
    raise Trouble(f"no zone is called {name!r}", f"there are: {names}", WRONG_USE)


def _delegation(settings: Settings, zone: Zone, parent_zone: str | None) -> Delegation:
    from rrdns.core.model import is_inside
    from rrdns.export.delegation import Delegation, parent_of

    parent = (parent_zone or parent_of(zone.name)).lower().removesuffix(".")
    if parent == zone.name or not is_inside(zone.name, parent):
        raise Trouble(
            f"{zone.name} is not below {parent or 'the root'}",
            "--parent-zone is the zone that delegates it, such as corp.example",
            WRONG_USE,
        )
    hostnames = tuple(p.hostname for p in settings.pools if is_inside(p.hostname, zone.name))
    return Delegation(zone.name, parent, zone.nameservers, hostnames)


def _print(form: str | None, delegation: Delegation, *, as_json: bool) -> None:
    """Print one format as it goes into a file, or all of them, each behind a heading."""
    from rrdns.export.delegation_texts import TITLES, Format, delegation_text
    from rrdns.export.errors import NoAddress

    if form is not None and form not in FORMATS:
        raise Trouble(f"there is no format {form!r}", f"one of {', '.join(FORMATS)}", WRONG_USE)
    texts = {}
    for each in Format if form is None else (Format(form),):
        try:
            texts[each] = delegation_text(each, delegation)
        except NoAddress as error:
            if form is not None:
                raise
            texts[each] = f"# {error}\n"
    if as_json:
        told = {"zone": delegation.zone, "parent": delegation.parent}
        show_json(told | {"formats": {each.value: text for each, text in texts.items()}})
    elif form is not None:
        typer.echo(texts[Format(form)].rstrip("\n"))
    else:
        headings = (TITLES[each].format(parent=delegation.parent) for each in texts)
        parts = (f"[{head}]\n{text}" for head, text in zip(headings, texts.values(), strict=True))
        typer.echo("\n".join(parts).rstrip("\n"))
