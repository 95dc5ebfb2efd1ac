"""Play one target device: resolve the boot name, load the boot file, say what came of it.

A target believes the first address that it gets, as all firmware does: it tries no second
server and does not ask again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random

from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import BootFile, Endpoint
from rrdns.lab.bootstorm.dns_rules import Failed, Taken
from rrdns.lab.bootstorm.firmware import Firmware
from rrdns.lab.bootstorm.resolver import FirmwareResolver
from rrdns.lab.bootstorm.udp_socket import UdpSocket
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest
from rrdns.wire.tftp.read_session import ReadSession, Send

LONGEST = 600.0  # seconds that one transfer may take in all, while its server goes on sending


@dataclass(frozen=True, slots=True)
class Target:
    """A device that is switched on at some time of a storm."""

    number: int
    firmware: Firmware
    start: float  # seconds since the storm began
    seed: int  # of its dice


@dataclass(frozen=True, slots=True)
class BootFileSource:
    """What is to be loaded, and where a server offers it."""

    name: str
    port: int = 69


@dataclass(frozen=True, slots=True)
class Boot:
    """What came of one target."""

    target: Target
    began: float  # seconds since the storm began, when it really was switched on
    seconds: float  # from then to the last byte of the boot file, or until it gave up
    server: str = ""  # whom it asked for the boot file; empty if it never knew one
    resolved: float | None = None  # seconds from `began` until it had the address
    verdict: Verdict | None = None  # of the transfer
    reason: str = ""  # why it did not boot

    @property
    def booted(self) -> bool:
        """Tell whether the whole boot file arrived."""
        return self.verdict is Verdict.OK


class ByDnsName:
    """Targets that resolve a name at the DNS servers that DHCP told them."""

    def __init__(self, name: str, servers: Sequence[Endpoint]) -> None:
        self.label = f"{name} at {', '.join(str(server) for server in servers)}"
        self.name = name
        self._servers = servers

    async def find(self, target: Target) -> Taken | Failed:
        """Return the address that the target boots from, or why it has none."""
        loop = asyncio.get_running_loop()
        rng = Random(target.seed)  # noqa: S311  # to be the same each time
        family = socket.AF_INET6 if ":" in self._servers[0].host else socket.AF_INET
        addresses = [(server.host, server.port) for server in self._servers]
        async with UdpSocket(family) as box:
            lookup = FirmwareResolver(target.firmware, self.name, self._servers, rng, loop.time())
            while True:
                for server, query in lookup.act(loop.time()):
                    box.send(query, addresses[server])
                if lookup.outcome is not None:
                    return lookup.outcome
                received = await box.next(lookup.due())
                if received is not None and received[1] in addresses:
                    lookup.receive(received[0], loop.time())


class ByRoundRobin:
    """Targets that are sent to each of some addresses in turn: plain round robin, at its best."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.label = f"plain round robin over {', '.join(addresses)}"
        self._next: Iterator[str] = cycle(addresses)

    async def find(self, _target: Target) -> Taken | Failed:
        """Return the address whose turn it is, whatever became of it."""
        return Taken(next(self._next))


ServerSource = ByDnsName | ByRoundRobin


async def boot(target: Target, way: ServerSource, file: BootFileSource, epoch: float) -> Boot:
    """Switch the target on, and return what came of it; `epoch` is the storm's beginning."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        return await _boot(target, way, file, began, epoch)
    except OSError as error:
        reason = f"this host cannot play it: {error.strerror or error}"
        return Boot(target, began - epoch, clock() - began, reason=reason)


async def _boot(
    target: Target, way: ServerSource, file: BootFileSource, began: float, epoch: float
) -> Boot:
    clock = asyncio.get_running_loop().time
    found = await way.find(target)
    resolved = clock() - began
    if isinstance(found, Failed):
        return Boot(target, began - epoch, resolved, reason=found.reason)
    if ":" in found.address:
        reason = f"it would boot from {found.address}, and only IPv4 is played"
        return Boot(target, began - epoch, resolved, found.address, resolved, reason=reason)
    finding = await _load(target.firmware, found.address, file)
    return Boot(
        target,
        began - epoch,
        clock() - began,
        found.address,
        resolved,
        finding.verdict,
        "" if finding.verdict is Verdict.OK else finding.sentence,
    )


async def _load(firmware: Firmware, address: str, file: BootFileSource) -> TransferFinding:
    """Load the boot file in the firmware's own way."""
    asked, wanted = TransferRequest(address, file.port, file.name), BootFile(file.name)
    strict = firmware.edk2_rules
    whole = ReadSession(asked, wanted, ProbeDepth.FULL, firmware.options, edk2=strict)
    if firmware.size_options:
        options = firmware.size_options
        first = ReadSession(asked, wanted, ProbeDepth.LIGHT, options, size_only=True, edk2=strict)
        finding = await _transfer(first, firmware)
        if finding.verdict is not Verdict.OK:
            return finding
        whole.follow(first)
    return await _transfer(whole, firmware)


async def _transfer(session: ReadSession, firmware: Firmware) -> TransferFinding:
    async with UdpSocket(socket.AF_INET) as box:
        try:
            return await _Transfer(session, firmware, box).run()
        finally:
            left = session.abort()
            if left is not None:
                box.send(*left)


class _Transfer:
    """A read session in the firmware's rhythm."""

    def __init__(self, session: ReadSession, firmware: Firmware, box: UdpSocket) -> None:
        self._session = session
        self._firmware = firmware
        self._box = box
        self._clock = asyncio.get_running_loop().time
        self._began = self._heard = self._clock()
        self._sent = 0  # repeats since the last progress
        self._progress = 0

    async def run(self) -> TransferFinding:
        """Return what there was to find."""
        while self._session.finding is None:
            now = self._clock()
            if now < self._due():
                received = await self._box.next(self._due())
                if received is not None:
                    self._receive(*received)
            elif now >= self._began + LONGEST:
                self._send(self._session.too_slow(LONGEST))
            elif now >= self._heard + self._firmware.timeout:
                self._send(self._session.timed_out(self._firmware.timeout))
            else:
                self._repeat()
        return self._session.finding

    def _due(self) -> float:
        left = self._firmware.retransmits_at[self._sent :]
        wait = left[0] if left else self._firmware.timeout
        return min(self._heard + wait, self._began + LONGEST)

    def _repeat(self) -> None:
        self._sent += 1
        if not self._progress:
            self._send(self._session.request())
        elif self._firmware.repeats_acks:
            self._send(self._session.resend_ack())

    def _receive(self, datagram: bytes, source: tuple[str, int]) -> None:
        self._send(self._session.receive(datagram, source))
        if self._session.progress != self._progress:
            self._progress = self._session.progress
            self._heard = self._clock()
            self._sent = 1  # the first of `repeats_at` is the packet that was just sent

    def _send(self, send: Send | None) -> None:
        if send is not None:
            self._box.send(*send)
