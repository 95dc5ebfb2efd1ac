"""A server dies while targets boot: only those that asked within detection + TTL may fail."""

from __future__ import annotations

import logging
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.bootfiles import MARK
from tests.e2e.dhcp_servers import a_kea, kea_dns, kea_subnet
from tests.e2e.nameservers import NAME
from tests.e2e.site import BIOS_FILE, MEMBERS, TTL, Site, a_site
from tests.e2e.target import Target, a_target
from tests.peers import peer

pytestmark = [pytest.mark.peers, pytest.mark.long]

LOG = logging.getLogger(__name__)
CLIENTS, RATE, BEFORE = 90, 5.0, 30  # how many, each second, and before the server dies
LIMIT = 8  # seconds after which a client gives up
SLACK = 1.5  # resolvers keep the end of a TTL in whole seconds; a client takes its time to start
VICTIM = "pvs-2"

CURL = ("curl", "-sS", f"tftp://{NAME}/{BIOS_FILE}")
BUSYBOX = ("busybox", "tftp", "-g", "-l", "-", "-r", BIOS_FILE, NAME)


@dataclass
class Client:
    """A cheap client that loads the boot file by its name."""

    began: float
    process: subprocess.Popen[bytes]

    def server(self) -> str | None:
        """Return which server's file it got whole; None: it failed."""
        loaded, _ = self.process.communicate(timeout=LIMIT + 10)
        told = re.search(rf"{MARK}([\w.-]+)".encode(), loaded[-64:])
        return told[1].decode() if told and self.process.returncode == 0 else None


def a_client(site: Site, command: tuple[str, ...], resolv_conf: Path) -> Client:
    """Start a client on its host, with the site's resolver."""
    program, *args = command
    limited = (peer("timeout"), str(LIMIT), peer(program), *args)
    began = time.monotonic()
    process = subprocess.Popen(
        site.lan["client"].resolving_command(resolv_conf, *limited),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return Client(began, process)


def a_storm(site: Site, events: Mapping[int, Callable[[], None]]) -> list[Client]:
    """Start clients at a steady rate; before some of them, by number, something happens."""
    resolv_conf, began = site.resolv_conf, time.monotonic()
    clients = []
    for number in range(CLIENTS):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        events.get(number, _nothing)()
        clients.append(a_client(site, (CURL, BUSYBOX)[number % 2], resolv_conf))
    return clients


def _nothing() -> None:
    pass


def first_loads(site: Site, member: str) -> list[float]:
    """Return when each client first asked a member for a file; it repeats that by itself."""
    first: dict[tuple[str, int], float] = {}
    for asked in site.loads(member):
        first.setdefault((asked.source, asked.source_port), asked.at)
    return sorted(first.values())


@pytest.mark.parametrize(
    ("resolver", "end", "detection"),
    [
        pytest.param("unbound", Site.cut_off, 4.5, id="cut-off"),
        pytest.param("named", Site.stop, 1.5, id="stopped"),
        pytest.param("unbound", Site.no_response, 4.5, id="no-response"),
    ],
)
def test_only_those_that_asked_before_it_was_known_can_fail(
    tmp_path: Path, resolver: str, end: Callable[[Site, str], float], detection: float
) -> None:
    """Curl and busybox by the dozen; and a target that is switched on at the same moment."""
    window = detection + TTL + SLACK
    file = {"name": "boot-file-name", "data": f"tftp://{NAME}/{BIOS_FILE}"}
    dhcp = {"subnet4": [kea_subnet(**{"option-data": [kea_dns(), file]})]}
    deaths: list[float] = []
    targets: list[Target] = []
    with a_site(tmp_path, resolver=resolver) as site, a_kea(site, dhcp), ExitStack() as stack:

        def die() -> None:
            deaths.append(end(site, VICTIM))

        def switch_on() -> None:
            targets.append(stack.enter_context(a_target(site.lan, tmp_path, 1)))

        clients = a_storm(site, {BEFORE: die, BEFORE + round(window * RATE): switch_on})
        (died,), (target,) = deaths, targets
        ended = [(client.began - died, client.server()) for client in clients]
        boot = target.wait()
        failed = [at for at, server in ended if server is None]
        asked = [round(at - died, 1) for at in first_loads(site, VICTIM)]
    hit = [at for at in asked if at >= -SLACK]
    LOG.info("%d of %d failed; asked the dead server, seconds after: %s", len(failed), CLIENTS, hit)
    assert sum(at < 0 for at in asked) > 0, "the victim was in use"
    assert all(-SLACK <= at <= window for at in failed), failed
    assert all(at <= window for at in asked), asked
    assert len(failed) <= sum(at >= -SLACK for at in asked)
    later = {server for at, server in ended if at > window}
    assert later == MEMBERS.keys() - {VICTIM}
    assert boot.server in later, boot.console[-2000:]


def test_a_server_whose_cable_is_plugged_in_again_is_answered_again(tmp_path: Path) -> None:
    """By itself, after two good probes; through the resolver a TTL later at most."""
    with a_site(tmp_path) as site:
        cut = site.cut_off(VICTIM)
        site.wait_until_answered(*(MEMBERS.keys() - {VICTIM}))
        assert time.monotonic() - cut <= 4.5 + TTL + SLACK
        joined = time.monotonic()
        site.lan.join(VICTIM)
        site.wait_until_answered(*MEMBERS)
        assert time.monotonic() - joined <= 4.5 + TTL + SLACK
