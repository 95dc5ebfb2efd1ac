"""What `rrdns boot` plays is what real firmware sends: iPXE, and the TFTP of EDK2 (OVMF).

Their packets are taken from the wire and compared with those of the lab, byte for byte and
in their rhythm.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from rrdns.core.health.probe_result import ProbeDepth
from rrdns.core.model import BootFile, Endpoint
from rrdns.lab.bootstorm.firmware import EDK2, IPXE, Firmware
from rrdns.lab.bootstorm.resolver import FirmwareResolver
from rrdns.wire.tftp.findings import TransferRequest
from rrdns.wire.tftp.firmware_options import Options
from rrdns.wire.tftp.read_session import ReadSession
from tests.e2e.dhcp_servers import a_kea, kea_dns, kea_subnet
from tests.e2e.nameservers import NAME
from tests.e2e.site import BIOS_FILE, LEASES, MEMBERS, PLACES, UEFI_FILE, Site, a_site
from tests.e2e.target import boot
from tests.e2e.wiretap import DNS, TFTP, Request

pytestmark = [pytest.mark.peers, pytest.mark.long]

FIRST = MEMBERS["pvs-1"]
# Seconds that a gap may be off: EDK2 counts in seconds, and the clock of a busy emulator wanders.
INACCURATE = {IPXE.name: 0.6, EDK2.name: 1.2}


def of_targets(site: Site, port: int) -> list[Request]:
    """Return what machines with a lease sent to a port."""
    first, last = (IPv4Address(address) for address in LEASES)
    requests = site.wiretap.requests(port)
    return [one for one in requests if first <= IPv4Address(one.source) <= last]


def played_request(file: str, options: Options) -> bytes:
    """Return the RRQ of the lab."""
    asked = TransferRequest(FIRST, 69, file)
    return ReadSession(asked, BootFile(file), ProbeDepth.FULL, options).request()[0]


def assert_rhythm(requests: Sequence[Request], firmware: Firmware) -> None:
    """Check that requests came when the lab would repeat them, and no more of them."""
    gaps = [later.at - sooner.at for sooner, later in pairwise(requests)]
    played = [later - sooner for sooner, later in pairwise(firmware.retransmits_at)]
    assert len(gaps) == len(played)
    off = INACCURATE[firmware.name]
    assert all(abs(real - lab) <= off for real, lab in zip(gaps, played, strict=True)), gaps


def test_ipxe_asks_and_repeats_as_it_is_played(tmp_path: Path) -> None:
    """One query; then six requests to the one dead server that it was told."""
    file = {"name": "boot-file-name", "data": f"tftp://{NAME}/{BIOS_FILE}"}
    config = {"subnet4": [kea_subnet(**{"option-data": [kea_dns(), file]})]}
    with a_site(tmp_path) as site, a_kea(site, config):
        for member in MEMBERS:
            site.no_response(member)
        (booted,) = boot(site.lan, tmp_path, {1: "bios"})
        assert booted.server is None
        queries, requests = of_targets(site, DNS), of_targets(site, TFTP)
    lookup = FirmwareResolver(IPXE, NAME, [Endpoint(PLACES.resolver, 53)], Random(1), 0.0)
    ((_, played),) = lookup.act(0.0)
    assert [bytes.fromhex(query.payload)[2:] for query in queries] == [played[2:]]
    sent = {(request.payload, request.to) for request in requests}
    assert {payload for payload, _ in sent} == {played_request(BIOS_FILE, IPXE.options).hex()}
    assert len(sent) == 1  # to one server
    assert_rhythm(requests, IPXE)


def test_edk2_asks_for_size_and_file_as_it_is_played(tmp_path: Path) -> None:
    """Two requests, each from a port of its own."""
    config = {"subnet4": [kea_subnet(**{"next-server": FIRST, "boot-file-name": UEFI_FILE})]}
    with a_site(tmp_path) as site, a_kea(site, config):
        (booted,) = boot(site.lan, tmp_path, {1: "uefi"})
        assert booted.server == "pvs-1", booted.console[-2000:]
        requests = of_targets(site, TFTP)
    assert [request.payload for request in requests] == [
        played_request(UEFI_FILE, options).hex() for options in (EDK2.size_options, EDK2.options)
    ]
    assert len({request.source_port for request in requests}) == 2


def test_edk2_repeats_as_it_is_played(tmp_path: Path) -> None:
    """Six requests for the size, each five seconds."""
    config = {"subnet4": [kea_subnet(**{"next-server": FIRST, "boot-file-name": UEFI_FILE})]}
    with a_site(tmp_path) as site, a_kea(site, config):
        site.no_response("pvs-1")
        (booted,) = boot(site.lan, tmp_path, {1: "uefi"})
        assert booted.server is None
        requests = of_targets(site, TFTP)
    expected = played_request(UEFI_FILE, EDK2.size_options).hex()
    assert {request.payload for request in requests} == {expected}
    assert_rhythm(requests, EDK2)
