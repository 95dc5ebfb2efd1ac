"""What a template may fill in, made from what an exporter is told.

docs/exporters.md lists these for those who write their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rrdns.core.model import Zone
from rrdns.export.file.template import Item
from rrdns.export.pool_view import Option66, Telling


def fields_of(
    exporter: str, tellings: Sequence[Telling], option66: Option66, zone_serial: int
) -> Item:
    """Return the fields of a file: its own, then lists of `zones` and `pools`."""
    at = max((telling.at for telling in tellings), default=0.0)
    return {
        "exporter": exporter,
        "serial": max((telling.serial for telling in tellings), default=0),
        "written": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "pools": [_pool(telling, option66) for telling in tellings],
        "zones": [_zone(zone, tellings, option66, zone_serial) for zone in _zones_of(tellings)],
    }


def _pool(telling: Telling, option66: Option66) -> Item:
    return {
        "pool": telling.pool,
        "hostname": telling.hostname,
        "ttl": telling.ttl,
        "first": telling.first,
        "option66": telling.option66(option66),
        "with_commas": ",".join(telling.addresses),
        "with_semicolons": ";".join(telling.addresses),
        "with_spaces": " ".join(telling.addresses),
        "members": [{"name": name, "address": address} for name, address in telling.members],
    }


def _zones_of(tellings: Iterable[Telling]) -> tuple[Zone, ...]:
    return tuple(dict.fromkeys(telling.zone for telling in tellings if telling.zone is not None))


def _zone(zone: Zone, tellings: Sequence[Telling], option66: Option66, serial: int) -> Item:
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
        "pools": [_pool(telling, option66) for telling in tellings if telling.zone == zone],
    }
