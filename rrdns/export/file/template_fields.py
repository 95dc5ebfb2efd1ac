"""What a template may fill in, made from what an exporter is told.

docs/exporters.md lists these for those who write their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rrdns.core.model import Zone
from rrdns.export.pool_view import Option66, PoolView
from rrdns.template import Item


def fields_of(
    exporter: str, views: Sequence[PoolView], option66: Option66, zone_serial: int
) -> Item:
    """Return the fields of a file: its own, then lists of `zones` and `pools`."""
    at = max((view.at for view in views), default=0.0)
    return {
        "exporter": exporter,
        "serial": max((view.serial for view in views), default=0),
        "written": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "pools": [_pool(view, option66) for view in views],
        "zones": [_zone(zone, views, option66, zone_serial) for zone in _zones_of(views)],
    }


def _pool(view: PoolView, option66: Option66) -> Item:
    return {
        "pool": view.pool,
        "hostname": view.hostname,
        "ttl": view.ttl,
        "first": view.first,
        "option66": view.option66(option66),
        "with_commas": ",".join(view.addresses),
        "with_semicolons": ";".join(view.addresses),
        "with_spaces": " ".join(view.addresses),
        "members": [{"name": name, "address": address} for name, address in view.members],
    }


def _zones_of(views: Iterable[PoolView]) -> tuple[Zone, ...]:
    return tuple(dict.fromkeys(view.zone for view in views if view.zone is not None))


def _zone(zone: Zone, views: Sequence[PoolView], option66: Option66, serial: int) -> Item:
    glue = [
        {"owner": server.name, "type": "AAAA" if ":" in address else "A", "address": address}
        for server in zone.nameservers
        for address in server.addresses
        if server.name == zone.name or server.name.endswith("." + zone.name)
    ]
    return {
        "zone": zone.name,
        "zone_ttl": zone.ttl,
        "primary": zone.nameservers[0].name,
        "hostmaster": zone.hostmaster,
        "zone_serial": serial,
        "refresh": zone.refresh,
        "retry": zone.retry,
        "expire": zone.expire,
        "negative_ttl": zone.negative_ttl,
        "nameservers": [{"nameserver": server.name} for server in zone.nameservers],
        "glue": glue,
        "pools": [_pool(view, option66) for view in views if view.zone == zone],
    }
