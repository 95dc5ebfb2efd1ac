"""Make the settings of a file that has no mistakes."""

from __future__ import annotations

from pathlib import Path

from rrdns.config.integrations import exporter_settings, webhook_settings
from rrdns.config.schema import (
    ApiTable,
    DnsTable,
    File,
    NameserverTable,
    PoolTable,
    RateLimitTable,
    ZoneTable,
)
from rrdns.config.settings import (
    DEFAULT_API,
    ApiSettings,
    ChaosSettings,
    DnsSettings,
    LogSettings,
    ProcessSettings,
    Settings,
    StoreSettings,
    TcpSettings,
)
from rrdns.core.model import BootFile, Member, Nameserver, Pool, ProbeSpec, Zone, is_inside
from rrdns.core.rate_limit import RateLimits
from rrdns.web.api.auth import Token


def build(file: File, source: str) -> Settings:
    """Return the settings of a checked file."""
    return Settings(
        zones=tuple(_zone(zone, file.pools) for zone in file.zones),
        pools=tuple(_pool(pool) for pool in file.pools),
        dns=_dns(file.dns),
        api=_api(file.api),
        store=StoreSettings(
            backend=file.store.backend.value,
            path=Path(file.store.path),
            audit_days=float(file.store.audit_days),
        ),
        log=LogSettings(format=file.log.format.value, level=file.log.level.value),
        process=ProcessSettings(user=file.process.user, group=file.process.group),
        exporters=tuple(exporter_settings(table) for table in file.exporters),
        webhooks=tuple(webhook_settings(table) for table in file.webhooks),
        source=source,
    )


def _dns(table: DnsTable) -> DnsSettings:
    return DnsSettings(
        listen=tuple(endpoint for endpoint in table.listen if endpoint is not None),
        freebind=table.freebind,
        workers=table.workers,
        tcp=TcpSettings(
            connections=table.tcp.connections,
            per_address=table.tcp.per_address,
            idle=float(table.tcp.idle),
            lifetime=float(table.tcp.lifetime),
        ),
        cookies=table.cookies,
        cookie_secrets=tuple(bytes.fromhex(one) for one in table.cookie_secret if one),
        rate_limit=_rate_limit(table.rate_limit),
        nsid=table.nsid,
        chaos=ChaosSettings(id=table.chaos.id, version=table.chaos.version),
    )


def _rate_limit(table: RateLimitTable) -> RateLimits | None:
    if not table.enabled:
        return None
    return RateLimits(
        answers=table.answers,
        negatives=table.negatives,
        errors=table.errors,
        window=float(table.window),
        slip=table.slip,
        ipv4_prefix=table.ipv4_prefix,
        ipv6_prefix=table.ipv6_prefix,
        exempt=tuple(network for network in table.exempt if network),
    )


def _api(table: ApiTable) -> ApiSettings:
    tokens = tuple(
        Token(name=token.name, role=token.role, sha256=token.sha256)
        for token in table.tokens
        if token.role is not None
    )
    return ApiSettings(
        listen=table.listen or DEFAULT_API,
        tokens=tokens,
        tls_cert=Path(table.tls_cert) if table.tls_cert else None,
        tls_key=Path(table.tls_key) if table.tls_key else None,
    )


def _zone(table: ZoneTable, pools: list[PoolTable]) -> Zone:
    return Zone(
        name=table.name,
        nameservers=tuple(_nameserver(server) for server in table.nameservers),
        hostmaster=table.hostmaster,
        ttl=table.ttl,
        negative_ttl=_negative_ttl(table, pools),
        serial=table.serial,
        refresh=table.refresh,
        retry=table.retry,
        expire=table.expire,
        allow_query=tuple(network for network in table.allow_query if network),
    )


def _negative_ttl(table: ZoneTable, pools: list[PoolTable]) -> int:
    """Return how long an empty answer is remembered: no longer than an address is."""
    if table.negative_ttl is not None:
        return table.negative_ttl
    ttls = [pool.ttl for pool in pools if is_inside(pool.hostname, table.name)]
    return max(1, min(ttls, default=5))


def _nameserver(table: NameserverTable) -> Nameserver:
    addresses = [table.address, *table.addresses]
    return Nameserver(table.name, tuple(address for address in addresses if address))


def _pool(table: PoolTable) -> Pool:
    probe = table.probe
    return Pool(
        name=table.name,
        hostname=table.hostname,
        members=tuple(
            Member(
                name=member.name,
                address=member.address,
                backup=member.backup,
                tags=tuple(tag for tag in member.tags if tag is not None),
            )
            for member in table.members
        ),
        probe=ProbeSpec(
            files=tuple(BootFile(**dict(boot_file)) for boot_file in probe.files),
            port=probe.port,
            interval=float(probe.interval),
            timeout=float(probe.timeout),
            fast_interval=float(probe.fast_interval),
            full_every=float(probe.full_every),
            fall=probe.fall,
            rise=probe.rise,
            blksize=probe.blksize,
        ),
        ttl=table.ttl,
        answers=table.answers,
        policy=table.policy,
        on_empty=table.on_empty,
        min_members=table.min_members,
    )
