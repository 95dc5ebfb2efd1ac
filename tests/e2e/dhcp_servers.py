"""DHCP servers of a site: Kea, dnsmasq and ISC dhcpd, on the host `dhcp`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.network import PORT
from tests.e2e.site import LEASES, PLACES, Site
from tests.export.kea_peer import Kea, kea
from tests.peers import peer, running

SUBNET = "10.77.0.0/24"
# What a service manager does: run it again whenever it ends, and end it at one's own end.
SERVICE = """trap 'kill $!; wait; exit' TERM; while :; do "$@" & wait $!; sleep 0.1; done"""


def kea_subnet(**more: Any) -> dict[str, Any]:
    """Return the site's subnet for a Kea config."""
    return {"id": 77, "subnet": SUBNET, "pools": [{"pool": "-".join(LEASES)}], **more}


def kea_dns() -> dict[str, str]:
    """Return the option that tells targets of the site's resolver."""
    return {"name": "domain-name-servers", "data": PLACES.resolver}


@contextmanager
def a_kea(site: Site, config: Mapping[str, Any], folder: Path | None = None) -> Iterator[Kea]:
    """Run Kea at the site; its control socket is in a folder of its own, or in `folder`."""
    with kea(dict(config), folder, site.lan["dhcp"]) as server:
        yield server


@contextmanager
def a_dnsmasq(site: Site, config: str, *, dns: bool) -> Iterator[Path]:
    """Run dnsmasq at the site; yields its log. Its own DNS, if on, answers nothing but hosts."""
    conf, log = site.folder / "dnsmasq.conf", site.folder / "dnsmasq.log"
    conf.write_text(config)
    command = [
        peer("dnsmasq"), "--keep-in-foreground", f"--conf-file={conf}",
        f"--interface={PORT}", "--bind-interfaces", "--no-resolv", "--no-hosts",
        f"--port={53 if dns else 0}",
        f"--dhcp-range={','.join(LEASES)},255.255.255.0", "--no-ping",
        f"--dhcp-leasefile={site.folder / 'dnsmasq.leases'}",
        f"--pid-file={site.folder / 'dnsmasq.pid'}", "--user=root",
        "--log-facility=-", "--log-dhcp",
    ]  # fmt: skip

    def ready() -> bool:
        return "DHCP, IP range" in log.read_text()

    with running(site.lan["dhcp"].command(*command), log=log, ready=ready):
        yield log


@contextmanager
def an_isc_dhcpd(site: Site, config: str, *, resolv_conf: Path | None = None) -> Iterator[Path]:
    """Run ISC dhcpd at the site, again whenever it ends; yields its log.

    With `resolv_conf` it can resolve names.
    """
    conf, log = site.folder / "dhcpd.conf", site.folder / "dhcpd.log"
    subnet = f"subnet 10.77.0.0 netmask 255.255.255.0 {{ range {' '.join(LEASES)}; }}\n"
    conf.write_text(config + subnet)
    leases = site.folder / "dhcpd.leases"
    leases.touch()
    host = site.lan["dhcp"]
    command: list[str | Path] = [
        "sh", "-c", SERVICE, "dhcpd",
        peer("dhcpd"), "-4", "-f", "-d", "-pf", site.folder / "dhcpd.pid",
        "-cf", conf, "-lf", leases, PORT,
    ]  # fmt: skip
    line = host.resolving_command(resolv_conf, *command) if resolv_conf else host.command(*command)

    def ready() -> bool:
        return "Server starting service" in log.read_text()

    with running(line, log=log, ready=ready):
        yield log
