"""The UDP loop, on real sockets."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import dns.message
import pytest

from rrdns.core.model import Endpoint
from rrdns.core.snapshot import SnapshotDelta
from rrdns.net.server.batch_io import BATCH
from rrdns.net.server.sockets import bind_udp
from rrdns.net.server.udp import UdpLoop
from rrdns.shm.counters import Counters
from rrdns.shm.shared_rotation import SharedRotationCounters
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.answers.resolve import find_response
from tests.net.serving import udp_client, udp_service
from tests.peers import wait_until
from tests.wire import sample_zones
from tests.wire.sample_zones import counts, first, query, rrset


@pytest.fixture
def client() -> Iterator[socket.socket]:
    """Give a client's socket."""
    with udp_client() as sock:
        yield sock


def numbered(ident: int, name: str = "boot.pvs.example.test", rtype: str = "A") -> bytes:
    """Return a query with this ID."""
    return ident.to_bytes(2, "big") + query(name, rtype)[2:]


def exchange(client: socket.socket, port: int, message: bytes, host: str = "127.0.0.1") -> bytes:
    """Return the answer to a message."""
    client.sendto(message, (host, port))
    return client.recv(4096)


def test_first_places_are_even_over_udp(client: socket.socket) -> None:
    """3,000 A queries with others in between: exactly 1,000 first places each."""
    answers = CurrentTable(sample_zones.table())
    firsts: Counter[str] = Counter()
    with udp_service(answers) as (_, port, defects):
        for start in range(0, 3000, 20):
            for ident in range(start, start + 20):
                client.sendto(numbered(ident, rtype="AAAA"), ("127.0.0.1", port))
                client.sendto(numbered(ident), ("127.0.0.1", port))
            for ident in range(start, start + 20):
                none, some = client.recv(4096), client.recv(4096)
                assert none[:2] == some[:2] == ident.to_bytes(2, "big")
                firsts[socket.inet_ntoa(some[51:55])] += 1
    assert set(firsts.values()) == {1000}
    assert counts(answers.table).turns["boot"] == dict(firsts)
    assert not defects


@pytest.mark.parametrize("size", [1, 2, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
def test_every_query_of_a_burst_is_answered(client: socket.socket, size: int) -> None:
    """Also with silence and errors among them: gaps in a batch hold nothing up."""
    answers = CurrentTable(sample_zones.table())
    silent = (b"", b"x", numbered(9, "quiet.pvs.example.test"), b"\0\1\x80\0" + bytes(8))
    with udp_service(answers) as (_, port, defects):
        for ident in range(size):
            client.sendto(numbered(ident), ("127.0.0.1", port))
            client.sendto(silent[ident % 4], ("127.0.0.1", port))
        got = {int.from_bytes(client.recv(4096)[:2], "big") for _ in range(size)}
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(4096)
    assert got == set(range(size))
    assert counts(answers.table).dropped == size
    assert not defects


@pytest.mark.parametrize("length", [511, 512, 513, 514, 1500, 1536, 1537, 9000])
def test_a_datagram_of_any_length_costs_its_own_answer_only(
    client: socket.socket, length: int
) -> None:
    """Padding makes a query long; what does not fit the buffer is malformed."""
    answers = CurrentTable(sample_zones.table())
    padding = struct.pack("!HH", 12, length - len(query()) - 11 - 4)
    padding += bytes(length - len(query()) - 11 - 4)
    opt = b"\0\0\x29\x04\xd0\0\0\0\0" + len(padding).to_bytes(2, "big") + padding
    long = numbered(7)[:11] + b"\1" + query()[12:] + opt
    assert len(long) == length
    with udp_service(answers) as (loop, port, defects):
        for busy in (False, True):
            loop._responder.retransmits.busy_until = 1e18 if busy else 0.0
            rcode = exchange(client, port, long)[3] & 15
            assert rcode == (0 if length <= 1536 else 1)
            assert exchange(client, port, numbered(8))[:2] == b"\0\x08"
    assert not defects


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.7.7.7"),
        ("::1", "::1"),
        ("::", "::1"),
    ],
)
@pytest.mark.parametrize("busy", [False, True])
def test_the_answer_comes_from_the_address_that_was_asked(
    listen: str, asked: str, busy: bool
) -> None:
    """A wildcard listener answers each datagram from the address it was sent to."""
    answers = CurrentTable(sample_zones.table())
    with (
        udp_service(answers, listen) as (loop, port, defects),
        udp_client(asked) as client,
    ):
        loop._responder.retransmits.busy_until = 1e18 if busy else 0.0
        for ident in range(3 * BATCH):
            client.sendto(numbered(ident), (asked, port))
        for _ in range(3 * BATCH):
            answer, who = client.recvfrom(4096)
            assert who[:2] == (asked, port)
            assert answer[3] & 15 == 0
    assert not defects


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(
    ("host", "to", "own"),
    [("0.0.0.0", "127.255.255.255", "127.0.0.1"), ("::", "ff02::1%lo", "::1")],
)
def test_what_many_hosts_were_asked_takes_no_turn(host: str, to: str, own: str, busy: bool) -> None:
    """A query to a broadcast or multicast address: no answer, no turn, and counted as dropped."""
    answers = CurrentTable(sample_zones.table())
    with udp_service(answers, host) as (loop, port, _), udp_client(host) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        loop._responder.retransmits.busy_until = 1e18 if busy else 0.0
        expected = exchange(client, port, numbered(1), own)[51:55]
        for ident in (2, 3, 4):  # after each comes one that is answered
            client.sendto(numbered(ident), (to, port))
            got = exchange(client, port, numbered(ident + 100), own)
            assert int.from_bytes(got[:2], "big") == ident + 100
    assert got[51:55] == expected  # three more answers of three servers' turns
    assert sum(counts(answers.table).turns["boot"].values()) == 4
    assert counts(answers.table).dropped == 3


def test_a_retransmit_gets_the_same_answer_and_takes_no_turn(client: socket.socket) -> None:
    """Same source, port and ID for the same pool; another ID, pool or port is a new query."""
    answers = CurrentTable(sample_zones.table())
    with udp_service(answers) as (_, port, _), udp_client() as another:
        answer = exchange(client, port, numbered(1))
        assert first(dns.message.from_wire(answer)) == "10.0.0.1"
        assert exchange(client, port, numbered(1)) == answer
        exchange(client, port, numbered(1, "deep.site.pvs.example.test"))
        exchange(client, port, numbered(1, rtype="AAAA"))
        assert exchange(client, port, numbered(1)) == answer
        assert first(dns.message.from_wire(exchange(client, port, numbered(2)))) == "10.0.0.2"
        assert first(dns.message.from_wire(exchange(another, port, numbered(1)))) == "10.0.0.3"
    counted = counts(answers.table)
    assert sum(counted.turns["boot"].values()) == 3
    assert counted.queries["a/noerror"] == 3 + 2 + 1


def test_an_answer_comes_from_the_table_that_is_in_force(client: socket.socket) -> None:
    """The swap of one reference is all that a publication takes."""
    answers = CurrentTable(sample_zones.table())
    with udp_service(answers) as (_, port, _):
        exchange(client, port, numbered(1))
        answers.table = answers.table.with_delta(SnapshotDelta(2, (rrset("boot", members=1),)))
        for ident in range(2, 6):
            answer = dns.message.from_wire(exchange(client, port, numbered(ident)))
            assert [str(one) for one in answer.answer[0]] == ["10.0.0.1"]


def test_a_defect_costs_one_answer_and_is_told(
    client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the responder to raise, the next query would be answered all the same."""

    def broken(datagram: bytes, table: AnswerTable, address: bytes, now: float) -> object:
        if b"bad" in datagram:
            raise ZeroDivisionError
        return find_response(datagram, table, address, now)

    monkeypatch.setattr("rrdns.wire.answers.responder.find_response", broken)
    answers = CurrentTable(sample_zones.table())
    with udp_service(answers) as (_, port, defects):
        client.sendto(numbered(1, "bad.pvs.example.test"), ("127.0.0.1", port))
        assert exchange(client, port, numbered(2))[:2] == b"\0\2"
        assert [type(error) for error, _ in defects] == [ZeroDivisionError]
        assert b"bad" in defects[0][1]
    assert counts(answers.table).dropped == 1


def test_a_defect_outside_the_responder_does_not_end_the_loop_either(client: socket.socket) -> None:
    """Even a table that is none."""
    answers = CurrentTable(sample_zones.table())
    good = answers.table
    with udp_service(answers) as (_, port, defects):
        answers.table = None  # type: ignore[assignment]  # that is the defect
        client.sendto(numbered(1), ("127.0.0.1", port))
        wait_until(lambda: bool(defects), what="told")
        answers.table = good
        assert exchange(client, port, numbered(2))[:2] == b"\0\2"


def test_an_answer_that_cannot_be_sent_costs_none_of_the_others(client: socket.socket) -> None:
    """A query from port 0 cannot be answered: sending there is an error."""
    if os.geteuid() != 0:
        pytest.skip("a raw socket needs a right")
    answers = CurrentTable(sample_zones.table())
    with (
        udp_service(answers) as (_, port, defects),
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw,
    ):
        for ident in range(20):
            message = numbered(ident)
            header = struct.pack("!4H", 0, port, 8 + len(message), 0)
            raw.sendto(header + message, ("127.0.0.1", 0))
            client.sendto(numbered(100 + ident), ("127.0.0.1", port))
        got = {int.from_bytes(client.recv(4096)[:2], "big") for _ in range(20)}
        wait_until(lambda: counts(answers.table).dropped == 20, what="counted")
    assert got == set(range(100, 120))
    assert not defects


def test_the_loop_shows_that_it_lives_and_ends_when_told() -> None:
    """With nothing to do its beat moves at least twice a second."""
    with udp_service(CurrentTable(sample_zones.table())) as (loop, _, _):
        before = loop.heartbeat
        wait_until(lambda: loop.heartbeat != before, 2.0, "beating")
        seen = loop.heartbeat
        time.sleep(0.5)
        assert loop.heartbeat != seen


def test_a_socket_that_fails_is_no_sign_of_life() -> None:
    """A loop whose socket is broken does not beat, does not spin, and does not end."""
    with bind_udp(Endpoint("127.0.0.1", 0)) as sock:
        loop = UdpLoop(sock, CurrentTable(sample_zones.table()))
    loop._failed(9)
    assert loop.heartbeat == 0.0
    loop._failed(11)
    assert loop.heartbeat > 0.0


WORKER = """
import os, sys
from rrdns.core.model import Endpoint
from rrdns.net.server.sockets import bind_udp
from rrdns.shm.counters import Counters
from rrdns.shm.shared_rotation import SharedRotationCounters
from rrdns.net.server.udp import UdpLoop
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from tests.wire import sample_zones

turns = SharedRotationCounters()
for number in range(2):
    read, write = os.pipe()
    if os.fork() == 0:
        sock = bind_udp(Endpoint("127.0.0.1", {port}), reuse_port=True)
        table = AnswerTable.build(sample_zones.snapshot(), Counters(rotation=turns))
        loop = UdpLoop(sock, CurrentTable(table))
        loop._responder.retransmits.busy_until = 1e18 if {busy} else 0.0
        os.write(write, b"x")
        loop.run()
    os.read(read, 1)
print("ready", flush=True)
sys.stdin.read()
os.killpg(0, 15)
"""


@pytest.mark.parametrize("busy", [False, True])
def test_turns_are_even_over_two_workers(busy: bool) -> None:
    """Queries from many ports reach both; each member is still first equally often, exactly."""
    with udp_client() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = WORKER.format(port=port, busy=busy)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as workers:
        assert workers.stdout is not None
        assert workers.stdin is not None
        try:
            assert workers.stdout.readline() == b"ready\n"
            firsts: Counter[str] = Counter()
            clients = [udp_client() for _ in range(12)]
            for ident in range(50):
                for client in clients:
                    client.sendto(numbered(ident), ("127.0.0.1", port))
                for client in clients:
                    firsts[first(dns.message.from_wire(client.recv(4096)))] += 1
            for client in clients:
                client.close()
        finally:
            workers.stdin.close()
            workers.wait(10)
    assert set(firsts.values()) == {200}


def test_shared_turns_serve_a_batch_with_errors_in_it(client: socket.socket) -> None:
    """Several pools, errors and silence in one batch: each takes its own turns."""
    answers = CurrentTable(
        AnswerTable.build(sample_zones.snapshot(), Counters(rotation=SharedRotationCounters()))
    )
    names = ("boot", "deep.site", "lone", "quiet", "empty", "nope")
    with udp_service(answers) as (loop, port, defects):
        loop._responder.retransmits.busy_until = 1e18
        for ident in range(300):
            name = f"{names[ident % 6]}.pvs.example.test"
            client.sendto(numbered(ident, name), ("127.0.0.1", port))
        firsts: Counter[tuple[int, str]] = Counter()
        for _ in range(250):
            answer = dns.message.from_wire(client.recv(4096))
            if answer.answer:
                firsts[answer.id % 6, first(answer)] += 1
    assert not defects
    assert sorted(firsts.values()) == [16, 16, 17, 17, 17, 17, 50]
    assert counts(answers.table).turns["boot"] == {
        address: count for (pool, address), count in firsts.items() if pool == 0
    }
