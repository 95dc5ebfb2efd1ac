"""What real firmware makes of the DHCP options that `rrdns dhcp` prints and warns of.

Both kinds boot at once: iPXE and EDK2 (OVMF). Each is told its own boot file, by the client's
architecture, in the option and in the field of the packet, as most DHCP servers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.dhcp_servers import a_kea, kea_dns, kea_subnet
from tests.e2e.nameservers import NAME
from tests.e2e.site import ADDRESSES, BIOS_FILE, MEMBERS, UEFI_FILE, a_site
from tests.e2e.target import Boot, boot
from tests.e2e.wiretap import LEASE, PXE

pytestmark = [pytest.mark.peers, pytest.mark.long]

THIRD = MEMBERS["pvs-3"]
SEMICOLONS, COMMAS = ";".join(MEMBERS.values()), ", ".join(MEMBERS.values())
OPTION_150 = {"name": "tftp-servers", "code": 150, "type": "ipv4-address", "array": True}


@dataclass(frozen=True)
class Case:
    """What DHCP tells, and who boots by it."""

    says: str
    options: dict[str, str]
    next_server: str | None = None
    prefix: str = ""  # of the boot file
    ipxe_boots: bool = False
    edk2_boots: bool = False
    code: int = 66  # the option that it is about


CASES = [
    Case("option 66 alone, a name", {"tftp-server-name": NAME}),
    Case("option 66 alone, an address", {"tftp-server-name": THIRD}),
    Case("option 66 alone, a list", {"tftp-server-name": SEMICOLONS}),
    Case("option 150 alone", {"tftp-servers": COMMAS}, code=150),
    Case(
        "option 66 is another name than next-server",
        {"tftp-server-name": SEMICOLONS},
        next_server=THIRD,
        ipxe_boots=True,
        edk2_boots=True,
    ),
    Case(
        "option 60 and next-server",
        {"vendor-class-identifier": "PXEClient"},
        next_server=THIRD,
        ipxe_boots=True,
        code=60,
    ),
    Case("option 67 is a URI", {}, prefix=f"tftp://{NAME}/", ipxe_boots=True, code=67),
]


def a_class(case: Case, architecture: int, file: str) -> dict[str, Any]:
    """Return a class of Kea's that tells what the case says."""
    name = f"{case.prefix}{file}"
    options = {**case.options, "boot-file-name": name}
    told = {} if case.next_server is None else {"next-server": case.next_server}
    return {
        "name": f"architecture-{architecture}",
        "test": f"option[93].hex == 0x{architecture:04x}",
        "boot-file-name": name,
        "option-data": [
            {"name": option, "data": data, "always-send": True} for option, data in options.items()
        ],
        **told,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_firmware_boots_by_what_it_understands(tmp_path: Path, case: Case) -> None:
    """next-server for both; a URI in option 67 for iPXE alone; option 66 and 150 for neither."""
    config = {
        "option-def": [OPTION_150],
        "client-classes": [a_class(case, 0, BIOS_FILE), a_class(case, 7, UEFI_FILE)],
        "subnet4": [kea_subnet(**{"option-data": [kea_dns()]})],
    }
    with a_site(tmp_path) as site, a_kea(site, config):
        (ipxe, edk2) = boot(site.lan, tmp_path, {1: "bios", 2: "uefi"})
        leases = site.wiretap.requests(LEASE)
        assert len(leases) >= 4
        assert all(case.code in lease.options for lease in leases)
        assert_as_said(case, ipxe, boots=case.ipxe_boots)
        assert_as_said(case, edk2, boots=case.edk2_boots)
        # The trap of option 60: who sees it asks a PXE service, which nobody runs here.
        asked = {request.to for request in site.wiretap.requests(PXE)}
        assert asked == ({THIRD} if case.code == 60 else set())
        assert ADDRESSES["dhcp"] not in asked


def test_an_ipxe_script_may_take_the_name_from_option_66(tmp_path: Path) -> None:
    """The one way in which a name in option 66 boots: a script asks for it."""
    options = [
        kea_dns(),
        {"name": "tftp-server-name", "data": NAME},
        {"name": "boot-file-name", "data": "pvs.ipxe"},
    ]
    subnet = kea_subnet(**{"option-data": options, "next-server": MEMBERS["pvs-1"]})
    with a_site(tmp_path) as site, a_kea(site, {"subnet4": [subnet]}):
        script = f"#!ipxe\nchain tftp://${{66}}/{BIOS_FILE}\n"
        (tmp_path / "pvs-1" / "pvs.ipxe").write_text(script)
        (one,) = boot(site.lan, tmp_path, {1: "bios"})
        assert one.server in MEMBERS, one.console[-2000:]
        assert f"tftp://{NAME}/{BIOS_FILE}... ok" in one.console


def test_ipxe_for_uefi_boots_by_a_uri_too(tmp_path: Path) -> None:
    """The other line for iPXE that `rrdns dhcp --format option66` prints."""
    file = {"name": "boot-file-name", "data": f"tftp://{NAME}/{UEFI_FILE}"}
    subnet = kea_subnet(**{"option-data": [kea_dns(), file]})
    with a_site(tmp_path, files=[UEFI_FILE]) as site, a_kea(site, {"subnet4": [subnet]}):
        (one,) = boot(site.lan, tmp_path, {1: "uefi-ipxe"})
        assert one.server in MEMBERS, one.console[-2000:]
        assert f"tftp://{NAME}/{UEFI_FILE}... ok" in one.console


def assert_as_said(case: Case, it: Boot, *, boots: bool) -> None:
    """Check that firmware boots from whom it was told, or gives up by itself."""
    assert it.gave_up != boots, it.console[-2000:]
    assert (it.server is not None) == boots, it.console[-2000:]
    if case.next_server is not None and boots:
        assert it.server == "pvs-3"
