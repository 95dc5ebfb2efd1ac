"""Where rrdns can be asked: addresses that come late, link-local ones, and those of many hosts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from rrdns.core.model import Endpoint
from rrdns.errors import ListenFailed
from rrdns.net.server.batch_io import DatagramBatch
from rrdns.net.server.sockets import bind_tcp, bind_udp, is_duplicate, is_tentative
from tests.e2e.farm import Rrdns
from tests.peers import need_root, peer, wait_until

pytestmark = pytest.mark.peers

PORT = 5353


def in_a_namespace(play: str, timeout: float = 30) -> None:
    need_root("a network namespace")
    done = subprocess.run(
        [
            "unshare",
            "-n",
            sys.executable,
            "-c",
            f"from tests.e2e import test_listening as t; {play}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        cwd=Path.cwd(),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def run(*command: str) -> str:
    done = subprocess.run([peer(command[0]), *command[1:]], check=True, capture_output=True)
    return done.stdout.decode()


def test_what_is_asked_is_what_answers() -> None:
    """A link-local address by a global client, and a broadcast address, which is nobody's."""
    in_a_namespace("t.play_link_local_and_broadcast()")


def play_link_local_and_broadcast() -> None:
    """Ask from another namespace, behind a pair of virtual cards."""
    client = f"c{time.monotonic_ns() % 10**9}"
    run("ip", "link", "set", "lo", "up")
    run("ip", "netns", "add", client)
    try:
        run("ip", "link", "add", "here", "type", "veth", "peer", "there", "netns", client)
        run("ip", "addr", "add", "10.97.0.1/24", "brd", "+", "dev", "here")
        run("ip", "addr", "add", "fe80::1/64", "dev", "here", "nodad")
        run("ip", "addr", "add", "fd97::1/64", "dev", "here", "nodad")
        run("ip", "link", "set", "here", "up")
        inside = ("ip", "netns", "exec", client, "ip")
        run(*inside, "addr", "add", "10.97.0.2/24", "brd", "+", "dev", "there")
        run(*inside, "addr", "add", "fd97::2/64", "dev", "there", "nodad")
        run(*inside, "link", "set", "there", "up")
        with tempfile.TemporaryDirectory() as folder:
            rrdns = Rrdns(Path(folder), workers=2, members=[("pvs-1", "127.0.0.21")])
            rrdns.write_config()
            text = rrdns.config.read_text()
            old = f'listen = ["127.0.0.1:{rrdns.dns_port}"]'
            new = f'listen = ["0.0.0.0:{rrdns.dns_port}", "[::]:{rrdns.dns_port}"]'
            rrdns.config.write_text(text.replace(old, new))
            rrdns.start()
            dig = ("ip", "netns", "exec", client, "dig", "+short", "+tries=1", "+time=2")
            question = ("-p", str(rrdns.dns_port), "pvs.example.test", "SOA")

            def asked(server: str, *source: str) -> str:
                command = [peer(dig[0]), *dig[1:4], peer("dig"), *dig[5:]]
                command += [*source, f"@{server}", *question]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                return done.stdout

            wait_until(lambda: "hostmaster" in asked("10.97.0.1"), 10, "asked over IPv4")
            assert "hostmaster" in asked("fd97::1")
            assert "hostmaster" in asked("fe80::1%there", "-b", "fd97::2")
            assert "hostmaster" in asked("fe80::1%there")
            script = (
                "import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(0.7);"
                "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1);"
                "s.sendto(bytes.fromhex(sys.argv[1]), ('10.97.0.255', int(sys.argv[2])));"
                "s.recvfrom(512)"
            )
            query = "00010100000100000000000003707673076578616d706c6504746573740000060001"
            command = ["netns", "exec", client, sys.executable, "-c", script]
            done = subprocess.run(
                [peer("ip"), *command, query, str(rrdns.dns_port)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert "TimeoutError" in done.stderr, done
            rrdns.stop()
    finally:
        run("ip", "netns", "del", client)


def test_an_address_that_comes_late_is_waited_for() -> None:
    """One that is just being checked; with freebind any; and one of many hosts is refused."""
    in_a_namespace("t.play_late()")


def play_late() -> None:
    """On a card that is up."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "card", "type", "veth", "peer", "other")
    run("ip", "link", "set", "card", "up")
    run("ip", "link", "set", "other", "up")
    run("ip", "addr", "add", "10.96.0.1/24", "brd", "+", "dev", "card")
    with pytest.raises(ListenFailed, match="a broadcast address"):
        bind_udp(Endpoint("10.96.0.255", PORT))
    with pytest.raises(ListenFailed, match="does not have that address"):
        bind_udp(Endpoint("fd96::9", PORT))
    run("ip", "route", "add", "prohibit", "10.98.0.0/24")  # refuses to connect, too
    bind_udp(Endpoint("10.98.0.7", PORT), freebind=True).close()
    run("ip", "addr", "add", "fd96::1/64", "dev", "card")
    assert is_tentative("fd96::1")
    began = time.monotonic()
    bind_udp(Endpoint("fd96::1", PORT)).close()
    bind_tcp(Endpoint("fd96::1", PORT)).close()
    assert not is_tentative("fd96::1")
    assert 0.2 < time.monotonic() - began < 5
    run("ip", "addr", "add", "fd96::2/64", "dev", "other", "nodad")
    run("ip", "addr", "add", "fd96::2/64", "dev", "card")
    wait_until(lambda: is_duplicate("fd96::2"), what="found to be a duplicate")
    run("ip", "addr", "del", "fd96::2/64", "dev", "other")
    began = time.monotonic()
    with pytest.raises(ListenFailed, match="another host on the link has fd96::2"):
        bind_udp(Endpoint("fd96::2", PORT))
    assert time.monotonic() - began < 1
    for host in ("10.96.0.7", "fd96::7"):
        with bind_udp(Endpoint(host, PORT), freebind=True) as sock:
            bind_tcp(Endpoint(host, PORT), freebind=True).close()
            run("ip", "addr", "add", f"{host}/{128 if ':' in host else 32}", "dev", "card", "nodad")
            sock.sendto(b"hello", (host, PORT))
            assert sock.recv(9) == b"hello"


def test_further_batches_cost_next_to_nothing() -> None:
    """Two hundred addresses took 10 s and 947 MB: what says where things are is shared."""
    socks = [bind_udp(Endpoint("127.0.0.1", 0)) for _ in range(3)]
    made = [DatagramBatch(sock, packet_info=False) for sock in socks]
    assert made[0].rows_of is made[1].rows_of is made[2].rows_of
    with bind_udp(Endpoint("::1", 0)) as six:
        other = DatagramBatch(six, packet_info=True)
        assert other.slots[0].tails is made[0].slots[0].tails
        del other
    del made
    for sock in socks:
        sock.close()
