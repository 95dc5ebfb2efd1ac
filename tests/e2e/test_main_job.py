"""The main job on real input: tftpd-hpa servers, rrdns as a service, DNS and HTTP clients."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from tests.e2e.farm import a_farm, all_settled, seconds_until
from tests.net.serving import udp_client
from tests.peers import wait_until
from tests.wire.sample_zones import query

pytestmark = pytest.mark.peers

BUSY = 0.8  # seconds that a busy machine may add; less than one more probe would take


def test_a_silent_server_is_out_within_its_time_and_back_after_rise(tmp_path: Path) -> None:
    """SIGSTOP: silent. 4.5 s with the defaults; then in again by itself."""
    with a_farm(tmp_path, first_host=21) as (rrdns, servers):
        victim = servers["pvs-2"]
        assert victim.address in rrdns.addresses()
        victim.signal(signal.SIGSTOP)
        took = seconds_until(lambda: victim.address not in rrdns.addresses(), 8)
        assert took <= 4.5 + BUSY
        member = rrdns.member("pvs-2")
        assert member["last_probe"]["verdict"] == "timeout"
        assert victim.address in member["last_probe"]["sentence"]
        victim.signal(signal.SIGCONT)
        seconds_until(lambda: victim.address in rrdns.addresses(), 5)
        said = [line for line in rrdns.log_lines() if line["event"] == "standing"]
        told = [(line["before"], line["after"]) for line in said if line["member"] == "pvs-2"]
        assert told == [("unknown", "up"), ("up", "down"), ("down", "up")]


def test_a_stopped_service_is_out_within_one_and_a_half_seconds(tmp_path: Path) -> None:
    """Its port refuses, and ICMP says so at once."""
    with a_farm(tmp_path, first_host=31) as (rrdns, servers):
        victim = servers["pvs-1"]
        victim.stop()
        took = seconds_until(lambda: victim.address not in rrdns.addresses(), 5)
        assert took <= 1.5 + BUSY
        assert rrdns.member("pvs-1")["last_probe"]["verdict"] == "refused"
        victim.start()
        seconds_until(lambda: victim.address in rrdns.addresses(), 5)


def test_with_everything_down_all_are_answered_and_it_is_said_loudly(tmp_path: Path) -> None:
    """Never NXDOMAIN, never empty; the API, the metrics, the log and the status shout."""
    with a_farm(tmp_path, first_host=41) as (rrdns, servers):
        rrdns.json("POST", "/v1/pools/boot/members/pvs-3/drain", {"reason": "patch"})
        for server in servers.values():
            server.stop()
        wait_until(lambda: rrdns.call("GET", "/readyz")[0] == 503, 6, "not ready")
        undrained = {servers["pvs-1"].address, servers["pvs-2"].address}
        assert set(rrdns.addresses()) == undrained
        status, reply = rrdns.call("GET", "/readyz")
        assert status == 503
        assert isinstance(reply, dict)
        assert [alarm["name"] for alarm in reply["alarms"]] == ["everything-down"]
        status, metrics = rrdns.call("GET", "/metrics")
        assert status == 200
        assert 'rrdns_pool_everything_down{pool="boot"} 1.0' in str(metrics)
        assert any(
            line["level"] == "critical" and line["event"] == "everything-down"
            for line in rrdns.log_lines()
        )
        for server in servers.values():
            server.start()
        wait_until(lambda: rrdns.call("GET", "/readyz")[0] == 200, 6, "ready again")


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 2])
def test_every_member_stands_first_equally_often_whatever_else_is_asked(
    tmp_path: Path, workers: int
) -> None:
    """3,000 A queries among AAAA, TXT and NXDOMAIN ones: exactly 1,000 each."""
    boot = query()  # the first record begins behind it, with 12 bytes before the address
    others = [query(rtype="AAAA"), query(rtype="TXT"), query("nope.pvs.example.test")]
    with a_farm(tmp_path, workers=workers, first_host=51) as (rrdns, _), ExitStack() as stack:
        # From many ports, so that each worker gets some.
        clients = [stack.enter_context(udp_client()) for _ in range(30)]

        def ask(number: int, message: bytes) -> bytes:
            client = clients[number % len(clients)]
            client.sendto(number.to_bytes(2, "big") + message[2:], ("127.0.0.1", rrdns.dns_port))
            return client.recv(4096)

        firsts: Counter[str] = Counter()
        for turn in range(3000):
            firsts[socket.inet_ntoa(ask(turn, boot)[len(boot) + 12 :][:4])] += 1
            if turn % 3 == 0:
                ask(10_000 + turn, others[turn // 3 % 3])
        assert sorted(firsts.values()) == [1000, 1000, 1000]


def test_an_order_survives_the_death_of_everything(tmp_path: Path) -> None:
    """Drained at the next answer; kill -9 right after the reply; still drained."""
    with a_farm(tmp_path, workers=2, first_host=61) as (rrdns, servers):
        path = "/v1/pools/boot/members/pvs-2/drain"
        reply = rrdns.json("POST", path, {"reason": "patch night", "for": "2h"})
        assert servers["pvs-2"].address not in rrdns.addresses()
        rrdns.kill_everything()
        rrdns.start()
        for _ in range(20):
            assert servers["pvs-2"].address not in rrdns.addresses()
        after = rrdns.member("pvs-2")
        assert after["override"] == reply["member"]["override"]
        assert after["override"]["reason"] == "patch night"
        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/resume", {})
        assert servers["pvs-2"].address in rrdns.addresses()


def test_the_last_member_is_not_drained_without_force(tmp_path: Path) -> None:
    """409 names it; force overrides and the trail shows it."""
    with a_farm(tmp_path, size=2, first_host=71) as (rrdns, _):
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {})
        status, problem = rrdns.call("POST", "/v1/pools/boot/members/pvs-2/drain", {})
        assert status == 409
        assert "pvs-2" in str(problem)
        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/drain", {"force": True})
        query = dns.message.make_query("boot.pvs.example.test", "A")
        answer = dns.query.udp(query, "127.0.0.1", port=rrdns.dns_port, timeout=2)
        assert answer.rcode() == dns.rcode.SERVFAIL


def test_a_drain_with_an_end_is_over_by_itself(tmp_path: Path) -> None:
    """`for` is kept by rrdns, not by the one who asked."""
    with a_farm(tmp_path, first_host=81) as (rrdns, servers):
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {"for": "1s"})
        assert servers["pvs-1"].address not in rrdns.addresses()
        seconds_until(lambda: servers["pvs-1"].address in rrdns.addresses(), 4)
        trail = rrdns.json("GET", "/v1/audit?member=pvs-1")["entries"]
        assert [entry["action"] for entry in trail if entry["action"] != "standing"] == [
            "expire",
            "drain",
        ]


def test_killed_processes_come_back_and_nothing_changes(tmp_path: Path) -> None:
    """Control and worker, by kill -9: answers go on, health and orders are as before."""
    with a_farm(tmp_path, workers=2, first_host=91) as (rrdns, servers):
        servers["pvs-3"].stop()
        wait_until(lambda: servers["pvs-3"].address not in rrdns.addresses())
        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/drain", {"reason": "patch"})
        assert rrdns.addresses() == [servers["pvs-1"].address]
        os.kill(rrdns.pids()["control"], signal.SIGKILL)
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            assert rrdns.addresses() == [servers["pvs-1"].address]
        assert rrdns.member("pvs-2")["override"]["reason"] == "patch"
        assert rrdns.member("pvs-3")["standing"]["up"] is False
        os.kill(rrdns.pids()["worker-0"], signal.SIGKILL)
        for _ in range(50):  # a query that it held in its hands dies with it
            assert rrdns.addresses_at_last() == [servers["pvs-1"].address]


def test_a_reload_takes_over_what_is_new_and_keeps_what_is_known(tmp_path: Path) -> None:
    """SIGHUP; a config with mistakes leaves everything as it was."""
    with a_farm(tmp_path, first_host=101) as (rrdns, servers):
        assert rrdns.process is not None
        servers["pvs-3"].stop()
        wait_until(lambda: servers["pvs-3"].address not in rrdns.addresses())
        rrdns.write_config(pool_settings={"ttl": 0})
        rrdns.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any(x["event"] == "reload-failed" for x in rrdns.log_lines()))
        assert len(rrdns.addresses()) == 2
        rrdns.write_config(pool_settings={"ttl": 9})
        rrdns.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any(x["event"] == "reload" for x in rrdns.log_lines()))
        assert rrdns.json("GET", "/v1/pools/boot")["ttl"] == 9
        assert len(rrdns.addresses()) == 2
        assert all_settled(rrdns)


def test_rrdns_stops_cleanly_within_two_seconds(tmp_path: Path) -> None:
    """SIGTERM: exit status 0, and the port is free again."""
    with a_farm(tmp_path, workers=2, first_host=111) as (rrdns, _):
        assert rrdns.process is not None
        rrdns.process.terminate()
        began = time.monotonic()
        assert rrdns.process.wait(5) == 0
        assert time.monotonic() - began < 2.0
        rrdns.start()
