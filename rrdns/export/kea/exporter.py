"""Tell a Kea DHCPv4 server which address its clients boot from.

Kea sends `next-server` as an IPv4 literal only (docs: domain), so it must be told of each
change: its running config is read, changed in the named places, tested, and set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from string import Template
from weakref import WeakValueDictionary

from rrdns.export.errors import KeaConfigError
from rrdns.export.kea.channel import Channel, command, make_channel
from rrdns.export.kea.config import BootInfo, Config, Targets, with_boot_info
from rrdns.export.pool_view import Option66, PoolView
from rrdns.export.settings import KeaSettings

# Two exporters of one Kea must not set its config at the same time: one change would be lost.
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class KeaExporter:
    """Changes the config of one Kea server."""

    def __init__(self, settings: KeaSettings, channel: Channel | None = None) -> None:
        self._settings = settings
        self._channel = channel or make_channel(settings)
        self._turn = _turns.setdefault(self._channel.where, asyncio.Lock())
        self._targets = Targets(settings.subnets, settings.shared_networks, settings.classes)

    @property
    def name(self) -> str:
        """Return what the config calls it."""
        return self._settings.name

    async def export(self, views: Sequence[PoolView]) -> str | None:
        """Change Kea's config, unless it says all that already."""
        (view,) = views
        async with self._turn:
            return await self._export(boot_info(view, self._settings))

    async def _export(self, info: BootInfo) -> str | None:
        config = await self._get()
        # In a thread: a config of thousands of subnets must not hold up the probes.
        new = await asyncio.to_thread(with_boot_info, config, self._targets, info)
        if new == config:
            return None
        await command(self._channel, "config-test", new)
        # Kea knows no compare-and-set; a second look leaves others a few milliseconds to
        # be overwritten in, instead of the time that a test of a large config takes.
        if await self._get() != config:
            raise KeaConfigError("somebody else changed it at the same time; it is tried again")
        await command(self._channel, "config-set", new)
        await self._check(info)
        if self._settings.write:
            await command(self._channel, "config-write")
        return f"Kea at {self._channel.where} has a new config"

    async def _get(self) -> Config:
        arguments = await command(self._channel, "config-get")
        if not isinstance(arguments, dict):
            raise KeaConfigError("config-get returns none")
        # Newer versions add a hash of the config, which is no part of it.
        return {name: value for name, value in arguments.items() if name != "hash"}

    async def _check(self, info: BootInfo) -> None:
        """Read the config back: an answer of success alone proves nothing."""
        config = await self._get()
        if await asyncio.to_thread(with_boot_info, config, self._targets, info) != config:
            raise KeaConfigError("Kea said that it took the new one, and does not show it")


def boot_info(view: PoolView, settings: KeaSettings) -> BootInfo:
    """Return what Kea's clients are to be told of a pool."""
    names = {"first": view.first, "hostname": view.hostname, "pool": view.pool}
    boot_file = Template(settings.boot_file).safe_substitute(names)
    return BootInfo(
        next_server=view.first if settings.next_server else None,
        boot_file=boot_file or None,
        option66=None if settings.option66 is Option66.NONE else view.option66(settings.option66),
    )
