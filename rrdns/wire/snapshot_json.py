"""A snapshot as JSON values: in messages to workers, and in the snapshot file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rrdns.core.acl import ANY_ADDRESS
from rrdns.core.model import Nameserver, Zone
from rrdns.core.snapshot import PoolRRset, Snapshot


def snapshot_to_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON values; `snapshot_from_json` reads it back."""
    return {
        "serial": snapshot.serial,
        "zones": [asdict(zone) for zone in snapshot.zones],
        "rrsets": [asdict(rrset) for rrset in snapshot.rrsets.values()],
    }


def snapshot_from_json(value: dict[str, Any]) -> Snapshot:
    """Return the snapshot that `snapshot_to_json` wrote."""
    rrsets = [rrset_from_json(item) for item in value["rrsets"]]
    return Snapshot(
        serial=value["serial"],
        zones=tuple(zone_from_json(item) for item in value["zones"]),
        rrsets={rrset.pool: rrset for rrset in rrsets},
    )


def rrset_from_json(value: dict[str, Any]) -> PoolRRset:
    """Return the RRset that `dataclasses.asdict` made into `value`."""
    sequences = {name: tuple(value.get(name, ())) for name in ("addresses", "member_slots")}
    return PoolRRset(**{**value, **sequences})


def zone_from_json(value: dict[str, Any]) -> Zone:
    """Return the zone that `dataclasses.asdict` made into `value`."""
    nameservers = tuple(
        Nameserver(name=item["name"], addresses=tuple(item["addresses"]))
        for item in value["nameservers"]
    )
    allowed = tuple(value.get("allow_query", ANY_ADDRESS))  # none in what an older rrdns kept
    return Zone(**{**value, "nameservers": nameservers, "allow_query": allowed})
