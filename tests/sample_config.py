"""The config of a small farm as TOML, for tests that say only what matters to them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

ZONE = "pvs.example.test"
HOSTNAME = f"boot.{ZONE}"
NAMESERVER = "192.0.2.53"
MEMBERS = (("pvs-1", "10.0.0.11"), ("pvs-2", "10.0.0.12"))

Members = Iterable[tuple[str, str]]  # names and addresses


def toml(value: Any) -> str:
    """Return a value as TOML writes it on one line."""
    match value:
        case Mapping():
            pairs = (f"{_key(key)} = {toml(each)}" for key, each in value.items())
            return f"{{ {', '.join(pairs)} }}"
        case list() | tuple():
            return f"[{', '.join(toml(each) for each in value)}]"
        case float():
            return repr(value)
        case bool() | int():
            return json.dumps(value)
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else toml(name)


def table(heading: str, **settings: object) -> str:
    """Return a table with these settings; the heading has its brackets."""
    return "\n".join((heading, *(f"{name} = {toml(each)}" for name, each in settings.items()), ""))


def zone(*addresses: str, name: str = ZONE, **settings: object) -> str:
    """Return a zone with a nameserver ns1, ns2 ... at each of the addresses."""
    nameservers = [
        {"name": f"ns{number}.{name}", "address": address}
        for number, address in enumerate(addresses or (NAMESERVER,), 1)
    ]
    first = {"name": name, "nameservers": nameservers, "hostmaster": "hostmaster.example.test"}
    return table("[[zones]]", **{**first, **settings})


def pool(
    members: Members = MEMBERS,
    *,
    probe: Mapping[str, object] | None = None,
    **settings: object,
) -> str:
    """Return a pool; `probe` has what is set there, beside the files of BIOS targets."""
    tables = [
        table("[[pools]]", **{"name": "boot", "hostname": HOSTNAME, **settings}),
        table("[pools.probe]", **{"files": ["ARDBP32.BIN"], **(probe or {})}),
        *(table("[[pools.members]]", name=name, address=at) for name, at in members),
    ]
    return "\n".join(tables)


def farm(
    members: Members = MEMBERS,
    *,
    nameserver: str = NAMESERVER,
    pool_settings: Mapping[str, object] | None = None,
    probe: Mapping[str, object] | None = None,
    dns: Mapping[str, object] | None = None,
    **tables: Mapping[str, object],
) -> str:
    """Return a config with one zone and one pool; `tables` are others, such as api and store."""
    parts = [
        *([table("[dns]", **dns)] if dns is not None else []),
        zone(nameserver),
        pool(members, probe=probe, **(pool_settings or {})),
        *(table(f"[{name}]", **settings) for name, settings in tables.items()),
    ]
    return "\n".join(parts)
