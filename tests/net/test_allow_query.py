"""Zones that only some networks may ask for, on real sockets."""

from __future__ import annotations

import socket
from array import array
from dataclasses import replace

import dns.message
import dns.rcode
import pytest

from rrdns.core.rate_limit import RATE_BUCKETS, RateLimits, RateLimitState
from rrdns.core.snapshot import SnapshotDelta
from rrdns.shm.counters import Counters
from rrdns.shm.shared_rotation import SharedRotationCounters
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.server_info import ServerInfo
from tests.net.serving import tcp_read, tcp_service, udp_service
from tests.wire import sample_zones
from tests.wire.sample_zones import counts, option, query

INSIDE, OUTSIDE = "127.1.1.1", "127.2.1.1"
GUARDED = replace(sample_zones.ZONES[0], allow_query=("127.1.0.0/16", "192.0.2.0/24", "::1/128"))
ANSWERED, REFUSED = (dns.rcode.NOERROR, 3, ()), (dns.rcode.REFUSED, 0, ())
EXPLAINED = (dns.rcode.REFUSED, 0, (15,))


def answers(*, shared: bool = False) -> CurrentTable:
    """Return the documented answers, the first zone's for its audience only."""
    turns = Counters(rotation=SharedRotationCounters()) if shared else None
    snapshot = sample_zones.snapshot(zones=(GUARDED, sample_zones.ZONES[1]))
    server_info = ServerInfo(cookie_keys=CookieKeys((bytes(16),)))
    return CurrentTable(AnswerTable.build(snapshot, turns, server_info=server_info))


def client(host: str) -> socket.socket:
    """Return a UDP client at an address."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(5)
    return sock


def ask(sock: socket.socket, port: int, message: bytes) -> tuple[int, int, tuple[int, ...]]:
    """Return RCODE, number of addresses, and the options of the answer over UDP."""
    sock.sendto(message, ("::1" if sock.family == socket.AF_INET6 else "127.0.0.1", port))
    return read(sock.recv(4096))


def read(answer: bytes) -> tuple[int, int, tuple[int, ...]]:
    """Return RCODE, number of addresses, and the options of an answer."""
    parsed = dns.message.from_wire(answer)
    count = sum(len(rrset) for rrset in parsed.answer)
    return parsed.rcode(), count, tuple(sorted(int(one.otype) for one in parsed.options))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("limited", [False, True])
def test_a_zone_answers_its_audience_and_refuses_all_others(
    shared: bool, busy: bool, limited: bool
) -> None:
    """In turn, with the same bytes, on each way through the loop: no memo mixes them up."""
    known = answers(shared=shared)
    quota = RateLimitState(RateLimits(), array("d", bytes(8 * RATE_BUCKETS))) if limited else None
    with (
        udp_service(known, quota=quota) as (loop, port, defects),
        client(INSIDE) as inside,
        client(OUTSIDE) as integrations,
    ):
        loop._responder.retransmits.busy_until = 1e18 if busy else 0.0
        for _ in range(3):
            assert ask(integrations, port, query()) == REFUSED
            assert ask(inside, port, query()) == ANSWERED
            assert ask(integrations, port, query(use_edns=0)) == EXPLAINED
            assert ask(inside, port, query(use_edns=0)) == ANSWERED
    assert not defects
    counted = counts(known.table).queries
    assert (counted["a/noerror"], counted["prohibited/refused"]) == (6, 6)


def test_cookies_change_nothing_of_who_may_ask() -> None:
    """A cookie proves an address, and the address is what counts."""
    with (
        udp_service(answers()) as (_, port, defects),
        client(INSIDE) as inside,
        client(OUTSIDE) as integrations,
    ):
        cookied = query(use_edns=0, options=[option(10, b"clientcc")])
        several = query(use_edns=0, options=[option(10, b"clientcc"), option(65001, b"")])
        for message in (cookied, several, cookied, several):
            assert ask(inside, port, message) == (dns.rcode.NOERROR, 3, (10,))
            assert ask(integrations, port, message) == (dns.rcode.REFUSED, 0, (10, 15))
    assert not defects


@pytest.mark.parametrize(
    ("name", "rtype"),
    [
        ("boot.pvs.example.test", "AAAA"),
        ("pvs.example.test", "SOA"),
        ("pvs.example.test", "DS"),
        ("ns1.pvs.example.test", "A"),
        ("site.pvs.example.test", "NS"),
        ("nope.pvs.example.test", "A"),
        ("bOOt.PVS.example.test", "A"),
        ("quiet.pvs.example.test", "A"),
        ("boot.pvs.example.test", "AXFR"),
    ],
)
def test_nothing_of_a_guarded_zone_is_told_outside(name: str, rtype: str) -> None:
    """Not even which names exist; what is silent inside is refused outside."""
    with udp_service(answers()) as (_, port, _), client(OUTSIDE) as integrations:
        assert ask(integrations, port, query(name, rtype)) == REFUSED
        assert ask(integrations, port, query(name, rtype)) == REFUSED


def test_a_silent_pool_is_silent_inside() -> None:
    """The audience gets what the pool says."""
    with udp_service(answers()) as (_, port, _), client(INSIDE) as inside:
        inside.sendto(query("quiet.pvs.example.test"), ("127.0.0.1", port))
        assert ask(inside, port, query()) == ANSWERED


def test_other_zones_are_everybodys() -> None:
    """A zone without networks answers all, beside one that does not."""
    with udp_service(answers()) as (_, port, _), client(OUTSIDE) as integrations:
        for _ in range(2):
            assert ask(integrations, port, query("apex.test")) == ANSWERED


def test_ipv6_askers_are_known_too() -> None:
    """::1 is in the audience; without it, it would not be."""
    for allowed, expected in ((GUARDED.allow_query, ANSWERED), (("127.0.0.0/8",), REFUSED)):
        zone = replace(GUARDED, allow_query=allowed)
        known = CurrentTable(AnswerTable.build(sample_zones.snapshot(zones=(zone,))))
        with udp_service(known, "::1") as (_, port, _), client("::1") as sock:
            assert [ask(sock, port, query()) for _ in range(2)] == [expected] * 2


def test_tcp_asks_the_same_of_its_clients() -> None:
    """A truncated answer is no way around."""
    with tcp_service(answers(), host="0.0.0.0") as (_, port):
        for host, expected in ((INSIDE, ANSWERED), (OUTSIDE, EXPLAINED), (INSIDE, ANSWERED)):
            with socket.create_connection(("127.0.0.1", port), 5, (host, 0)) as sock:
                message = query(use_edns=0)
                sock.sendall(len(message).to_bytes(2, "big") + message)
                assert read(tcp_read(sock)) == expected


def test_another_audience_holds_from_the_next_table_on() -> None:
    """What was remembered for the audience before is gone with its table."""
    known = answers()
    with udp_service(known) as (_, port, _), client(INSIDE) as sock:
        assert ask(sock, port, query()) == ANSWERED
        for allowed, expected in ((("10.0.0.0/8",), REFUSED), (("0.0.0.0/0", "::/0"), ANSWERED)):
            zone = replace(GUARDED, allow_query=allowed)
            snapshot = sample_zones.snapshot(zones=(zone, sample_zones.ZONES[1]))
            known.table = AnswerTable.build(snapshot, before=known.table)
            assert [ask(sock, port, query()) for _ in range(2)] == [expected] * 2
        # A member that leaves changes the pool, and nothing of who may ask.
        zone = replace(GUARDED, allow_query=("10.0.0.0/8",))
        known.table = AnswerTable.build(sample_zones.snapshot(zones=(zone,)), before=known.table)
        assert ask(sock, port, query()) == REFUSED
        known.table = known.table.with_delta(
            SnapshotDelta(9, (sample_zones.rrset("boot", members=2),))
        )
        assert [ask(sock, port, query()) for _ in range(2)] == [REFUSED] * 2


def test_where_nobody_is_kept_out_nothing_is_looked_up() -> None:
    """Such a table remembers in the memo that the loops look into by themselves."""
    table = sample_zones.table()
    for _ in range(2):
        assert sample_zones.ask(table, query()).answer
    assert [condition for *_, condition, _ in table.packet_cache.values()] == [None]
    assert not table.tree.has_acl
