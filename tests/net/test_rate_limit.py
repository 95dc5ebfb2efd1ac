"""Response rate limits on real sockets: a flood towards one network, and the clients beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from array import array

import dns.flags
import dns.message
import dns.rcode
import pytest

from rrdns.core.rate_limit import RATE_BUCKETS, RateLimits, RateLimitState
from rrdns.shm.counters import Counters
from rrdns.shm.shared_rotation import SharedRotationCounters, shared_rate_buckets
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.server_info import ServerInfo
from tests.net.serving import udp_service
from tests.wire import sample_zones
from tests.wire.sample_zones import counts, option, query

NOBODY: tuple[str, ...] = ()


def quota(**limits: object) -> RateLimitState:
    """Return a quota; by default nobody is exempt."""
    values = {"exempt": NOBODY, **limits}
    return RateLimitState(RateLimits(**values), array("d", bytes(8 * RATE_BUCKETS)))  # type: ignore[arg-type]


def client(host: str) -> socket.socket:
    """Return a client at an address."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(0.2)
    return sock


def ask(sock: socket.socket, port: int, message: bytes, server: str = "127.0.0.1") -> bytes | None:
    """Return the answer to a message, or None after a moment of silence."""
    sock.sendto(message, (server, port))
    try:
        return sock.recv(4096)
    except TimeoutError:
        return None


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(
    "message",
    [query(), query(rtype="AAAA"), query("nope.pvs.example.test"), query("example.com")],
    ids=["answer", "nodata", "nxdomain", "error"],
)
def test_a_network_beyond_its_rate_gets_nothing_and_another_all(
    shared: bool, busy: bool, message: bytes
) -> None:
    """For each kind of answer, on each way through the loop; what was dropped is counted."""
    answers = CurrentTable(
        AnswerTable.build(
            sample_zones.snapshot(), Counters(rotation=SharedRotationCounters()) if shared else None
        )
    )
    limits = quota(answers=5, negatives=5, errors=5, slip=0)
    with (
        udp_service(answers, quota=limits) as (loop, port, defects),
        client("127.1.1.1") as greedy,
        client("127.1.1.2") as neighbour,
        client("127.1.2.1") as other,
    ):
        loop._responder.retransmits.busy_until = 1e18 if busy else 0.0
        for ident in range(20):
            greedy.sendto(ident.to_bytes(2, "big") + message[2:], ("127.0.0.1", port))
        time.sleep(0.05)
        got = 0
        greedy.setblocking(False)
        while True:
            try:
                greedy.recv(4096)
                got += 1
            except BlockingIOError:
                break
        assert got == 2  # 0.4 s of the rate
        assert ask(neighbour, port, message) is None
        assert ask(other, port, message) is not None
    assert not defects
    dropped = {k: n for k, n in counts(answers.table).queries.items() if k.endswith("/dropped")}
    assert sum(dropped.values()) == 19


@pytest.mark.parametrize("busy", [False, True])
def test_every_second_limited_answer_is_truncated(busy: bool) -> None:
    """The client comes over TCP then; it says OPT if the query did."""
    answers = CurrentTable(sample_zones.table())
    with (
        udp_service(answers, quota=quota(answers=50, slip=2)) as (loop, port, _),
        client("127.1.1.1") as sock,
    ):
        loop._responder.retransmits.busy_until = 1e18 if busy else 0.0
        message = query(use_edns=0)
        for _ in range(200):
            sock.sendto(message, ("127.0.0.1", port))
        seen = []
        while True:
            try:
                seen.append(sock.recv(4096))
            except TimeoutError:
                break
    cut = [answer for answer in seen if answer[2] & 2]
    assert 1 <= len(cut) <= 50
    parsed = dns.message.from_wire(cut[0])
    assert (parsed.rcode(), len(parsed.answer), parsed.edns) == (dns.rcode.NOERROR, 0, 0)
    assert len(cut[0]) <= len(message)
    assert counts(answers.table).queries["a/slipped"] == len(cut)


def test_a_client_with_our_cookie_has_no_limit() -> None:
    """One without is told to come again with it (RFC 7873, section 5.2.3), now and then."""
    server_info = ServerInfo(cookie_keys=CookieKeys((bytes(16),)))
    answers = CurrentTable(AnswerTable.build(sample_zones.snapshot(), server_info=server_info))
    limits = quota(answers=3, slip=1)
    with (
        udp_service(answers, quota=limits) as (_, port, defects),
        client("127.1.1.1") as sock,
    ):
        first = query(use_edns=0, options=[option(10, b"clientcc")])
        seen = [ask(sock, port, first) for _ in range(2)]
        assert seen[1] is not None
        refused = dns.message.from_wire(seen[1])
        assert dns.rcode.to_text(refused.rcode()) == "BADCOOKIE"
        cookie = refused.options[0].to_wire()
        again = query(use_edns=0, options=[option(10, cookie)])
        for _ in range(20):
            answer = ask(sock, port, again)
            assert answer is not None
            assert len(dns.message.from_wire(answer).answer[0]) == 3
    assert not defects


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(
    ("exempt", "is_exempt"),
    [
        (("127.0.0.0/8",), True),
        (("127.1.1.1/32",), True),
        (("127.1.1.2/32",), False),
        (("127.2.0.0/16", "::1/128"), False),
    ],
)
def test_exempt_addresses_have_no_limit(
    busy: bool, exempt: tuple[str, ...], is_exempt: bool
) -> None:
    """Whole networks or single hosts of one that is not."""
    answers = CurrentTable(sample_zones.table())
    limits = quota(answers=5, slip=0, exempt=exempt)
    with (
        udp_service(answers, quota=limits) as (loop, port, _),
        client("127.1.1.1") as sock,
    ):
        loop._responder.retransmits.busy_until = 1e18 if busy else 0.0
        seen = [ask(sock, port, query()) is not None for _ in range(6)]
    assert all(seen) is is_exempt


def test_ipv6_has_limits_too() -> None:
    """::1 is a network of its own when it is not exempt."""
    answers = CurrentTable(sample_zones.table())
    with (
        udp_service(answers, "::1", quota=quota(answers=5, slip=0)) as (_, port, _),
        client("::1") as sock,
    ):
        seen = [ask(sock, port, query(), "::1") is not None for _ in range(4)]
    assert seen == [True, True, False, False]


def test_workers_share_their_accounts() -> None:
    """What one of them has given, the other has given too."""
    accounts = shared_rate_buckets()
    if os.fork() == 0:
        accounts[7] = 1.5
        os._exit(0)
    os.wait()
    assert accounts[7] == 1.5


FLOOD = """
import sys, time
from bench.load_generators import Outbox
import socket
port, rate, seconds = map(int, sys.argv[1:])
message = bytes.fromhex(sys.stdin.readline())
socks = []
for last in range(1, 65):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((f"127.9.9.{last}", 0))
    sock.connect(("127.0.0.1", port))
    socks.append(sock)
outbox = Outbox([message] * 64)
begun = time.monotonic()
sent = 0
while (now := time.monotonic() - begun) < seconds:
    if sent < now * rate:
        sent += outbox.send(socks[sent // 64 % 64], 64)
    else:
        time.sleep(0.0002)
print(sent)
"""


@pytest.mark.parametrize(
    "rate",
    [
        12_000,  # what a loop keeps up with beside other tests, and under the coverage tracer
        pytest.param(50_000, marks=[pytest.mark.long, pytest.mark.alone]),
    ],
)
def test_a_spoofed_flood_gets_no_more_than_the_limit_and_harms_nobody(rate: int) -> None:
    """So many queries a second in the name of one /24, and a client in another one."""
    answers, seconds = CurrentTable(sample_zones.table()), 4
    with (
        udp_service(answers, quota=quota()) as (_, port, defects),
        client("127.8.8.8") as good,
        subprocess.Popen(
            [sys.executable, "-c", FLOOD, str(port), str(rate), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as flood,
    ):
        assert flood.stdin is not None
        assert flood.stdout is not None
        good.settimeout(1.0)
        flood.stdin.write(query().hex() + "\n")
        flood.stdin.flush()
        asked, end = 0, time.monotonic() + seconds + 0.5
        while time.monotonic() < end:
            asked += 1
            message = asked.to_bytes(2, "big") + query()[2:]
            assert ask(good, port, message) is not None
            time.sleep(0.005)
        sent = int(flood.stdout.read())
    queries = counts(answers.table).queries
    answered = queries["a/noerror"] - asked + queries["a/slipped"]
    assert not defects
    assert asked > 50  # 900 where the machine is calm
    assert sent > 0.3 * rate * seconds  # all of it where the machine can
    assert 0 < answered <= RateLimits().answers * seconds
    assert answered + queries["a/dropped"] > 0.9 * sent
