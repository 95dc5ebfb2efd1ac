"""Compare two configs: the differences, and which of them need a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from rrdns.config.settings import Settings
from rrdns.core.model import BootFile, Nameserver, Pool

_SECRETS = "dns.cookie_secrets"
# Processes that read the config only once use these before the first query.
_READ_AT_START = (
    "dns.listen",
    "dns.freebind",
    "dns.workers",
    "dns.tcp.connections",
    "dns.tcp.per_address",
    "dns.tcp.idle",
    "dns.tcp.lifetime",
    "dns.cookies",
    _SECRETS,
    "dns.rate_limit",
    "dns.nsid",
    "dns.chaos.id",
    "dns.chaos.version",
    "api.listen",
    "store.backend",
    "store.path",
    "process.user",
    "process.group",
    "log.format",
    "log.level",
)
_ALSO_LOGGED = ("api.tls_cert", "api.tls_key", "store.audit_days")


def restart_needed(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the paths of the settings that differ and that a reload cannot apply."""
    return tuple(place for place in _READ_AT_START if _at(old, place) != _at(new, place))


def describe_changes(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return a line for each difference, for the log of a reload."""
    return (
        *_plain_changes(old, new),
        *_token_changes(old, new),
        *_zone_changes(old, new),
        *_pool_changes(old, new),
        *_exporter_changes(old, new),
        *_webhook_changes(old, new),
    )


def _plain_changes(old: Settings, new: Settings) -> Iterator[str]:
    for place in (*_READ_AT_START, *_ALSO_LOGGED):
        if place != _SECRETS:
            yield from _changed(place, _at(old, place), _at(new, place))
        elif _at(old, place) != _at(new, place):
            yield f"{place}: replaced"


def _token_changes(old: Settings, new: Settings) -> Iterator[str]:
    before = {token.name: token for token in old.api.tokens}
    after = {token.name: token for token in new.api.tokens}
    yield from _came_and_went("token", before, after)
    for name in (name for name in after if name in before):
        yield from _changed(f"token {name}: role", before[name].role, after[name].role)
        if before[name].sha256 != after[name].sha256:
            yield f"token {name}: replaced"


def _zone_changes(old: Settings, new: Settings) -> Iterator[str]:
    before = {zone.name: zone for zone in old.zones}
    after = {zone.name: zone for zone in new.zones}
    yield from _came_and_went("zone", before, after)
    for name, zone in after.items():
        if name in before:
            yield from _field_changes(f"zone {name}", before[name], zone, leave=())


def _pool_changes(old: Settings, new: Settings) -> Iterator[str]:
    before = {pool.name: pool for pool in old.pools}
    after = {pool.name: pool for pool in new.pools}
    yield from _came_and_went("pool", before, after)
    for name, pool in after.items():
        if name not in before:
            continue
        yield from _field_changes(f"pool {name}", before[name], pool, leave=("probe", "members"))
        yield from _field_changes(f"pool {name}: probe", before[name].probe, pool.probe, leave=())
        yield from _member_changes(before[name], pool)


def _exporter_changes(old: Settings, new: Settings) -> Iterator[str]:
    before = {exporter.name: exporter for exporter in old.exporters}
    after = {exporter.name: exporter for exporter in new.exporters}
    yield from _came_and_went("exporter", before, after)
    for name in (name for name in after if name in before):
        if type(before[name]) is not type(after[name]):
            yield f"exporter {name}: type {before[name].kind} -> {after[name].kind}"
        else:
            what = f"exporter {name}"
            yield from _field_changes(what, before[name], after[name], leave=("headers",))
            yield from _replaced(what, before[name], after[name], ("headers",))


def _webhook_changes(old: Settings, new: Settings) -> Iterator[str]:
    before = {hook.name: hook for hook in old.webhooks}
    after = {hook.name: hook for hook in new.webhooks}
    yield from _came_and_went("webhook", before, after)
    for name in (name for name in after if name in before):
        what, secret = f"webhook {name}", ("url", "headers")
        yield from _field_changes(what, before[name], after[name], leave=secret)
        yield from _replaced(what, before[name], after[name], secret)


def _replaced(what: str, before: Any, after: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Return a line for each value that differs and may be a key, without the value."""
    for name in names:
        if getattr(before, name, None) != getattr(after, name, None):
            yield f"{what}: {name}: replaced"


def _member_changes(before: Pool, after: Pool) -> Iterator[str]:
    old = {member.name: member for member in before.members}
    new = {member.name: member for member in after.members}
    yield from _came_and_went(f"pool {after.name}: member", old, new)
    for name in (name for name in new if name in old):
        yield from _field_changes(
            f"pool {after.name}: member {name}", old[name], new[name], leave=()
        )
    stayed = [name for name in old if name in new]
    if stayed != [name for name in new if name in old]:
        yield f"pool {after.name}: members in another order"


def _came_and_went(what: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    yield from (f"{what} {name}: removed" for name in before if name not in after)
    yield from (f"{what} {name}: added" for name in after if name not in before)


def _field_changes(what: str, before: Any, after: Any, leave: tuple[str, ...]) -> Iterator[str]:
    for field in fields(before):
        if field.name not in leave:
            prefix = f"{what}: {field.name}" if ":" not in what else f"{what} {field.name}"
            yield from _changed(prefix, getattr(before, field.name), getattr(after, field.name))


def _changed(what: str, before: object, after: object) -> Iterator[str]:
    if before != after:
        yield f"{what}: {_shown(before)} -> {_shown(after)}"


def _at(settings: Settings, place: str) -> Any:
    value: Any = settings
    for name in place.split("."):
        value = getattr(value, name)
    return value


def _shown(value: object) -> str:
    match value:
        case tuple():
            return ", ".join(_shown(item) for item in value) or "none"
        case Nameserver():
            return " ".join([value.name, *value.addresses])
        case BootFile():
            return value.name if value == BootFile(value.name) else str(value)
        case None:
            return "none"
        case _:
            return str(value)
