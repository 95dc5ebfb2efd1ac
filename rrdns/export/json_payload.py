"""Say in JSON what an exporter is told: one form for files, commands and webhooks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rrdns.export.pool_view import Telling

VERSION = 1


def to_json(exporter: str, tellings: Sequence[Telling]) -> str:
    """Return the JSON text, with a line end."""
    value = {
        "version": VERSION,
        "exporter": exporter,
        "serial": max((telling.serial for telling in tellings), default=0),
        "at": max((telling.at for telling in tellings), default=0.0),
        "pools": [_pool(telling) for telling in tellings],
    }
    return json.dumps(value, indent=2) + "\n"


def _pool(telling: Telling) -> dict[str, object]:
    return {
        "pool": telling.pool,
        "hostname": telling.hostname,
        "ttl": telling.ttl,
        "first": telling.first,
        "addresses": list(telling.addresses),
        "members": [{"name": name, "address": address} for name, address in telling.members],
        "everything_down": telling.everything_down,
    }
