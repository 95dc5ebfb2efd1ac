"""Simulate one target device: resolve the boot name, load the boot file, return the result.

A target uses the first address that it gets, as all firmware does. It tries no second server
and does not resolve the name again.
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
from rrdns.wire.tftp.packets import Send
from rrdns.wire.tftp.read_session import ReadSession

LONGEST = 600.0  # seconds: the maximum of one transfer whose server continues to send


@dataclass(frozen=True, slots=True)
class Target:
    """A device that is switched on at some time of a storm."""

    number: int
    firmware: Firmware
    start: float  # seconds since the storm began
    seed: int  # of its random numbers


@dataclass(frozen=True, slots=True)
class BootFileSource:
    """The boot file to load, and the servers' TFTP port."""

    name: str
    port: int = 69


@dataclass(frozen=True, slots=True)
class Boot:
    """The result of one target."""

    target: Target
    began: float  # seconds since the storm began, when it was actually switched on
    seconds: float  # from then to the last byte of the boot file, or to the failure
    server: str = ""  # the boot server that it used; empty if it had no address
    resolved: float | None = None  # seconds from `began` until it had the address
    verdict: Verdict | None = None  # of the transfer
    reason: str = ""  # why it did not boot

    @property
    def booted(self) -> bool:
        """Return whether the whole boot file arrived."""
        return self.verdict is Verdict.OK


class ByDnsName:
    """Targets that resolve a name at the DNS servers that they have from DHCP."""

    def __init__(self, name: str, servers: Sequence[Endpoint]) -> None:
        self.label = f"{name} at {', '.join(str(server) for server in servers)}"
        self.name = name
        self._servers = servers

    async def find(self, target: Target) -> Taken | Failed:
        """Return the address that the target boots from, or why it has none."""
        loop = asyncio.get_running_loop()
        rng = Random(target.seed)  # noqa: S311  # the same numbers in each run
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
    """Targets that use each of some addresses in turn: plain round robin at its best."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.label = f"plain round robin over {', '.join(addresses)}"
        self._next: Iterator[str] = cycle(addresses)

    async def find(self, _target: Target) -> Taken | Failed:
        """Return the next address, also if its server is down."""
        return Taken(next(self._next))


ServerSource = ByDnsName | ByRoundRobin


async def boot(target: Target, way: ServerSource, file: BootFileSource, epoch: float) -> Boot:
    """Switch the target on, and return its result. `epoch` is the start of the storm."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        return await _boot(target, way, file, began, epoch)
    except OSError as error:
        reason = f"this host cannot simulate it: {error.strerror or error}"
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
        reason = f"it would boot from {found.address}, but only IPv4 is simulated"
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
    """Load the boot file as the firmware does."""
    request, boot_file = TransferRequest(address, file.port, file.name), BootFile(file.name)
    strict = firmware.edk2_rules
    whole = ReadSession(request, boot_file, ProbeDepth.FULL, firmware.options, edk2=strict)
    if firmware.size_options:
        first = ReadSession(
            request,
            boot_file,
            ProbeDepth.LIGHT,
            firmware.size_options,
            size_only=True,
            edk2=strict,
        )
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
            error = session.abort()
            if error is not None:
                box.send(*error)


class _Transfer:
    """A read session with the firmware's timers."""

    def __init__(self, session: ReadSession, firmware: Firmware, box: UdpSocket) -> None:
        self._session = session
        self._firmware = firmware
        self._box = box
        self._clock = asyncio.get_running_loop().time
        self._began = self._heard = self._clock()
        self._sent = 0  # repeats since the last progress
        self._progress = 0

    async def run(self) -> TransferFinding:
        """Run the transfer; return its finding."""
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
            self._sent = 1  # the first of `retransmits_at` is the packet that was just sent

    def _send(self, send: Send | None) -> None:
        if send is not None:
            self._box.send(*send)
