"""Say in JSON what an exporter is told: one form for files, commands and webhooks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rrdns.export.pool_view import PoolView

VERSION = 1


def to_json(exporter: str, views: Sequence[PoolView]) -> str:
    """Return the JSON text, with a line end."""
    value = {
        "version": VERSION,
        "exporter": exporter,
        "serial": max((view.serial for view in views), default=0),
        "at": max((view.at for view in views), default=0.0),
        "pools": [_pool(view) for view in views],
    }
    return json.dumps(value, indent=2) + "\n"


def _pool(view: PoolView) -> dict[str, object]:
    return {
        "pool": view.pool,
        "hostname": view.hostname,
        "ttl": view.ttl,
        "first": view.first,
        "addresses": list(view.addresses),
        "members": [{"name": name, "address": address} for name, address in view.members],
        "everything_down": view.everything_down,
    }
