"""The prober against TFTP servers of other makers, and against a network that says no.

Packets are captured from the loopback: what a server logs differs, what it sends does not.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.lab.tftpd.boot_files import BIOS_FILE, UEFI_FILE, VERSION, boot_files
from rrdns.net.tftp_prober import probe
from rrdns.wire.tftp.packets import Ack, Data, Error, Packet, decode
from tests.peers import need_root, peer, running, wait_until
from tests.tftp_servers import (
    ADDRESS,
    MAKERS,
    PATIENT,
    SECRET,
    Peer,
    a_tftp_server,
    boot_directory,
    dnsmasq,
    is_bound,
)

pytestmark = pytest.mark.peers

SO_ATTACH_FILTER = 26  # asm-generic/socket.h; the module socket has no name for it
ATTEMPTS = 3  # a machine that holds us up for a server's time-out has it send again


@pytest.fixture(params=list(MAKERS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    """Run each server in turn."""
    with a_tftp_server(str(request.param), tmp_path) as server:
        yield server


@contextmanager
def capture() -> Iterator[socket.socket]:
    """Collect the IPv4 packets from or to our address: others would fill the buffer."""
    ours = int.from_bytes(socket.inet_aton(ADDRESS))
    # Classic BPF (linux/bpf_common.h): the code, where to go if so and if not, and the value.
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in (
            (0x20, 0, 0, 12),  # load the source address
            (0x15, 2, 0, ours),  # if it is ours, keep the packet
            (0x20, 0, 0, 16),  # load the destination address
            (0x15, 0, 1, ours),  # if it is not ours, drop the packet
            (0x06, 0, 0, 0xFFFF),
            (0x06, 0, 0, 0),
        )
    )
    code = ctypes.create_string_buffer(program, len(program))
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as wire:
        length_and_place = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
        wire.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, length_and_place)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        wire.bind(("lo", 0x0800))
        wire.setblocking(False)
        yield wire


def conversations(wire: socket.socket, door: int) -> dict[tuple[int, int], list[tuple[str, bytes]]]:
    """Return who said what, by the ports of reader and server; requests are left out."""
    found: dict[tuple[int, int], list[tuple[str, bytes]]] = {}
    while True:
        try:
            packet, link = wire.recvfrom(70000)
        except BlockingIOError:
            return found
        header = (packet[0] & 15) * 4
        source, destination = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
        if link[2] == socket.PACKET_OUTGOING or packet[9] != socket.IPPROTO_UDP:
            continue  # the loopback shows each packet twice
        ports = struct.unpack_from("!HH", packet, header)
        payload = packet[header + 8 :]
        if source == ADDRESS and ports[0] != door:
            found.setdefault((ports[1], ports[0]), []).append(("server", payload))
        elif destination == ADDRESS and ports[1] != door:
            found.setdefault((ports[0], ports[1]), []).append(("reader", payload))


async def ask(server: Peer, *names: str, no_response: float = PATIENT) -> list[ProbeResult]:
    """Probe in both depths."""
    spec = server.spec(*names, timeout=no_response)
    return [await probe(ADDRESS, spec, depth) for depth in ProbeDepth]


def ends_transfer(last: Packet, before: list[Packet]) -> bool:
    """Tell whether a packet of the reader ends the transfer: ERROR, or the final ACK."""
    sent = [packet for packet in before if isinstance(packet, Data)]
    return isinstance(last, Error) or (isinstance(last, Ack) and last.block == sent[-1].block)


def repeats(packets: list[tuple[str, bytes]]) -> bool:
    """Tell whether a server sent anything twice."""
    sent = [payload for who, payload in packets if who == "server"]
    return len(sent) > len(set(sent))


async def test_a_good_server_passes_and_is_left_in_peace(server: Peer) -> None:
    """Both depths pass; each transfer ends by a packet of ours, and nothing is sent again."""
    for _ in range(ATTEMPTS):
        with capture() as wire:
            light, full = await ask(server, BIOS_FILE, UEFI_FILE)
            await asyncio.sleep(server.repeats_after * 1.5)
            outcome = conversations(wire, server.port)
        if not any(repeats(packets) for packets in outcome.values()):
            break
    assert (light.verdict, full.verdict) == (Verdict.OK, Verdict.OK)
    assert [seen.version for seen in full.seen] == [VERSION, ""]
    assert [seen.size for seen in full.seen] == [len(data) for data in boot_files().values()]
    assert full.warnings == ()
    assert len(outcome) == 5  # the whole UEFI program takes two transfers
    for packets in outcome.values():
        *before, (who, last) = packets
        assert who == "reader"
        sent = [decode(payload) for said_by, payload in before if said_by == "server"]
        assert ends_transfer(decode(last), sent)
        assert not repeats(packets)


async def test_a_missing_file_is_told_in_the_servers_words(server: Peer) -> None:
    """ERROR 1, whoever made the server."""
    for result in await ask(server, "missing.bin"):
        assert result.verdict is Verdict.TFTP_ERROR
        assert f"{ADDRESS} has no file missing.bin (TFTP error 1: " in result.sentence


async def test_an_unreadable_file_is_a_failure(server: Peer) -> None:
    """Servers differ in the code, and agree that it cannot be had."""
    for result in await ask(server, SECRET):
        assert result.verdict is Verdict.TFTP_ERROR
        assert any(f"TFTP error {code}: " in result.sentence for code in server.unreadable)


async def test_a_killed_server_is_refused_at_once(server: Peer) -> None:
    """ICMP port unreachable, without any time-out."""
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not is_bound(server.port), what="gone")
    for result in await ask(server):
        assert result.verdict is Verdict.REFUSED
        assert result.seconds < PATIENT


async def test_a_stopped_server_is_silent(server: Peer) -> None:
    """SIGSTOP: the port is bound, and nobody is home; it passes again when it wakes up."""
    server.process.send_signal(signal.SIGSTOP)
    for result in await ask(server, no_response=0.3):
        assert result.verdict is Verdict.TIMEOUT
        assert 0.29 < result.seconds < PATIENT
    server.process.send_signal(signal.SIGCONT)
    assert [result.verdict for result in await ask(server)] == [Verdict.OK, Verdict.OK]


def test_dnsmasq_logs_a_whole_download_as_sent(tmp_path: Path) -> None:
    """It logs how each transfer ended: a full probe as a target's, a light one as stopped."""
    need_root("dnsmasq")
    log = tmp_path / "log"
    with boot_directory() as root:
        args, _, _ = dnsmasq(root, 69)
        with running([*args, "--log-facility=-"], ready=lambda: is_bound(69), log=log) as process:
            asyncio.run(ask(Peer("dnsmasq", 69, process, log, 2.0, (2,))))
            wait_until(lambda: f"sent {root / BIOS_FILE}" in log.read_text(), what="logged")
    assert log.read_text().count("error 0 probe done received") == 1


PROBE_IN_A_NAMESPACE = f"""
import asyncio, json
from rrdns.core.model import BootFile, ProbeSpec
from rrdns.core.health.probe_result import ProbeDepth
from rrdns.net.tftp_prober import probe

async def main():
    spec = ProbeSpec((BootFile("{BIOS_FILE}"),), timeout={PATIENT})
    told = {{}}
    for address in ("10.98.2.1", "10.98.3.1", "10.98.4.1"):
        result = await probe(address, spec, ProbeDepth.LIGHT)
        told[address] = [result.verdict, result.sentence, result.seconds]
    print(json.dumps(told))

asyncio.run(main())
"""


def test_routers_that_say_no_are_believed_at_once() -> None:
    """Host unreachable by a router, net unreachable by our own routes, and a prohibited one."""
    need_root("a network namespace")
    ip, near, far = peer("ip"), f"rrdns-n{os.getpid()}", f"rrdns-f{os.getpid()}"

    def run(*args: str) -> None:
        subprocess.run([ip, *args], check=True, capture_output=True)

    with ExitStack() as stack:
        for name in (near, far):
            run("netns", "add", name)
            stack.callback(run, "netns", "delete", name)
            run("-n", name, "link", "set", "lo", "up")
        run("-n", near, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", far)
        for name, link, host in ((near, "v0", "10.98.1.2/24"), (far, "v1", "10.98.1.1/24")):
            run("-n", name, "addr", "add", host, "dev", link)
            run("-n", name, "link", "set", link, "up")
        run("-n", near, "route", "add", "10.98.2.0/24", "via", "10.98.1.1")
        run("-n", near, "route", "add", "10.98.4.0/24", "via", "10.98.1.1")
        run("-n", far, "route", "add", "unreachable", "10.98.2.0/24")
        run("-n", far, "route", "add", "prohibit", "10.98.4.0/24")
        forward = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        run("netns", "exec", far, *forward)
        inside = [ip, "netns", "exec", near, sys.executable, "-c", PROBE_IN_A_NAMESPACE]
        said = subprocess.run(inside, check=True, capture_output=True, timeout=60).stdout
    told = json.loads(said)
    assert {address: verdict for address, (verdict, _, _) in told.items()} == {
        "10.98.2.1": Verdict.UNREACHABLE,
        "10.98.3.1": Verdict.UNREACHABLE,
        "10.98.4.1": Verdict.UNREACHABLE,
    }
    assert "No route to host" in told["10.98.2.1"][1]
    assert "Network is unreachable" in told["10.98.3.1"][1]
    assert all(seconds < PATIENT for _, _, seconds in told.values())
