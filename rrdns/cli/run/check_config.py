"""`rrdns check-config`: list the mistakes of a config, or show its pools and their timing."""

from __future__ import annotations

import ipaddress
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.api.options import Json
from rrdns.cli.terminal.errors import WRONG_USE
from rrdns.cli.terminal.output import print_json, print_rich
from rrdns.errors import ConfigInvalid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rrdns.config import Settings
    from rrdns.core.model import Pool, ProbeSpec


def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The config, in TOML.")],
    as_json: Json = False,
) -> None:
    """List all mistakes of a config, or its pools with their worst-case times.

    Exit status 2 if the config has mistakes.

    For example:

        rrdns check-config /etc/rrdns/rrdns.toml
    """
    from rrdns.config import load

    try:
        settings = load(file)
    except ConfigInvalid as invalid:
        if not as_json:
            raise
        print_json(_mistakes(invalid))
        raise typer.Exit(WRONG_USE) from invalid
    if as_json:
        print_json(_as_json(settings))
    else:
        print_rich(*_in_words(settings))


def notes(settings: Settings) -> list[str]:
    """Return remarks on valid settings that the admin may not have intended."""
    found = []
    for pool in settings.pools:
        if sum(not member.backup for member in pool.members) == 1 == len(pool.members):
            found.append(f"pool {pool.name} has one member: no other can take over from it")
        elif all(member.backup for member in pool.members):
            found.append(f"pool {pool.name} has only backup members: all are in rotation")
    hostnames = [f".{pool.hostname}" for pool in settings.pools]
    found += [
        f"zone {zone.name} has no pool in it"
        for zone in settings.zones
        if not any(hostname.endswith(f".{zone.name}") for hostname in hostnames)
    ]
    if settings.store.backend == "memory":
        found.append("orders such as drains are lost when rrdns stops (store.backend is memory)")
    return found + _notes_on_listeners(settings) + _notes_on_secrets(settings)


def orders_after(settings: Settings) -> list[str]:
    """Return what this config changes about the orders in the store.

    If the store cannot be read, nothing is returned.
    """
    from rrdns.core.orders.reassignment import OrderTarget, reassign
    from rrdns.errors import StoreFailed
    from rrdns.store.sqlite import read_orders

    try:
        if settings.store.backend == "memory" or not settings.store.path.exists():
            return []
        overrides, plans = read_orders(settings.store.path)
    except (StoreFailed, OSError):
        return []
    words = {plan.key: f"planned {plan.override.order}" for plan in plans}
    orders = {plan.key: plan.override for plan in plans}
    words |= {(override.pool, override.member): str(override.order) for override in overrides}
    orders |= {(override.pool, override.member): override for override in overrides}
    assignees = [
        OrderTarget(*key, override.address, override.hostname) for key, override in orders.items()
    ]
    return [
        assignment.sentence(words[assignment.before.key])
        + ("" if assignment.key else _how_to_end(*assignment.before.key))
        for assignment in reassign(assignees, settings.pools)
        if assignment.key is None or assignment.has_moved or assignment.after
    ]


def _how_to_end(pool: str, member: str) -> str:
    return f"; to end it: rrdns resume {shlex.quote(member)} --pool {shlex.quote(pool)}"


def _notes_on_listeners(settings: Settings) -> list[str]:
    """Return the addresses where this host cannot listen.

    They are notes, not mistakes, since the config may be for another host.
    """
    from rrdns.net.server.sockets import reason_against

    dns = settings.dns
    listeners = [
        (f"dns.listen[{place}]", endpoint, dns.freebind)
        for place, endpoint in enumerate(dns.listen)
    ]
    found = []
    for place, endpoint, freebind in [*listeners, ("api.listen", settings.api.listen, False)]:
        # rrdns leaves the default [::] out if the host has no IPv6.
        if endpoint.host != "::" and (reason := reason_against(endpoint, freebind=freebind)):
            found.append(f"{place} is {endpoint}, and `rrdns serve` would not start here: {reason}")
    return found


def _notes_on_secrets(settings: Settings) -> list[str]:
    found = []
    api = settings.api
    if api.tls_key is None and not ipaddress.ip_address(api.listen.host).is_loopback:
        found.append(
            f"tokens cross the network unencrypted (api.listen is {api.listen}): set api.tls_cert "
            "and api.tls_key, or put a TLS proxy in front of it"
        )
    secrets = [api.tls_key, *(hook.secret_file for hook in settings.webhooks)]
    found += [
        f"every user of this host can read {path}: chmod 640, and give it to a group for rrdns"
        for path in secrets
        if path is not None and _is_open(path)
    ]
    return found


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:  # the secret of a webhook, which reads the file for each event
        return False


def _in_words(settings: Settings) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in ("pool", "hostname", "members"):
        table.add_column(heading, no_wrap=heading != "members")
    for heading in ("TTL", "detection", "worst case"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pool in settings.pools:
        table.add_row(*_row(pool))
    lines: list[RenderableType] = [
        Text(f"{settings.source} is valid: {_counts(settings)}.", "bold green"),
        "",
        table,
        "",
        "Worst case: from a server's failure until the last answer with its address expires,",
        "if resolvers respect the TTL. A DHCP server may use a resolved address for longer.",
    ]
    lines += [f"  {pool.name}: {_terms(pool)}" for pool in settings.pools]
    lines += [Text(f"Order: {sentence}", "yellow") for sentence in orders_after(settings)]
    lines += [Text(f"Note: {note}", "yellow") for note in notes(settings)]
    return lines


def _row(pool: Pool) -> tuple[str, ...]:
    from rrdns.core.health.probe_timing import detection_time, worst_case

    members = ", ".join(
        member.name + (" (backup)" if member.backup else "") for member in pool.members
    )
    return (
        pool.name,
        pool.hostname,
        members,
        f"{pool.ttl} s",
        f"{detection_time(pool.probe):.1f} s",
        f"{worst_case(pool):.1f} s",
    )


def _terms(pool: Pool) -> str:
    """Return the terms whose sum is the worst case."""
    from rrdns.core.health.probe_timing import PUBLISH_SECONDS, detection_time, worst_case

    return (
        f"{detection_time(pool.probe):.2f} s detection ({_detection(pool.probe)}) "
        f"+ {PUBLISH_SECONDS:g} s publication + {pool.ttl} s TTL = {worst_case(pool):.2f} s"
    )


def _detection(probe: ProbeSpec) -> str:
    first = f"{probe.interval:g} s interval + {probe.timeout:g} s timeout"
    gap = min(probe.fast_interval, probe.interval)
    again = f" + {probe.fall - 1} x ({gap:g} s pause + {probe.timeout:g} s timeout)"
    return first + (again if probe.fall > 1 else "")


def _counts(settings: Settings) -> str:
    members = sum(len(pool.members) for pool in settings.pools)
    numbers = (
        (len(settings.zones), "zone"),
        (len(settings.pools), "pool"),
        (members, "member"),
        (len(settings.api.tokens), "token"),
    )
    return ", ".join(f"{count} {noun}{'s' if count != 1 else ''}" for count, noun in numbers)


def _as_json(settings: Settings) -> dict[str, Any]:
    from rrdns.core.health.probe_timing import PUBLISH_SECONDS, detection_time, worst_case

    pools = [
        {
            "name": pool.name,
            "hostname": pool.hostname,
            "members": [
                {"name": member.name, "address": member.address} for member in pool.members
            ],
            "ttl": pool.ttl,
            "detection": detection_time(pool.probe),
            "publish": PUBLISH_SECONDS,
            "worst_case": worst_case(pool),
        }
        for pool in settings.pools
    ]
    return {
        "ok": True,
        "file": settings.source,
        "pools": pools,
        "orders": orders_after(settings),
        "notes": notes(settings),
    }


def _mistakes(invalid: ConfigInvalid) -> dict[str, Any]:
    mistakes = [{"place": mistake.path, "problem": mistake.problem} for mistake in invalid.mistakes]
    return {"ok": False, "file": invalid.path, "mistakes": mistakes}
