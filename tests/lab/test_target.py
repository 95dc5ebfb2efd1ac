"""One target on real sockets: what it sends, from whom it boots, and why it does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from rrdns.core.health.probe_result import Verdict
from rrdns.core.model import Endpoint, Profile
from rrdns.lab.bootstorm.firmware import EDK2, FIRMWARE, GRUB, IPXE, U_BOOT, Firmware
from rrdns.lab.bootstorm.target import (
    Boot,
    BootFileSource,
    ByDnsName,
    ByRoundRobin,
    ServerSource,
    Target,
    boot,
)
from rrdns.lab.bootstorm.udp_socket import UdpSocket
from rrdns.lab.tftpd.boot_files import boot_files
from rrdns.lab.tftpd.faults import NONE, Faults, Step
from rrdns.lab.tftpd.server import TftpServer
from rrdns.wire.answers.responder import respond
from tests.tftp_cases import CASES, FILE_OF, Case, ScriptedServer
from tests.wire import sample_zones

ADDRESS, OTHER = "127.0.0.51", "127.0.0.52"
NAME = "boot.pvs.example.test"
FILE = "ARDBP32.BIN"


@asynccontextmanager
async def served(faults: Faults = NONE, retry_after: float = 20.0) -> AsyncIterator[TftpServer]:
    """Run a boot server."""
    async with TftpServer(ADDRESS, 0, boot_files(), faults, retry_after=retry_after) as server:
        yield server


@asynccontextmanager
async def answering(*addresses: str) -> AsyncIterator[Endpoint]:
    """Answer as rrdns does, with these members."""
    rrset = replace(sample_zones.rrset("boot"), addresses=addresses)
    table = sample_zones.table(rrset)
    async with UdpSocket(socket.AF_INET, ("127.0.0.1", 0)) as box:

        async def answer() -> None:
            loop = asyncio.get_running_loop()
            while True:
                received = await box.next(loop.time() + 60)
                assert received is not None
                reply = respond(received[0], table)
                if reply is not None:
                    box.send(reply, received[1])

        task = asyncio.create_task(answer())
        yield Endpoint("127.0.0.1", box.port)
        task.cancel()


async def booted(firmware: Firmware, way: ServerSource, port: int, file: str = FILE) -> Boot:
    """Return what came of one target."""
    target = Target(0, firmware, 0.0, seed=1)
    return await boot(target, way, BootFileSource(file, port), asyncio.get_running_loop().time())


async def until(holds: Callable[[], object]) -> None:
    """Wait for the other end of a socket in this very loop, up to 5 s."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  # the lab's server has no event to wait for
            await asyncio.sleep(0.01)


def title(firmware: Firmware) -> str:
    """Name a firmware in a test's name."""
    return firmware.name


def quick(firmware: Firmware, patience: float = 0.3) -> Firmware:
    """Return firmware that repeats soon and gives up soon."""
    return replace(firmware, retransmits_at=(0.0, 0.1, 0.2), timeout=patience)


@pytest.mark.parametrize("firmware", FIRMWARE.values(), ids=title)
async def test_each_kind_of_firmware_resolves_and_boots(firmware: Firmware) -> None:
    """The whole file, from the first address of the answer."""
    async with served() as server, answering(ADDRESS, OTHER) as dns:
        one = await booted(firmware, ByDnsName(NAME, [dns]), server.port)
        await until(lambda: not server.open_transfers)
    assert (one.booted, one.server, one.reason) == (True, ADDRESS, "")
    assert one.resolved is not None
    assert 0 < one.resolved < one.seconds < 5
    assert server.counts.finished == 1


@pytest.mark.parametrize(
    ("firmware", "options"),
    [
        (IPXE, b"blksize\x001432\0tsize\x000\0"),
        (EDK2, b"tsize\x000\0blksize\x001468\0windowsize\x004\0"),
        (GRUB, b"blksize\x001024\0tsize\x000\0"),
        (U_BOOT, b"timeout\x005\0tsize\x000\0blksize\x001468\0"),
    ],
    ids=["ipxe", "edk2", "grub", "uboot"],
)
async def test_each_kind_of_firmware_asks_with_its_own_options(
    firmware: Firmware, options: bytes
) -> None:
    """Byte for byte, in the firmware's order."""
    async with UdpSocket(socket.AF_INET, (ADDRESS, 0)) as box:
        task = asyncio.create_task(booted(quick(firmware), ByRoundRobin([ADDRESS]), box.port))
        received = await box.next(asyncio.get_running_loop().time() + 5)
        await task
    assert received is not None
    assert received[0] == b"\0\1ARDBP32.BIN\0octet\0" + options


async def test_edk2_asks_for_the_size_first_and_refuses_the_answer() -> None:
    """ERROR 8 for the OACK, then the file with a request of its own."""
    async with served() as server:
        one = await booted(EDK2, ByRoundRobin([ADDRESS]), server.port)
        assert one.booted
        assert (server.counts.requests, server.counts.errors_heard) == (2, [8])


@pytest.mark.parametrize("firmware", [IPXE, EDK2], ids=title)
@pytest.mark.parametrize("case", [case for case in CASES if not case.long], ids=lambda it: it.name)
async def test_what_is_played_loads_where_the_real_firmware_does(
    case: Case, firmware: Firmware
) -> None:
    """As the probe says of each scripted server, and as iPXE and EDK2 were seen in QEMU."""
    profile = Profile.IPXE if firmware is IPXE else Profile.UEFI
    hasty = replace(firmware, retransmits_at=(0.0, 0.3, 0.6), timeout=1.8)
    async with ScriptedServer(case.script, ADDRESS, OTHER) as server:
        one = await booted(hasty, ByRoundRobin([ADDRESS]), server.port, FILE_OF[profile])
    assert one.booted is case.loads(profile), one.reason


async def test_a_silent_server_is_asked_again_and_no_other_is_tried() -> None:
    """It gives up after its patience, and says of whom."""
    async with served(Faults(silent=True)) as silent, answering(ADDRESS, OTHER) as dns:
        async with TftpServer(OTHER, silent.port, boot_files()) as healthy:
            one = await booted(quick(IPXE), ByDnsName(NAME, [dns]), silent.port)
            assert healthy.counts.requests == 0
        assert silent.counts.requests == 3
    assert (one.booted, one.verdict, one.server) == (False, Verdict.TIMEOUT, ADDRESS)
    assert one.reason.startswith(f"{ADDRESS} did not answer the request for {FILE} within 0.3 s")
    assert 0.3 <= one.seconds < 2


async def test_a_port_that_refuses_does_not_shorten_the_wait() -> None:
    """Firmware does not look at ICMP."""
    async with served() as server:
        port = server.port
    one = await booted(quick(IPXE), ByRoundRobin([ADDRESS]), port)
    assert one.verdict is Verdict.TIMEOUT
    assert one.seconds >= 0.3


@pytest.mark.parametrize(("firmware", "acks"), [(IPXE, 2), (GRUB, 0)], ids=["ipxe", "grub"])
async def test_who_repeats_its_acks_when_a_server_stalls(firmware: Firmware, acks: int) -> None:
    """GRUB leaves the repeating to the server."""
    async with served(Faults(stalls_after=3)) as server:
        one = await booted(quick(firmware), ByRoundRobin([ADDRESS]), server.port)
        await until(lambda: server.counts.stopped or server.counts.errors_heard)
        assert server.counts.repeated_acks == acks
    assert one.verdict is Verdict.TIMEOUT
    assert "sent nothing for 0.3 s after" in one.reason


async def test_a_lost_packet_is_made_up_for() -> None:
    """The server repeats it, and the transfer goes on."""
    async with served(Faults(slow=0.15), retry_after=0.1) as server:
        files = {FILE: b"x" * 3000}
        server.files = files
        one = await booted(quick(IPXE, 2.0), ByRoundRobin([ADDRESS]), server.port)
    assert one.booted


@pytest.mark.parametrize(
    ("faults", "verdict"),
    [
        (Faults(error_at=Step.REQUEST, error_code=2, error_text="no"), Verdict.TFTP_ERROR),
        (Faults(ends_after=1432 * 2), Verdict.TRUNCATED),
        (Faults(garbage=True), Verdict.BAD_REPLY),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_a_server_does_wrong_is_said(faults: Faults, verdict: Verdict) -> None:
    """In the words of the probe."""
    async with served(faults) as server:
        one = await booted(quick(IPXE), ByRoundRobin([ADDRESS]), server.port)
    assert (one.booted, one.verdict) == (False, verdict)
    assert ADDRESS in one.reason


async def test_a_name_without_an_address_names_no_server() -> None:
    """The reason is DNS's."""
    async with answering() as dns:
        one = await booted(U_BOOT, ByDnsName(NAME, [dns]), 69)
    assert (one.booted, one.server, one.verdict) == (False, "", None)
    assert NAME in one.reason


async def test_what_no_dns_server_of_the_target_sent_is_not_read() -> None:
    """An answer from elsewhere is none."""
    async with answering(ADDRESS) as dns:
        lying = ByDnsName(NAME, [Endpoint("127.0.0.2", dns.port)])
        one = await booted(EDK2, lying, 69)
    assert "no answer for" in one.reason
    assert one.seconds >= 2.0


async def test_an_ipv6_boot_server_is_not_played() -> None:
    """The reason says so."""
    one = await booted(IPXE, ByRoundRobin(["2001:db8::11"]), 69)
    assert not one.booted
    assert "only IPv4" in one.reason


async def test_a_host_that_cannot_open_sockets_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no verdict on any server."""

    async def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_datagram_endpoint", fail)
    one = await booted(IPXE, ByRoundRobin([ADDRESS]), 69)
    assert (one.booted, one.server) == (False, "")
    assert one.reason == "this host cannot simulate it: Too many open files"


async def test_a_target_that_is_cut_short_ends_its_transfer() -> None:
    """The server does not go on sending."""
    async with served(Faults(slow=0.05)) as server:
        task = asyncio.create_task(booted(IPXE, ByRoundRobin([ADDRESS]), server.port))
        await until(lambda: server.open_transfers)
        await asyncio.sleep(0.12)  # the reader has heard from it, too
        task.cancel()
        await until(lambda: not server.open_transfers)
        assert server.counts.stopped == 1
