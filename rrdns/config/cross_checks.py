"""Find contradictions between values of a config: duplicates, conflicts, dangers.

Each value is valid by itself. A value with a mistake was removed from the file, so it is empty
here, or its path is in `broken`; no check draws a conclusion from it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rrdns.config.integration_tables import CommandExporterTable, FileExporterTable
from rrdns.config.integrations import check_exporters, check_webhooks, duplicates
from rrdns.config.ownership import changeable, identity_of, program_of, unfit_state
from rrdns.config.pool_tables import PoolTable
from rrdns.config.schema import Backend, File, NameserverTable, ZoneTable
from rrdns.config.table import InvalidPaths, SettingPath
from rrdns.core.model import Endpoint, is_inside
from rrdns.errors import Mistake
from rrdns.web.transport.tls import TlsConfigError, make_context


def check(file: File, broken: InvalidPaths) -> list[Mistake]:
    """Return every contradiction; `broken` are the paths that have a mistake already."""
    return [
        *_listeners(file),
        *_tokens(file, broken),
        *_tls(file, broken),
        *_zones(file),
        *_nameservers(file, broken),
        *_negative_ttls(file, broken),
        *_hostnames(file, broken),
        *_pools(file, broken),
        *check_exporters(file, broken),
        *check_webhooks(file, broken),
    ]


def check_files(file: File, broken: InvalidPaths, source: str) -> Iterator[Mistake]:
    """Return every mistake in the contents and permissions of the files that a config names.

    `source` is the path of the config.
    """
    certificate, key = file.api.tls_cert, file.api.tls_key
    if certificate and key and not {"api.tls_cert", "api.tls_key"} & broken:
        try:
            make_context(certificate, key)
        except TlsConfigError as bad:
            yield Mistake(f"api.{bad.setting}", f"is {bad.path}, which {bad.problem}")
    yield from _rights(file, source)


def _rights(file: File, source: str) -> Iterator[Mistake]:
    """Return the files that rrdns' user could change to become root."""
    who = identity_of(file.process.user, file.process.group)
    if who is None:
        return
    for place, path in _read_by_root(file, source):
        why = changeable(path, who)
        if why:
            subject = f'is "{path}", which {why}' if place else why
            yield Mistake(place, subject)
    if file.store.backend is not Backend.MEMORY:
        why = unfit_state(file.store.path, who)
        if why:
            yield Mistake("store.path", why)


def _read_by_root(file: File, source: str) -> Iterator[tuple[SettingPath, Path]]:
    """Return the files that rrdns reads as root, each with the path of its setting."""
    yield "", Path(source)
    for name in ("tls_cert", "tls_key"):
        if path := getattr(file.api, name):
            yield f"api.{name}", path
    for index, table in enumerate(file.exporters):
        if isinstance(table, FileExporterTable) and "/" in table.template:
            yield f"exporters[{index}].template", Path(table.template)
        if isinstance(table, FileExporterTable | CommandExporterTable):
            for path in program_of([word for word in table.command if word]):
                yield f"exporters[{index}].command", path


def zone_of(hostname: str, zones: Iterable[ZoneTable]) -> ZoneTable | None:
    """Return the zone that contains a hostname, or has it as its apex."""
    return next((zone for zone in zones if zone.name and is_inside(hostname, zone.name)), None)


def _listeners(file: File) -> Iterator[Mistake]:
    listeners = [(f"dns.listen[{i}]", each) for i, each in enumerate(file.dns.listen)]
    listeners.append(("api.listen", file.api.listen))
    yield from duplicates(listeners, "an address and port can have one listener only")
    if "listen" in file.dns.model_fields_set and not file.dns.listen:
        example = 'name an address of this host, such as "10.0.0.53:53", or leave it out'
        yield Mistake("dns.listen", f"is empty, so rrdns would get no queries; {example}")
    yield from _covered(listeners)


def _covered(listeners: Sequence[tuple[SettingPath, Endpoint | None]]) -> Iterator[Mistake]:
    """Return a mistake for each listener whose port a wildcard address takes already.

    IPv4 and IPv6 do not conflict, because the IPv6 sockets accept no IPv4.
    """
    wildcards = {
        (":" in listener.host, listener.port): (place, listener)
        for place, listener in listeners
        if listener is not None and ipaddress.ip_address(listener.host).is_unspecified
    }
    for place, listener in listeners:
        if listener is None or (":" in listener.host, listener.port) not in wildcards:
            continue
        wild_place, wild = wildcards[":" in listener.host, listener.port]
        if listener != wild:
            yield Mistake(
                place,
                f'is "{listener}", which {wild_place} has already: "{wild}" means every address '
                "of this host; remove one of them, or choose another port",
            )


def _tokens(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    tokens = [(f"api.tokens[{i}]", token) for i, token in enumerate(file.api.tokens)]
    yield from duplicates(
        ((f"{place}.name", token.name) for place, token in tokens),
        "each token needs its own name, because the audit trail shows it",
    )
    hashes = [(f"{place}.sha256", token.sha256) for place, token in tokens]
    for mistake in duplicates(hashes, ""):
        yield Mistake(mistake.path, "is the hash of another token; make a token for each holder")
    listen = file.api.listen
    if listen is None or tokens or "api.tokens" in broken or "api" in broken:
        return
    if not ipaddress.ip_address(listen.host).is_loopback:
        yield Mistake(
            "api.listen",
            f"is {listen}, which other hosts can reach, and there are no [[api.tokens]]: every "
            "host could drain; add a token (`rrdns token` makes one), or listen on 127.0.0.1",
        )


def _tls(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    pair = {"tls_cert": file.api.tls_cert, "tls_key": file.api.tls_key}
    for missing, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if pair[other] and not pair[missing] and f"api.{missing}" not in broken:
            yield Mistake(f"api.{missing}", f"is missing; TLS needs it together with api.{other}")


def _zones(file: File) -> Iterator[Mistake]:
    zones = [(f"zones[{i}].name", zone.name) for i, zone in enumerate(file.zones)]
    yield from duplicates(zones, "each zone is written once")
    for index, table in enumerate(file.zones):
        if not table.allow_query:
            yield Mistake(
                f"zones[{index}].allow_query",
                "is empty, so every query would be refused; add the networks of your resolvers, or "
                "leave it out to allow all",
            )
    for place, name in zones:
        for other, parent in zones:
            if name and parent and name != parent and is_inside(name, parent):
                yield Mistake(
                    place,
                    f'is "{name}", which is inside {other}, "{parent}"; remove one of them',
                )


def _nameservers(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    for index, zone in enumerate(file.zones):
        servers = [
            (f"zones[{index}].nameservers[{i}]", server)
            for i, server in enumerate(zone.nameservers)
        ]
        yield from duplicates(
            ((f"{place}.name", server.name) for place, server in servers),
            "each nameserver is written once, with all its addresses",
        )
        for place, server in servers:
            yield from _nameserver(place, server, zone, broken)


def _nameserver(
    place: SettingPath, server: NameserverTable, zone: ZoneTable, broken: InvalidPaths
) -> Iterator[Mistake]:
    if server.address and server.addresses:
        yield Mistake(
            f"{place}.addresses", "is written together with address; write all addresses here"
        )
    yield from duplicates(
        ((f"{place}.addresses[{i}]", each) for i, each in enumerate(server.addresses)),
        "each address is written once",
    )
    has_address = (
        server.address or server.addresses or {f"{place}.address", f"{place}.addresses"} & broken
    )
    if server.name and zone.name and is_inside(server.name, zone.name) and not has_address:
        yield Mistake(
            f"{place}.address",
            f'is missing; "{server.name}" is inside the zone "{zone.name}", so only rrdns can '
            'answer with its address; add address = "..."',
        )


def _negative_ttls(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    for index, zone in enumerate(file.zones):
        place = f"zones[{index}].negative_ttl"
        pools = [
            (f"pools[{i}].ttl", pool)
            for i, pool in enumerate(file.pools)
            if pool.hostname and zone.name and is_inside(pool.hostname, zone.name)
        ]
        known = [(pool.ttl, at) for at, pool in pools if at not in broken]
        if zone.negative_ttl is None or not known:
            continue
        ttl, at = min(known)
        if zone.negative_ttl > max(ttl, 1):
            yield Mistake(
                place,
                f"is {zone.negative_ttl}, more than {at}, {ttl}: a resolver would cache an empty "
                f"answer for longer than a server's address; write at most {max(ttl, 1)}, or "
                "leave it out",
            )


def _hostnames(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    hostnames = [(f"pools[{i}].hostname", pool.hostname) for i, pool in enumerate(file.pools)]
    yield from duplicates(hostnames, "each pool needs its own hostname")
    servers = {server.name: zone.name for zone in file.zones for server in zone.nameservers}
    # With a zone unread, "outside every zone" might be wrong, and a false alarm misleads.
    all_read = "zones" not in broken and all(zone.name for zone in file.zones) and file.zones
    for place, hostname in hostnames:
        zone = zone_of(hostname, file.zones)
        if hostname and zone is None and all_read:
            names = ", ".join(zone.name for zone in file.zones)
            yield Mistake(
                place, f'is "{hostname}", which is outside every zone ({names}); add its zone'
            )
        if zone and hostname in servers and is_inside(hostname, servers[hostname]):
            yield Mistake(
                place,
                f'is "{hostname}", the name of a nameserver of the zone, whose A records are '
                "that server's; give the nameserver another name",
            )


def _pools(file: File, broken: InvalidPaths) -> Iterator[Mistake]:
    pools = [(f"pools[{i}]", pool) for i, pool in enumerate(file.pools)]
    yield from duplicates(
        ((f"{place}.name", pool.name) for place, pool in pools), "each pool needs its own name"
    )
    for place, pool in pools:
        yield from _members(place, pool)
        yield from _numbers(place, pool, broken)
        files = [(f"{place}.probe.files[{i}].name", f.name) for i, f in enumerate(pool.probe.files)]
        yield from duplicates(files, "each file is written once")


def _members(place: SettingPath, pool: PoolTable) -> Iterator[Mistake]:
    members = [(f"{place}.members[{i}]", member) for i, member in enumerate(pool.members)]
    where = f' of pool "{pool.name}"' if pool.name else " of a pool"
    yield from duplicates(
        ((f"{at}.name", member.name) for at, member in members),
        f"each member{where} needs its own name",
    )
    yield from duplicates(
        ((f"{at}.address", member.address) for at, member in members),
        f"each address can be one member{where} only",
    )


def _numbers(place: SettingPath, pool: PoolTable, broken: InvalidPaths) -> Iterator[Mistake]:
    if pool.ttl == 0 and not pool.allow_zero_ttl and f"{place}.allow_zero_ttl" not in broken:
        yield Mistake(
            f"{place}.ttl",
            "is 0, which resolvers may not cache at all and some firmware caches until it "
            "reboots; must be 1 or more, or add allow_zero_ttl = true",
        )
    if pool.members and pool.min_members > len(pool.members):
        yield Mistake(
            f"{place}.min_members",
            f"is {pool.min_members}, and the pool has {len(pool.members)} members, so every drain "
            "would be refused; must be less than the number of members",
        )
