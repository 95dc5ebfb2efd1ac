"""Every kind of firmware that is played boots from TFTP servers of other makers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrdns.lab.bootstorm.firmware import FIRMWARE
from rrdns.lab.bootstorm.storm import Storm
from rrdns.lab.bootstorm.target import BootFileSource, ByRoundRobin
from rrdns.lab.tftpd.boot_files import BIOS_FILE, UEFI_FILE
from tests.tftp_servers import ADDRESS, MAKERS, Peer, a_tftp_server

pytestmark = pytest.mark.peers


@pytest.fixture(params=list(MAKERS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    """Run each server in turn."""
    with a_tftp_server(str(request.param), tmp_path) as server:
        yield server


@pytest.mark.parametrize("file", [BIOS_FILE, UEFI_FILE])
def test_all_firmware_boots_from_every_maker_of_servers(server: Peer, file: str) -> None:
    """With its own options, block size and manners; nobody has to wait for a repeat."""
    storm = Storm.planned(
        [ByRoundRobin([ADDRESS])],
        BootFileSource(file, server.port),
        clients=12,
        ramp=0.3,
        firmware=tuple(FIRMWARE.values()),
        seed=1,
    )
    asyncio.run(storm.run())
    boots = storm.courses[0].boots
    assert [one.reason for one in boots if not one.booted] == []
    assert {one.target.firmware.name for one in boots} == set(FIRMWARE)
