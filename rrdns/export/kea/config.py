"""Change what was named in a Kea DHCPv4 config, and nothing else.

The config is what `config-get` returned, as JSON values: `Dhcp4` with `subnet4`,
`shared-networks` and `client-classes`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, TypeAlias

from rrdns.export.errors import KeaConfigError

Config: TypeAlias = dict[str, Any]

TFTP_SERVER_NAME = 66
REDACTED = "*****"  # what some versions show in place of a password


@dataclass(frozen=True, slots=True)
class Targets:
    """The parts of the config that may be changed."""

    subnets: tuple[int | str, ...] = ()  # by id or prefix
    shared_networks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BootInfo:
    """What a target is to be told; None: left as it is."""

    next_server: str | None = None
    boot_file: str | None = None
    option66: str | None = None


def with_boot_info(config: Config, targets: Targets, info: BootInfo) -> Config:
    """Return the config with the boot information in each target.

    Raises:
        KeaConfigError: a target is not there, or a password is; nothing is changed then.
    """
    if _has_redacted(config):
        raise KeaConfigError(
            "config-get shows a password as asterisks, and would have them sent back as one"
        )
    new = copy.deepcopy(config)
    for target in _find(new, targets):
        _set_value(target, info)
    return new


def _find(config: Config, targets: Targets) -> list[dict[str, Any]]:
    dhcp4 = _dhcp4(config)
    missing: list[str] = []
    found: list[dict[str, Any]] = []
    subnets = list(_subnets(dhcp4))
    for wanted in targets.subnets:
        hits = [subnet for subnet in subnets if _is_subnet(subnet, wanted)]
        found += hits
        missing += [] if hits else [f"subnet {wanted}"]
    for kind, names in (
        ("shared-networks", targets.shared_networks),
        ("client-classes", targets.classes),
    ):
        by_name = {item.get("name"): item for item in dhcp4.get(kind, [])}
        found += [by_name[name] for name in names if name in by_name]
        missing += [f"{name!r} among its {kind}" for name in names if name not in by_name]
    if missing:
        raise KeaConfigError(f"it has no {', no '.join(missing)}")
    return found


def _dhcp4(config: Config) -> dict[str, Any]:
    dhcp4 = config.get("Dhcp4")
    if not isinstance(dhcp4, dict):
        raise KeaConfigError("it has no Dhcp4: is this the DHCPv4 server?")
    return dhcp4


def _subnets(dhcp4: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from dhcp4.get("subnet4", [])
    for network in dhcp4.get("shared-networks", []):
        yield from network.get("subnet4", [])


def _is_subnet(subnet: dict[str, Any], wanted: int | str) -> bool:
    if isinstance(wanted, int):
        return bool(subnet.get("id") == wanted)
    try:
        return ip_network(subnet.get("subnet", ""), False) == ip_network(wanted, False)
    except ValueError:
        return False


def _set_value(target: dict[str, Any], info: BootInfo) -> None:
    if info.next_server is not None:
        target["next-server"] = info.next_server
    if info.boot_file is not None:
        target["boot-file-name"] = info.boot_file
    if info.option66 is not None:
        options = target.setdefault("option-data", [])
        option = next((option for option in options if _is_option66(option)), None)
        if option is None:
            option = {"name": "tftp-server-name", "code": TFTP_SERVER_NAME, "space": "dhcp4"}
            options.append(option)
        option.update({"csv-format": True, "data": info.option66})


def _is_option66(option: dict[str, Any]) -> bool:
    named = option.get("code") == TFTP_SERVER_NAME or option.get("name") == "tftp-server-name"
    return named and option.get("space", "dhcp4") == "dhcp4"


def _has_redacted(value: object) -> bool:
    if isinstance(value, dict):
        return any(
            (key in ("password", "secret") and item == REDACTED) or _has_redacted(item)
            for key, item in value.items()
        )
    return isinstance(value, list) and any(_has_redacted(item) for item in value)
