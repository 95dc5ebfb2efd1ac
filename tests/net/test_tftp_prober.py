"""The prober against lab servers: every way to fail has its verdict, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import BootFile, ProbeSpec
from rrdns.lab.tftpd.boot_files import BIOS_FILE, UEFI_FILE, VERSION, boot_files
from rrdns.lab.tftpd.faults import NONE, Faults, Step
from rrdns.lab.tftpd.server import TftpServer
from rrdns.net import tftp_prober
from rrdns.net.tftp_prober import LateAnswers, max_transfer_seconds, probe
from rrdns.wire.tftp import boot_file
from rrdns.wire.tftp.packets import Address
from tests.peers import free_port
from tests.tftp_cases import Script, ScriptedServer

ADDRESS = "127.0.0.31"
ELSEWHERE = "127.0.0.32"
PATIENT = 5.0  # seconds: what shall pass must not fail because the machine is busy
HASTY = 0.3


def lab(faults: Faults = NONE) -> TftpServer:
    """Return a server that hardly ever retransmits, so that counts tell of the reader alone."""
    return TftpServer(ADDRESS, 0, boot_files(), faults, retry_after=20.0)


def spec(server: TftpServer, *names: str, timeout: float = PATIENT) -> ProbeSpec:
    """Return what to ask of a lab server."""
    files = tuple(BootFile(name) for name in names or (BIOS_FILE,))
    return ProbeSpec(files=files, port=server.port, timeout=timeout)


async def eventually(holds: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  # what is awaited is another party's doing
            await asyncio.sleep(0.005)


async def test_a_light_probe_passes_and_ends_by_an_error() -> None:
    """The server hears that the reader stopped, and retransmits nothing."""
    async with lab() as server:
        result = await probe(ADDRESS, spec(server), ProbeDepth.LIGHT)
        assert result.sentence == f"{ADDRESS} serves {BIOS_FILE} (62,976 bytes)"
        assert (result.verdict, result.depth, result.seen) == (Verdict.OK, ProbeDepth.LIGHT, ())
        await eventually(lambda: server.open_transfers == 0)
        assert (server.counts.stopped, server.counts.errors_heard) == (1, [0])
        assert server.counts.retransmissions == 0


async def test_a_full_probe_knows_size_hash_and_version() -> None:
    """And ends by the final ACK."""
    async with lab() as server:
        result = await probe(ADDRESS, spec(server), ProbeDepth.FULL)
        assert result.verdict is Verdict.OK
        assert result.warnings == ()
        (seen,) = result.seen
        content = boot_files()[BIOS_FILE]
        assert (seen.size, seen.version) == (len(content), VERSION)
        assert seen.sha256 == sha256(content).hexdigest()
        assert 0 < result.seconds < PATIENT
        await eventually(lambda: server.open_transfers == 0)
        assert (server.counts.finished, server.counts.errors_heard) == (1, [])


@pytest.mark.parametrize("depth", ProbeDepth)
async def test_all_files_are_asked_for_in_turn(depth: ProbeDepth) -> None:
    """All must load, and all are told."""
    async with lab() as server:
        result = await probe(ADDRESS, spec(server, BIOS_FILE, UEFI_FILE), depth)
        assert result.verdict is Verdict.OK
        assert f"{ADDRESS} serves {BIOS_FILE}" in result.sentence
        assert f"; {ADDRESS} serves {UEFI_FILE}" in result.sentence
        assert len(result.seen) == (2 if depth is ProbeDepth.FULL else 0)


async def test_the_first_failure_is_the_verdict() -> None:
    """What comes behind it is not even asked for."""
    async with lab() as server:
        result = await probe(ADDRESS, spec(server, BIOS_FILE, "gone", UEFI_FILE), ProbeDepth.FULL)
        assert result.verdict is Verdict.TFTP_ERROR
        assert result.sentence == f"{ADDRESS} has no file gone (TFTP error 1: File not found)"
        assert [seen.name for seen in result.seen] == [BIOS_FILE]
        assert server.counts.requests == 2


@dataclass(frozen=True)
class Case:
    """A fault, and what a probe makes of it."""

    faults: Faults
    verdict: Verdict
    words: str
    depth: ProbeDepth = ProbeDepth.FULL
    timeout: float = PATIENT


CASES = {
    "silent": Case(
        Faults(silent=True), Verdict.TIMEOUT, "did not answer", ProbeDepth.LIGHT, timeout=HASTY
    ),
    "wrong source": Case(
        Faults(reply_from=ELSEWHERE),
        Verdict.WRONG_SOURCE,
        f"the reply came from {ELSEWHERE}",
        ProbeDepth.LIGHT,
        timeout=HASTY,
    ),
    "wrong block": Case(
        Faults(first_block=7),
        Verdict.BAD_REPLY,
        "sent block 7; block 1 was due",
        ProbeDepth.LIGHT,
    ),
    "short file": Case(
        Faults(ends_after=5000), Verdict.TRUNCATED, "announced 62,976 bytes", ProbeDepth.FULL
    ),
    "short file without options": Case(
        Faults(ends_after=5000, ignore_options=True), Verdict.OK, "5,000 bytes"
    ),
    "empty file": Case(
        Faults(ends_after=0, tsize=0), Verdict.WRONG_SIZE, "empty", ProbeDepth.LIGHT
    ),
    "endless file": Case(Faults(endless=True), Verdict.WRONG_SIZE, "sends more"),
    "endless, light": Case(Faults(endless=True), Verdict.OK, "serves", ProbeDepth.LIGHT),
    "error on request": Case(
        Faults(error_at=Step.REQUEST, error_code=2, error_text="Permission denied"),
        Verdict.TFTP_ERROR,
        "(TFTP error 2: Permission denied): the server cannot read the file",
        ProbeDepth.LIGHT,
    ),
    "error after options": Case(
        Faults(error_at=Step.OPTIONS), Verdict.TFTP_ERROR, "did not serve", ProbeDepth.LIGHT
    ),
    "error in mid-transfer": Case(
        Faults(error_at=Step.DATA), Verdict.TFTP_ERROR, "after 1,428 bytes (TFTP error 0"
    ),
    "size announced too small": Case(Faults(tsize=100), Verdict.WRONG_SIZE, "announced 100 bytes"),
    "size announced too large": Case(Faults(tsize=10**6), Verdict.TRUNCATED, "1,000,000 bytes"),
    "blocks larger than asked": Case(
        Faults(blksize=4096), Verdict.BAD_REPLY, "blocks of 4096 bytes", ProbeDepth.LIGHT
    ),
    "smaller blocks": Case(Faults(blksize=600), Verdict.OK, "62,976 bytes"),
    "odd option": Case(Faults(odd_option="windowsize"), Verdict.OK, VERSION),
    "garbage": Case(Faults(garbage=True), Verdict.BAD_REPLY, "opcode 65535", ProbeDepth.LIGHT),
    "options ignored": Case(Faults(ignore_options=True), Verdict.OK, VERSION),
    "duplicates": Case(Faults(duplicates=2), Verdict.OK, VERSION),
    "late packets": Case(Faults(late=0.002), Verdict.OK, VERSION),
    "slow": Case(Faults(slow=0.005), Verdict.OK, VERSION),
    "flood": Case(Faults(flood=3), Verdict.OK, VERSION),
    "stalls": Case(
        Faults(stalls_after=2), Verdict.TIMEOUT, "sent nothing for 0.3 s after 2,856", timeout=HASTY
    ),
    "stalls after options": Case(
        Faults(stalls_after=0), Verdict.TIMEOUT, "after 0 bytes", ProbeDepth.LIGHT, timeout=HASTY
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_each_misbehaviour_has_its_verdict_and_a_clean_end(case: Case) -> None:
    """The sentence names the address and the file; the server is never left waiting."""
    async with lab(case.faults) as server:
        result = await probe(ADDRESS, spec(server, timeout=case.timeout), case.depth)
        assert result.verdict is case.verdict, result.sentence
        for words in (case.words, ADDRESS, BIOS_FILE):
            assert words in result.sentence
        if not case.faults.silent and case.faults.reply_from is None:
            await eventually(lambda: server.open_transfers == 0)
        assert server.counts.left_open == server.counts.retransmissions == 0


async def test_a_multihomed_server_is_told_that_its_reply_is_not_wanted() -> None:
    """ERROR 5 ends its transfer, which nobody would ever acknowledge."""
    async with lab(Faults(reply_from=ELSEWHERE)) as server:
        await probe(ADDRESS, spec(server, timeout=HASTY), ProbeDepth.LIGHT)
        await eventually(lambda: server.open_transfers == 0)
        assert set(server.counts.errors_heard) == {5}  # for the request, and its repeat


async def test_duplicates_are_not_acknowledged_again() -> None:
    """RFC 1123, section 4.2.3.1, on real sockets."""
    async with lab(Faults(duplicates=3, late=0.001)) as server:
        await probe(ADDRESS, spec(server), ProbeDepth.FULL)
        await eventually(lambda: server.open_transfers == 0)
        assert server.counts.repeated_acks == 0


async def test_a_flood_gets_few_answers() -> None:
    """Error 5 for the first ones, and no reflection of the rest."""
    async with lab(Faults(flood=20)) as server:
        assert (await probe(ADDRESS, spec(server), ProbeDepth.FULL)).passed
        await eventually(lambda: server.open_transfers == 0)
        assert server.counts.errors_heard.count(5) <= 8


async def test_a_lost_packet_is_asked_for_once_more_at_half_the_time_out() -> None:
    """One repeated ACK, at the transfer's place, and no more."""
    async with lab(Faults(stalls_after=1)) as server:
        await probe(ADDRESS, spec(server, timeout=HASTY), ProbeDepth.FULL)
        await eventually(lambda: server.open_transfers == 0)
        assert server.counts.repeated_acks == 1


async def test_silence_lasts_as_long_as_the_time_out() -> None:
    """Not less, and not much more."""
    async with lab(Faults(silent=True)) as server:
        result = await probe(ADDRESS, spec(server, timeout=HASTY), ProbeDepth.LIGHT)
        assert HASTY - 0.002 <= result.seconds < HASTY + 1


@pytest.mark.parametrize("depth", ProbeDepth)
async def test_a_stopped_service_is_known_at_once(depth: ProbeDepth) -> None:
    """ICMP port unreachable counts: no time-out passes."""
    async with lab() as server:
        asked = spec(server)
    result = await probe(ADDRESS, asked, depth)
    assert result.verdict is Verdict.REFUSED
    assert result.seconds < PATIENT / 2
    assert f"nothing listens on UDP port {asked.port}" in result.sentence


async def test_a_service_that_stops_in_mid_transfer_is_known_at_the_reminder() -> None:
    """The repeated ACK meets a closed port."""
    async with lab(Faults(stalls_after=1)) as server:
        task = asyncio.create_task(probe(ADDRESS, spec(server, timeout=2.0), ProbeDepth.FULL))
        await eventually(lambda: server.open_transfers == 1)
        await asyncio.sleep(0.05)
    result = await task
    assert result.verdict is Verdict.REFUSED
    assert "stopped the transfer" in result.sentence
    assert result.seconds < 2.0


async def test_an_icmp_error_about_a_stranger_disturbs_nothing() -> None:
    """An ERROR 5 that meets a closed port is no news of the member."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setblocking(False)
        server.bind((ADDRESS, 0))
        asked = ProbeSpec((BootFile("a"),), port=server.getsockname()[1], timeout=PATIENT)
        task = asyncio.create_task(probe(ADDRESS, asked, ProbeDepth.FULL))
        loop = asyncio.get_running_loop()
        _, reader = await loop.sock_recvfrom(server, 2000)
        await loop.sock_sendto(server, b"\0\3\0\1" + b"x" * 512, reader)
        await loop.sock_recvfrom(server, 2000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((ADDRESS, 0))
            stranger.sendto(b"\0\3\0\1stranger", reader)
        await asyncio.sleep(0.05)
        await loop.sock_sendto(server, b"\0\3\0\2end", reader)
        assert (await task).verdict is Verdict.OK


async def test_an_endless_file_of_unknown_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tsize, no config: there is still an end."""
    monkeypatch.setattr(boot_file, "LARGE_BYTES", 100_000)
    async with lab(Faults(endless=True, ignore_options=True)) as server:
        result = await probe(ADDRESS, spec(server), ProbeDepth.FULL)
        assert result.verdict is Verdict.WRONG_SIZE
        assert "is larger than" in result.sentence


async def test_a_transfer_that_never_ends_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never silent, and gets nowhere."""
    monkeypatch.setattr(tftp_prober, "_MIN_TRANSFER_SECONDS", 0.5)
    monkeypatch.setattr(tftp_prober, "_TIMEOUTS_PER_FILE", 0)
    monkeypatch.setattr(tftp_prober, "BLOCK_SECONDS", 0)
    async with lab(Faults(endless=True, ignore_options=True, slow=0.05)) as server:
        result = await probe(ADDRESS, spec(server, timeout=1.0), ProbeDepth.FULL)
        assert result.verdict is Verdict.TOO_SLOW
        assert "in 0.5 s" in result.sentence
        await eventually(lambda: server.open_transfers == 0)
        assert server.counts.errors_heard == [0]


def test_patience_grows_with_the_time_out() -> None:
    """Ten seconds at least, ten time-outs at most."""
    assert max_transfer_seconds(ProbeSpec((), timeout=0.5)) == 10
    assert max_transfer_seconds(ProbeSpec((), timeout=3.0)) == 30


async def test_each_attempt_leaves_from_a_fresh_port() -> None:
    """A late reply to one attempt must not meet the next."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setblocking(False)
        server.bind((ADDRESS, 0))
        asked = ProbeSpec((BootFile("a"),), port=server.getsockname()[1], timeout=0.02)
        ports: list[int] = []
        requests = 0
        for _ in range(8):
            await probe(ADDRESS, asked, ProbeDepth.LIGHT)
            sources = []
            with suppress(BlockingIOError):
                while True:
                    sources.append(server.recvfrom(2000)[1][1])
            (port,) = set(sources)
            ports.append(port)
            requests += len(sources)
    assert requests > len(ports)  # it is repeated as firmware repeats it, where there is time
    assert len(set(ports)) > 4  # two may be alike by chance, among 28,000


def open_files() -> int:
    """Return how many descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_cancelled_probe_ends_its_transfer_and_leaves_no_socket() -> None:
    """The server is told, and the descriptor is closed."""
    async with lab(Faults(stalls_after=1)) as server:
        await probe(ADDRESS, spec(server), ProbeDepth.LIGHT)
        await eventually(lambda: server.open_transfers == 0)
        before = open_files()
        task = asyncio.create_task(probe(ADDRESS, spec(server), ProbeDepth.FULL))
        await eventually(lambda: server.counts.requests == 2)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.open_transfers == 0)
        assert server.counts.errors_heard[-1] == 0
        assert open_files() == before


async def test_probes_leave_no_sockets_and_no_timers() -> None:
    """Whatever the verdict was."""
    async with lab() as server:
        asked, missing = spec(server), spec(server, "gone")
        closed = ProbeSpec(asked.files, port=free_port(host=ADDRESS), timeout=PATIENT)
        await probe(ADDRESS, asked, ProbeDepth.LIGHT)
        await eventually(lambda: server.open_transfers == 0)
        before = open_files()
        for one in (asked, missing, closed) * 5:
            await probe(ADDRESS, one, ProbeDepth.FULL)
        await eventually(lambda: server.open_transfers == 0)
        assert open_files() == before


@pytest.mark.parametrize("address", ["pvs-1.example.test", "::1", "", "10.0.0", "10.0.0.256"])
async def test_only_ipv4_addresses_are_asked(address: str) -> None:
    """A name would have to be resolved, which may block; this is not the place."""
    result = await probe(address, ProbeSpec((BootFile("a"),)), ProbeDepth.LIGHT)
    assert result.verdict is Verdict.LOCAL
    assert f"{address!r} is not an IPv4 address" in result.sentence


async def test_a_request_that_this_host_forbids_is_our_own_trouble() -> None:
    """Broadcasting needs a permission that the socket does not have."""
    result = await probe("255.255.255.255", ProbeSpec((BootFile("a"),)), ProbeDepth.LIGHT)
    assert result.verdict in (Verdict.LOCAL, Verdict.UNREACHABLE)  # the latter: no route at all
    assert result.seconds < 1.0  # the time-out


async def test_a_host_without_descriptors_blames_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """EMFILE not of the server."""

    def no_more() -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(tftp_prober, "open_socket", no_more)
    result = await probe(ADDRESS, ProbeSpec((BootFile("a"),)), ProbeDepth.LIGHT)
    assert result.verdict is Verdict.LOCAL
    assert "Too many open files" in result.sentence
    assert "not of the server" in result.sentence


class Flawed(socket.socket):
    """A socket whose first packets cannot be sent, for a reason that the test chooses."""

    reasons: ClassVar[list[int]] = []
    queue: ClassVar[list[Address]] = []  # destinations that ICMP tells of, each refused

    def sendto(self, *args: Any) -> int:
        """Fail as often as there are reasons."""
        if self.reasons:
            number = self.reasons.pop(0)
            raise OSError(number, os.strerror(number))
        sent: int = super().sendto(*args)
        return sent

    def recvmsg(self, *args: Any) -> Any:
        """Return what stands in the error queue."""
        if not self.queue:
            raise BlockingIOError
        told = [(socket.IPPROTO_IP, 11, errno.ECONNREFUSED.to_bytes(4, sys.byteorder) + bytes(12))]
        return b"", told, 0, self.queue.pop(0)


@pytest.fixture
def flawed(monkeypatch: pytest.MonkeyPatch) -> type[Flawed]:
    """Let the prober use flawed sockets."""

    def opened() -> socket.socket:
        made = Flawed(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        return made

    monkeypatch.setattr(tftp_prober, "open_socket", opened)
    monkeypatch.setattr(Flawed, "reasons", [])
    monkeypatch.setattr(Flawed, "queue", [])
    return Flawed


@pytest.mark.parametrize(
    ("number", "verdict", "words"),
    [
        (errno.EPERM, Verdict.LOCAL, "Operation not permitted"),
        (errno.ENOBUFS, Verdict.LOCAL, "No buffer space"),
        (errno.ENETUNREACH, Verdict.UNREACHABLE, "Network is unreachable"),
        (errno.EHOSTUNREACH, Verdict.UNREACHABLE, "No route to host"),
        (errno.EAGAIN, Verdict.LOCAL, "no source port is free"),
    ],
)
async def test_what_keeps_a_request_from_leaving_is_told(
    flawed: type[Flawed], number: int, verdict: Verdict, words: str
) -> None:
    """No route is the network's trouble; a forbidden or a full socket is our own."""
    flawed.reasons.append(number)
    async with lab() as server:
        result = await probe(ADDRESS, spec(server, timeout=HASTY), ProbeDepth.LIGHT)
        assert result.verdict is verdict
        assert words in result.sentence


async def test_a_full_send_buffer_loses_a_packet_as_any_network_does(
    flawed: type[Flawed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is repeated; with a port of its own, EAGAIN means nothing else."""
    monkeypatch.setattr(Flawed, "getsockname", lambda _self: ("0.0.0.0", 40_000))
    flawed.reasons.append(errno.EAGAIN)
    async with lab() as server:
        assert (await probe(ADDRESS, spec(server, timeout=HASTY), ProbeDepth.LIGHT)).passed


async def test_an_older_packets_error_does_not_cost_the_packet_that_meets_it(
    flawed: type[Flawed],
) -> None:
    """The kernel tells of it at the next call, whatever that is: the packet is sent again."""
    flawed.reasons.append(errno.ECONNREFUSED)
    flawed.queue.append((ADDRESS, 9))
    async with lab() as server:
        assert (await probe(ADDRESS, spec(server), ProbeDepth.LIGHT)).passed


async def test_a_packet_that_fails_again_has_failed(flawed: type[Flawed]) -> None:
    """One more try, and no loop."""
    flawed.reasons.extend([errno.ECONNREFUSED, errno.ENETUNREACH])
    flawed.queue.append((ADDRESS, 9))
    async with lab() as server:
        result = await probe(ADDRESS, spec(server), ProbeDepth.LIGHT)
        assert result.verdict is Verdict.UNREACHABLE


async def test_an_older_packets_error_may_be_the_verdict(flawed: type[Flawed]) -> None:
    """If it was a packet of the transfer, nothing needs to be sent any more."""
    flawed.reasons.append(errno.ECONNREFUSED)
    async with lab() as server:
        flawed.queue.append((ADDRESS, server.port))
        result = await probe(ADDRESS, spec(server), ProbeDepth.LIGHT)
        assert result.verdict is Verdict.REFUSED
        assert server.counts.requests == 0


async def test_many_members_are_probed_at_once() -> None:
    """One loop, one hundred probes in flight, and each gets its own replies."""
    async with lab() as server:
        jobs = [probe(ADDRESS, spec(server), ProbeDepth.LIGHT) for _ in range(100)]
        results: list[ProbeResult] = await asyncio.gather(*jobs)
        assert {result.verdict for result in results} == {Verdict.OK}
        await eventually(lambda: server.open_transfers == 0)
        assert server.counts.stopped == 100


async def test_in_a_burst_of_full_probes_most_are_light(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand downloads at once would delay each verdict; their turn comes later."""
    monkeypatch.setattr(tftp_prober, "MAX_FULL_PROBES", 3)
    async with lab() as server:
        jobs = [probe(ADDRESS, spec(server), ProbeDepth.FULL) for _ in range(10)]
        results = await asyncio.gather(*jobs)
        assert all(result.passed for result in results)
        assert [result.depth for result in results].count(ProbeDepth.FULL) == 3
        assert (await probe(ADDRESS, spec(server), ProbeDepth.FULL)).depth is ProbeDepth.FULL


async def test_twenty_thousand_duplicates_cost_one_probe_nothing_but_time() -> None:
    """None is acknowledged or kept, and the probes of other members go on meanwhile."""
    many, patient = 20_000, 30.0  # seconds: under the coverage tracer the flood takes some
    async with lab() as other:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((ADDRESS, 0))
            asked = ProbeSpec((BootFile("a"),), port=server.getsockname()[1], timeout=patient)
            began = time.monotonic()
            task = asyncio.create_task(probe(ADDRESS, asked, ProbeDepth.FULL))
            await asyncio.sleep(0)
            _, reader = await asyncio.to_thread(server.recvfrom, 2000)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

            def flood() -> None:
                for _ in range(many):
                    server.sendto(b"\0\3\0\1" + b"x" * 512, reader)
                server.sendto(b"\0\3\0\2end", reader)

            flooding = asyncio.create_task(asyncio.to_thread(flood))
            while not flooding.done():
                assert (await probe(ADDRESS, spec(other), ProbeDepth.LIGHT)).passed
            server.setblocking(False)
            acks = []
            with suppress(BlockingIOError):
                while True:
                    acks.append(server.recv(2000))
            took = time.monotonic() - began
            while not task.done():  # the end may have been lost among so many
                server.sendto(b"\0\3\0\2end", reader)
                await asyncio.sleep(0.05)
            assert (await task).passed
            assert acks.count(b"\0\4\0\1") <= 1 + 2 * took  # the first, and reminders
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def raw_server() -> socket.socket:
    """Return a bound socket that answers nothing by itself."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((ADDRESS, 0))
    server.setblocking(False)
    return server


def of(server: socket.socket, timeout: float, name: str = "a") -> ProbeSpec:
    """Return what to ask of it."""
    return ProbeSpec((BootFile(name),), port=server.getsockname()[1], timeout=timeout)


async def test_a_slow_first_answer_passes_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `rrdns probe` waits: the target boots, only late."""
    monkeypatch.setattr(tftp_prober, "SLOW_SECONDS", 0.1)
    loop = asyncio.get_running_loop()
    with raw_server() as server:
        task = asyncio.create_task(probe(ADDRESS, of(server, PATIENT), ProbeDepth.FULL))
        _, reader = await loop.sock_recvfrom(server, 2000)
        await asyncio.sleep(0.15)
        await loop.sock_sendto(server, b"\0\3\0\1end", reader)
        result = await task
    assert (result.verdict, result.passed) == (Verdict.SLOW, True)
    assert "is slow: its first reply for a took 0." in result.warnings[0]


@pytest.mark.parametrize(
    ("answer", "verdict"), [(b"\0\3\0\1end", Verdict.SLOW), (b"\0\5\0\1gone\0", Verdict.TFTP_ERROR)]
)
async def test_an_answer_that_is_later_than_the_time_out_counts_for_the_next_probe(
    answer: bytes, verdict: Verdict
) -> None:
    """Silence is detected as quickly as ever, and who is always slow is not silent."""
    loop, late = asyncio.get_running_loop(), LateAnswers()
    with raw_server() as server:
        asked = of(server, 0.1)
        await probe(ADDRESS, of(server, 0.02), ProbeDepth.LIGHT)  # the loop opens what it needs
        while server.recv(2000).count(b"blksize") and select.select([server], [], [], 0)[0]:
            pass
        before = open_files()
        first = await probe(ADDRESS, asked, ProbeDepth.FULL, late)
        assert (first.verdict, open_files()) == (Verdict.TIMEOUT, before + 1)
        assert 0.09 < first.seconds < PATIENT
        second = asyncio.create_task(probe(ADDRESS, asked, ProbeDepth.LIGHT, late))
        _, reader = await loop.sock_recvfrom(server, 2000)
        await loop.sock_sendto(server, answer, reader)
        result = await second
        assert result.verdict is verdict
        third = await probe(ADDRESS, asked, ProbeDepth.LIGHT, late)
        assert third.verdict is Verdict.TIMEOUT  # a late answer counts once
        late.close()
        assert open_files() == before


async def test_a_server_that_pauses_for_longer_than_the_time_out_is_slow() -> None:
    """Firmware waits in mid-transfer; silence is detected as quickly as ever all the same."""
    late, found = LateAnswers(), []
    async with ScriptedServer(Script(pauses=(3, 0.5)), ADDRESS, ELSEWHERE) as server:
        asked = ProbeSpec((BootFile(BIOS_FILE),), port=server.port, timeout=0.3)
        for _ in range(4):
            found.append(await probe(ADDRESS, asked, ProbeDepth.FULL, late))
            await asyncio.sleep(asked.fast_interval)
    late.close()
    assert [one.verdict for one in found] == [Verdict.TIMEOUT] + [Verdict.SLOW] * 3
    assert "sent nothing for 0.3 s after" in found[0].sentence
    assert found[0].seconds < PATIENT
    assert [seen.name for seen in found[1].seen] == [BIOS_FILE]
    assert "is slow: it paused for 0.5 s while it sent" in found[1].warnings[0]


async def test_the_last_ack_is_repeated_for_as_long_as_a_transfer_is_left_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that has lost a block goes on when it hears the ACK again; then it is closed."""
    monkeypatch.setattr(tftp_prober, "LATE_SECONDS", 0.7)
    loop, late = asyncio.get_running_loop(), LateAnswers()
    with raw_server() as server:
        task = asyncio.create_task(probe(ADDRESS, of(server, 0.2), ProbeDepth.FULL, late))
        _, reader = await loop.sock_recvfrom(server, 2000)
        await loop.sock_sendto(server, b"\0\3\0\1" + b"x" * 512, reader)
        assert (await task).verdict is Verdict.TIMEOUT
        said: list[bytes] = []
        while not said or said[-1][:2] != b"\0\5":
            said.append(await loop.sock_recv(server, 2000))
    assert len(said) in (5, 6)  # the ACK, its repeat within the probe, then each 0.2 s
    assert set(said[:-1]) == {b"\0\4\0\1"}
    late.close()


async def test_of_one_file_a_single_download_is_left_open() -> None:
    """A server that pauses at each download does not get more and more to send."""
    loop, late = asyncio.get_running_loop(), LateAnswers()
    with raw_server() as server:
        await probe(ADDRESS, of(server, 0.02), ProbeDepth.LIGHT)  # the loop opens what it needs
        before = open_files()
        for _ in range(4):
            task = asyncio.create_task(probe(ADDRESS, of(server, 0.1), ProbeDepth.FULL, late))
            while not task.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        said, reader = await loop.sock_recvfrom(server, 2000)
                        if said[:2] == b"\0\1":
                            server.sendto(b"\0\3\0\1" + b"x" * 512, reader)
            assert (await task).verdict is Verdict.TIMEOUT
        assert open_files() == before + 1
        late.close()


async def test_requests_that_are_listened_to_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in time."""
    monkeypatch.setattr(tftp_prober, "MAX_LATE_SOCKETS", 2)
    monkeypatch.setattr(tftp_prober, "LATE_SECONDS", 0.2)
    late = LateAnswers()
    with raw_server() as server:
        await probe(ADDRESS, of(server, 0.02), ProbeDepth.LIGHT)  # the loop opens what it needs
        before = open_files()
        jobs = [probe(ADDRESS, of(server, 0.05), ProbeDepth.LIGHT, late) for _ in range(5)]
        assert {one.verdict for one in await asyncio.gather(*jobs)} == {Verdict.TIMEOUT}
        assert open_files() == before + 2
        await eventually(lambda: open_files() == before)


async def test_a_file_of_many_slow_blocks_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound goes by progress; and what goes on well past the last bound is let go."""
    monkeypatch.setattr(tftp_prober, "_MIN_TRANSFER_SECONDS", 0.05)
    monkeypatch.setattr(tftp_prober, "_TIMEOUTS_PER_FILE", 0)
    async with lab(Faults(slow=0.005)) as server:
        result = await probe(ADDRESS, spec(server), ProbeDepth.FULL)
        assert (result.verdict, result.seconds > 0.05) == (Verdict.OK, True)
        assert result.seen
        monkeypatch.setattr(tftp_prober, "MAX_TRANSFER_SECONDS", 0.1)
        result = await probe(ADDRESS, spec(server, timeout=HASTY), ProbeDepth.FULL)
        assert (result.verdict, result.seen) == (Verdict.OK, ())
        assert "the rest is not checked" in result.warnings[0]


async def test_the_length_of_a_block_that_is_too_long_is_told() -> None:
    """As it was, not as far as it was read."""
    loop = asyncio.get_running_loop()
    with raw_server() as server:
        task = asyncio.create_task(probe(ADDRESS, of(server, PATIENT), ProbeDepth.FULL))
        _, reader = await loop.sock_recvfrom(server, 2000)
        await loop.sock_sendto(server, b"\0\3\0\1" + b"x" * 1456, reader)
        assert "sent 1456 bytes in a block of 512" in (await task).sentence


async def test_a_uefi_file_is_asked_for_twice_and_a_failed_start_is_the_verdict() -> None:
    """ERROR 8 ends the first transfer; the second one loads the file."""
    async with lab() as server:
        result = await probe(ADDRESS, spec(server, UEFI_FILE), ProbeDepth.FULL)
        assert (result.verdict, server.counts.requests) == (Verdict.OK, 2)
        await eventually(lambda: server.open_transfers == 0)
        assert server.counts.errors_heard == [8]
        assert result.seen[0].sha256 == sha256(boot_files()[UEFI_FILE]).hexdigest()
    async with lab(Faults(ignore_options=True)) as server:
        result = await probe(ADDRESS, spec(server, UEFI_FILE), ProbeDepth.FULL)
        assert result.verdict is Verdict.BAD_REPLY
        assert "UEFI targets (EDK2) do not load" in result.sentence
