"""Real iPXE and EDK2 load from the servers of tests/tftp_cases.py, or not: as the probe says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rrdns.core.model import Profile
from tests.e2e.network import PORT, Lan, a_lan
from tests.e2e.target import a_target
from tests.peers import peer, running
from tests.tftp_cases import BIOS_FILE, CASES, FILE_OF, UEFI_FILE, Case

pytestmark = [pytest.mark.peers, pytest.mark.long]

ADDRESSES = {"dhcp": "10.77.0.5", "server": "10.77.0.11"}
ELSEWHERE = "10.77.0.12"
LEASES = "10.77.0.129,10.77.0.190,255.255.255.0"
FIRMWARE = {Profile.IPXE: "bios", Profile.UEFI: "uefi"}
TIMEOUT = 600.0  # seconds: on a busy machine 65,600 blocks take some, and a stall 30 s more
MAX_BIOS_BYTES = 600_000  # bytes
EFI_X64 = "option:client-arch,7"


@contextmanager
def a_dhcp_server(lan: Lan, folder: Path) -> Iterator[None]:
    """Send each target its boot file's name, and announce an IPv6 router: iPXE waits for one."""
    lan["dhcp"].run(peer("ip"), "addr", "add", "fd77::1/64", "dev", PORT, "nodad")
    command: list[str | Path] = [
        peer("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
        f"--interface={PORT}", "--bind-interfaces", f"--dhcp-range={LEASES}", "--no-ping",
        f"--dhcp-leasefile={folder / 'leases'}", "--pid-file=", "--user=root", "--log-facility=-",
        "--enable-ra", f"--ra-param={PORT},0,0", "--dhcp-range=fd77::,ra-only",
        f"--dhcp-match=set:efi,{EFI_X64}",
        f"--dhcp-boot=tag:efi,{UEFI_FILE},,{ADDRESSES['server']}",
        f"--dhcp-boot=tag:!efi,{BIOS_FILE},,{ADDRESSES['server']}",
    ]  # fmt: skip
    log = folder / "dnsmasq.log"

    def ready() -> bool:
        return "DHCP, IP range" in log.read_text()

    with running(lan["dhcp"].command(*command), log=log, ready=ready):
        yield


@contextmanager
def a_scripted_server(lan: Lan, log: Path, case: Case) -> Iterator[None]:
    """Serve as a case says; the log tells which files were loaded whole."""
    module = (sys.executable, "-m", "tests.tftp_cases")
    command = lan["server"].command(*module, ADDRESSES["server"], "69", ELSEWHERE, case.name)

    def ready() -> bool:
        return "ready" in log.read_text()

    with running(command, log=log, ready=ready):
        yield


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """Connect a DHCP server and a host with two addresses."""
    folder = tmp_path_factory.mktemp("lan")
    with a_lan(ADDRESSES) as made:
        made["server"].run(peer("ip"), "addr", "add", f"{ELSEWHERE}/24", "dev", PORT)
        with a_dhcp_server(made, folder):
            yield made


def some_cases() -> list[Case]:
    """Return all cases; with RRDNS_FIRMWARE_PART=2/5 those with the remainder 2 of 5."""
    part, _, parts = os.environ.get("RRDNS_FIRMWARE_PART", "0/1").partition("/")
    return list(CASES[int(part) :: int(parts)])


@pytest.mark.parametrize("case", some_cases(), ids=lambda case: case.name)
def test_firmware_loads_where_the_probe_says_so(case: Case, lan: Lan, tmp_path: Path) -> None:
    """Both at once; tests/net/test_firmware_cases.py asks the probe about the same table.

    Loaded is what the server has the last ACK of; and what has room in the machine ran.
    """
    log = tmp_path / "server.log"
    log.touch()
    with (
        a_scripted_server(lan, log, case),
        a_target(lan, tmp_path, 1, firmware="bios") as ipxe,
        a_target(lan, tmp_path, 2, firmware="uefi") as edk2,
    ):
        booted = {Profile.IPXE: ipxe.wait(TIMEOUT), Profile.UEFI: edk2.wait(TIMEOUT)}
    for profile, boot in booted.items():
        loads, file = case.loads(profile), FILE_OF[profile]
        said = boot.console[-2000:]
        assert (f"loaded {file}" in log.read_text()) is loads, said
        if not loads or has_room(case, profile):
            assert (boot.server == "scripted") is loads, said
            assert boot.gave_up is not loads, said


def has_room(case: Case, profile: Profile) -> bool:
    """Return whether the firmware can start a file of that size: a BIOS has 640 KB for it."""
    return profile is Profile.UEFI or case.script.size < MAX_BIOS_BYTES
