"""Real firmware boots at a site: iPXE in SeaBIOS and EDK2 in OVMF, by each DHCP server.

A boot counts only if the boot file ran: it says on the serial port which server it is from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.e2e.dhcp_servers import SUBNET, a_dnsmasq, a_kea, an_isc_dhcpd, kea_dns, kea_subnet
from tests.e2e.nameservers import NAME, exporter
from tests.e2e.site import ADDRESSES, BIOS_FILE, LEASES, MEMBERS, PLACES, UEFI_FILE, Site, a_site
from tests.e2e.target import Boot, boot, mac
from tests.e2e.wiretap import DNS
from tests.export.kea_peer import CONFIG, Kea, control_agent, differences
from tests.peers import wait_until

pytestmark = [pytest.mark.peers, pytest.mark.long]

MAX_PAIRS = 6  # of boots; all from one of two servers once in 2,000 runs


def servers(boots: list[Boot]) -> list[str]:
    """Return which server each target booted from; fail with the console of one that did not."""
    for one in boots:
        assert one.server, one.console[-2000:]
    return [str(one.server) for one in boots]


def asked_of_dns(site: Site) -> set[str]:
    """Return the DNS servers that targets asked."""
    first, last = (IPv4Address(address) for address in LEASES)
    return {
        request.to
        for request in site.wiretap.requests(DNS)
        if first <= IPv4Address(request.source) <= last
    }


@pytest.mark.parametrize("resolver", ["unbound", "named"])
def test_ipxe_boots_by_name_through_a_resolver_and_never_asks_a_dead_server(
    tmp_path: Path, resolver: str
) -> None:
    """Kea gives option 67 as tftp://name/file and no next-server; one of three is stopped.

    BIND orders a cached RRset at random, so two servers may take more than two pairs of boots.
    """
    file = {"name": "boot-file-name", "data": f"tftp://{NAME}/{BIOS_FILE}"}
    config = {"subnet4": [kea_subnet(**{"option-data": [kea_dns(), file]})]}
    with a_site(tmp_path, resolver=resolver, dead=["pvs-2"]) as site, a_kea(site, config):
        booted: set[str] = set()
        for _ in range(MAX_PAIRS):
            booted |= set(servers(boot(site.lan, tmp_path, {1: "bios", 2: "bios"})))
            if len(booted) > 1:
                break
        assert booted == {"pvs-1", "pvs-3"}
        assert site.loads("pvs-2") == []
        assert asked_of_dns(site) == {PLACES.resolver}


def test_a_target_without_dns_boots_from_the_server_that_kea_was_told(tmp_path: Path) -> None:
    """Kea has next-server alone; drain who is named, and the next boot is from another.

    The config around it is an admin's: 300 subnets, comments, reservations, hooks, contexts.
    """
    lan = kea_subnet(
        reservations=[{"hw-address": mac(0x99), "ip-address": LEASES[1], "hostname": "other"}],
    )
    lan["boot-file-name"], lan["user-context"] = BIOS_FILE, {"owner": "desktops"}
    admins = {
        **CONFIG,
        "subnet4": [lan, *CONFIG["subnet4"][1:]],
    }
    told = exporter(
        name="kea",
        type="kea",
        url=f"http://{ADDRESSES['dhcp']}:8000/",
        user="rrdns",
        password_file=str(tmp_path / "password"),
        subnets=[SUBNET],
        rotate_every=0.0,
    )
    (tmp_path / "password").write_text("s3cret\n")
    with (
        a_site(tmp_path, files=[BIOS_FILE, UEFI_FILE], more=told) as site,
        a_kea(site, admins) as kea,
    ):
        before = kea.config()
        with control_agent(kea):
            named = _told(kea, {"", "0.0.0.0"})
            assert servers(boot(site.lan, tmp_path, {1: "bios"})) == [named]
            site.command("drain", named, "--reason", "patch night")
            second = _told(kea, {MEMBERS[named]})
            assert servers(boot(site.lan, tmp_path, {2: "uefi"})) == [second]
            site.stop(second)
            third = _told(kea, {MEMBERS[named], MEMBERS[second]})
            assert servers(boot(site.lan, tmp_path, {1: "bios"})) == [third]
        assert {named, second, third} == set(MEMBERS)
        changed = differences(before, kea.config())
        assert changed == {"/Dhcp4/subnet4/0/next-server": MEMBERS[third]}
        assert asked_of_dns(site) == set()


def test_ipxe_may_have_a_uri_in_a_class_of_its_own(tmp_path: Path) -> None:
    """As docs/exporters.md says; EDK2 beside it boots from next-server."""
    common = {"type": "kea", "socket": str(tmp_path / "kea.sock"), "rotate_every": 0.0}
    uri = {"next_server": False, "boot_file": f"tftp://$first/{BIOS_FILE}"}
    told = exporter(name="ipxe", classes=["ipxe"], **uri, **common)
    told += exporter(name="uefi", classes=["uefi"], boot_file=UEFI_FILE, **common)
    config = {
        "client-classes": [
            {"name": "ipxe", "test": "substring(option[77].hex,0,4) == 'iPXE'"},
            {"name": "uefi", "test": "option[93].hex == 0x0007"},
        ],
        "subnet4": [kea_subnet()],
    }
    with a_site(tmp_path, dead=["pvs-1"], more=told) as site:
        with a_kea(site, config, tmp_path) as kea:
            wait_until(lambda: str(kea.config()).count(MEMBERS["pvs-2"]) == 2, 20, "told")
            booted = boot(site.lan, tmp_path, {1: "bios", 2: "uefi"})
        assert servers(booted) == ["pvs-2", "pvs-2"]
        assert f"tftp://{MEMBERS['pvs-2']}/{BIOS_FILE}... ok" in booted[0].console


def _told(kea: Kea, before: set[str]) -> str:
    """Wait until Kea names another server than `before`; return the member's name."""

    def named() -> str:
        return str(kea.config()["Dhcp4"]["subnet4"][0].get("next-server", ""))

    wait_until(lambda: named() not in before, 20, "told")
    return next(name for name, address in MEMBERS.items() if address == named())


def test_a_target_boots_by_a_dnsmasq_that_reads_the_hosts_of_an_exporter(tmp_path: Path) -> None:
    """The snippet as printed, with the name as next-server; SIGHUP at each change."""
    hosts = tmp_path / "export.hosts"
    told = exporter(
        name="dnsmasq",
        type="file",
        path=str(hosts),
        template="dnsmasq-hosts",
        pid_file=str(tmp_path / "dnsmasq.pid"),
        process="dnsmasq",
    )
    with a_site(tmp_path, more=told) as site:
        snippet = site.command("dhcp", "--format", "dnsmasq")
        config = _with_the_name(snippet, hosts)
        wait_until(hosts.exists, what="exported")
        with a_dnsmasq(site, config, dns=True) as log:
            servers(boot(site.lan, tmp_path, {1: "bios", 2: "bios"}))
            site.stop("pvs-1")
            wait_until(lambda: _last_read(log.read_text(), hosts) == 2, 20, "read again")
            asked = len(site.loads("pvs-1"))
            after = servers(boot(site.lan, tmp_path, {3: "bios", 4: "bios"}))
            assert len(site.loads("pvs-1")) == asked
        assert asked_of_dns(site) == set()
    assert "pvs-1" not in after


def _with_the_name(snippet: str, hosts: Path) -> str:
    """Return the snippet's other choice of lines: those with the name in place of an address."""
    lines = []
    for line in snippet.splitlines():
        if line.startswith("#addn-hosts="):
            lines.append(f"addn-hosts={hosts}")
        elif line.startswith("#dhcp-boot="):
            lines.append(line[1:])
        elif not line.startswith("dhcp-boot="):
            lines.append(line)
    return "\n".join(lines) + "\n"


def _last_read(log: str, hosts: Path) -> int:
    """Return how many addresses dnsmasq found when it last read the file."""
    said = [line for line in log.splitlines() if f"read {hosts} - " in line]
    return int(said[-1].split(" - ")[1].split()[0]) if said else 0


def test_an_isc_dhcpd_that_resolves_by_itself_keeps_a_dead_server(tmp_path: Path) -> None:
    """Why there are exporters: it keeps the first address, whatever the TTL of 2 s says."""
    config = f'next-server {NAME};\nfilename "{BIOS_FILE}";\n'
    with a_site(tmp_path) as site, an_isc_dhcpd(site, config, resolv_conf=site.resolv_conf):
        (named,) = servers(boot(site.lan, tmp_path, {1: "bios"}))
        site.stop(named)
        site.wait_until_answered(*(MEMBERS.keys() - {named}))
        (failed,) = boot(site.lan, tmp_path, {1: "bios"})
        assert failed.gave_up
        assert f"Next server: {MEMBERS[named]}" in failed.console


def test_a_target_boots_by_an_isc_dhcpd_that_is_started_anew(tmp_path: Path) -> None:
    """The include of the file exporter; dhcpd reads it when it starts, so it is ended for that."""
    include = tmp_path / "pvs.include"
    told = exporter(
        name="dhcpd",
        type="file",
        path=str(include),
        template="isc-dhcpd",
        scope="first",
        rotate_every=0.0,
        option66="address",
        pid_file=str(tmp_path / "dhcpd.pid"),
        signal="TERM",
        process="dhcpd",
    )
    with a_site(tmp_path, more=told) as site:
        wait_until(include.exists, what="exported")
        with an_isc_dhcpd(site, f'include "{include}";\nfilename "{BIOS_FILE}";\n') as log:
            (named,) = servers(boot(site.lan, tmp_path, {1: "bios"}))
            site.stop(named)
            wait_until(lambda: log.read_text().count("starting service") == 2, 20, "anew")
            (after,) = servers(boot(site.lan, tmp_path, {1: "bios"}))
            assert after != named


def a_kea_with_classes(site: Site, snippet: str) -> AbstractContextManager[object]:
    """Run Kea with the snippet's classes and a subnet."""
    body = "".join(line for line in snippet.splitlines() if not line.startswith("//"))
    return a_kea(site, {**json.loads(body)["Dhcp4"], "subnet4": [kea_subnet()]})


SERVERS: dict[str, Callable[[Site, str], AbstractContextManager[object]]] = {
    "kea": a_kea_with_classes,
    "isc": an_isc_dhcpd,
    "dnsmasq": partial(a_dnsmasq, dns=False),
}


@pytest.mark.parametrize("server", SERVERS)
def test_both_kinds_of_firmware_boot_by_a_printed_snippet(tmp_path: Path, server: str) -> None:
    """As `rrdns dhcp` prints it: next-server and each architecture's own file."""
    with a_site(tmp_path, dead=["pvs-1"], files=[BIOS_FILE, UEFI_FILE]) as site:
        text = site.command("dhcp", "--format", server)
        with SERVERS[server](site, text):
            booted = servers(boot(site.lan, tmp_path, {1: "bios", 2: "uefi"}))
            assert booted == ["pvs-2", "pvs-2"]  # the first of those that are handed out
        assert site.loads("pvs-1") == []
