"""Patch night as admins live it: drain, wait, see that nobody names the server, and go home.

A resolver stands in between, as it does in every site, and is asked all the time: whatever
it keeps for as long as it may is in its cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rrdns.timeformat import from_rfc3339
from tests.e2e.farm import a_farm
from tests.e2e.nameservers import NAME
from tests.e2e.test_resolvers import MEMBERS, RESOLVER, RRDNS, TTL, Site, a_site
from tests.peers import wait_until

pytestmark = pytest.mark.peers

PATCHED = MEMBERS[1]  # pvs-2's address
LASTS = 10.0  # seconds


@dataclass
class Watch:
    """Asks a server again and again; knows when each answer came, and whom it named."""

    server: str
    seen: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)

    def last_naming(self, address: str, before: float) -> float:
        """Return when the last answer before a time came that named an address."""
        return max(at for at, named in self.seen if address in named and at < before)

    def naming(self, address: str, since: float, until: float) -> list[float]:
        """Return when answers of a span of time named an address."""
        return [at for at, named in self.seen if since <= at < until and address in named]


@contextmanager
def watching(site: Site, *servers: str) -> Iterator[list[Watch]]:
    """Ask servers ten times a second from inside the site, for the length of the block."""
    watches = [Watch(server) for server in servers]
    command = site.network.command(sys.executable, "-c", _ASK, NAME, *servers)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asker:

        def listen() -> None:
            for line in asker.stdout or ():
                if line.endswith("\n"):  # the last one is cut where the asker was killed
                    number, at, *named = line.split()
                    watches[int(number)].seen.append((float(at), tuple(named)))

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield watches
        finally:
            asker.kill()
            listener.join(5)


_ASK = """
import sys, time
import dns.exception, dns.message, dns.query
while True:
    for number, server in enumerate(sys.argv[2:]):
        query = dns.message.make_query(sys.argv[1], "A")
        try:
            reply = dns.query.udp(query, server, timeout=1)
        except dns.exception.Timeout:
            continue
        named = [rdata.address for rrset in reply.answer for rdata in rrset]
        print(number, time.time(), *named, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.parametrize("resolver", ["unbound", pytest.param("named", marks=pytest.mark.long)])
def test_a_drain_that_waits_returns_when_no_resolver_names_the_server(
    tmp_path: Path, resolver: str
) -> None:
    """It returns at `safe_after`, is believed by a resolver then, and ends by itself."""
    with a_site(tmp_path, resolver) as site, watching(site, RRDNS, RESOLVER) as (direct, cached):
        wait_until(lambda: bool(cached.seen), what="asking")
        verb = ("drain", "pvs-2", "--for", f"{LASTS:.0f}s", "--reason", "patch", "--wait")
        given = time.time()
        said = site.network.run(sys.executable, "-m", "rrdns", *verb, timeout=30)
        returned = time.time()
        status = json.loads(
            site.network.run(sys.executable, "-m", "rrdns", "status", "--json", timeout=30)
        )
        member = next(one for one in status["pools"][0]["members"] if one["name"] == "pvs-2")
        safe_after = from_rfc3339(member["safe_after"])
        over = from_rfc3339(member["override"]["until"])
        assert member["override"]["reason"] == "patch"
        assert "pvs-2 of pool boot is drained by" in said
        assert said.endswith("It is safe now.\n")

        # It waited no longer than it had to: a TTL, the second that resolvers round up by,
        # and what starting Python on a busy machine takes.
        assert given + TTL < safe_after <= returned < safe_after + 2.0
        assert PATCHED not in site.ask(RRDNS)
        assert PATCHED not in site.ask(RESOLVER)
        wait_until(lambda: PATCHED in site.ask(RRDNS), LASTS + 3, "back by itself")
        wait_until(lambda: PATCHED in site.ask(RESOLVER), TTL + 3, f"back in {resolver}")
        assert cached.last_naming(PATCHED, over) < safe_after
        assert direct.last_naming(PATCHED, over) < safe_after - TTL
        for watch in (direct, cached):
            assert watch.naming(PATCHED, safe_after, over) == []
            assert len([at for at, _ in watch.seen if safe_after <= at < over]) > 20
        assert direct.naming(PATCHED, over, over + 1.0) != []
        trail = _trail(site)
        assert [entry["action"] for entry in trail] == ["expire", "drain"]
        assert trail[1]["details"]["until"] == member["override"]["until"]


def test_a_server_that_is_not_back_yet_when_its_drain_ends_returns_through_rise(
    tmp_path: Path,
) -> None:
    """The end of a drain hands out nobody whom the probes have not found well twice."""
    with a_farm(tmp_path, first_host=171) as (rrdns, servers):
        patched = servers["pvs-2"]
        rrdns.json("POST", "/v1/pools/boot/members/pvs-2/drain", {"for": "3s"})
        patched.stop()
        wait_until(lambda: rrdns.member("pvs-2")["override"] is None, 6, "over")
        member = rrdns.member("pvs-2")
        assert (member["in"], member["why"]) == (False, "down")
        for _ in range(20):
            assert patched.address not in rrdns.addresses()
        back = time.time()
        patched.start()
        wait_until(lambda: patched.address in rrdns.addresses(), 6, "back")
        passed = [
            probe
            for probe in rrdns.member("pvs-2")["recent"]
            if probe["passed"] and from_rfc3339(probe["at"]) > back
        ]
        assert len(passed) >= 2  # `rise`


def _trail(site: Site) -> list[dict[str, Any]]:
    """Return what happened to pvs-2, apart from its probes; the newest first."""
    verb = ("audit", "--member", "pvs-2", "--json")
    told = site.network.run(sys.executable, "-m", "rrdns", *verb, timeout=30)
    return [entry for entry in json.loads(told)["entries"] if entry["action"] != "standing"]
