"""A target: a virtual machine that boots from the network, as its firmware does it.

BIOS is SeaBIOS with iPXE as the network card's ROM; UEFI is OVMF, whose own PXE and TFTP
are those of EDK2, or with iPXE as the card's ROM too. There is no disk: what cannot boot from
the network does not boot.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.bootfiles import EXIT_PORT, EXIT_STATUS, MARK
from tests.e2e.network import Lan
from tests.peers import peer, peer_file, running

# OVMF goes on to IPv6 and HTTP when IPv4 did not boot it.
_GAVE_UP = ("No bootable device", "No more network devices", "Start PXE over IPv6")
_OVMF = Path("/usr/share/OVMF")
_KEYS = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|.)")  # what moves the cursor


@dataclass(frozen=True)
class Boot:
    """What became of a target."""

    console: str
    status: int | None  # of the machine; None: it was still on

    @property
    def gave_up(self) -> bool:
        """Tell whether its firmware has given up by itself."""
        return any(words in self.console for words in _GAVE_UP)

    @property
    def server(self) -> str | None:
        """Return the name of the server whose boot file ran; None: none did."""
        told = re.search(rf"{MARK}([\w.-]+)", self.console)
        return told[1] if told and self.status == EXIT_STATUS else None


@dataclass
class Target:
    """A machine that is on."""

    log: Path
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)

    def wait(self, limit: float = 120.0) -> Boot:
        """Return how it ended: off by its boot file's hand, given up, or out of time."""
        so_far = Boot("", None)
        while time.monotonic() < self.began + limit:
            ended = self.process.poll()
            so_far = Boot(self.console(), ended)
            if ended is not None or so_far.gave_up:
                return so_far
            time.sleep(0.1)
        return so_far

    def console(self) -> str:
        """Return what it has written on its serial port, without what moves the cursor."""
        return _KEYS.sub("", self.log.read_text(errors="replace"))


@contextmanager
def a_target(lan: Lan, folder: Path, number: int, *, firmware: str = "bios") -> Iterator[Target]:
    """Switch a machine on, for the length of the block at most."""
    name = f"target-{number}"
    lan.add_tap(name)
    log = folder / f"{name}-{firmware}.console"
    log.write_text("")  # what it wrote when it was on before is not read again
    card = f"virtio-net-pci,netdev=lan,mac={mac(number)}"
    command: list[str | Path] = [
        peer("qemu-system-x86_64"), "-accel", "tcg", "-machine", "pc,graphics=off",
        "-nodefaults", "-no-reboot", "-display", "none", "-boot", "n",
        "-serial", f"file:{log}",
        "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4",
        "-netdev", f"tap,id=lan,ifname={name},script=no,downscript=no",
        *_machine(folder, name, card, firmware),
    ]  # fmt: skip
    said = folder / f"{name}.qemu.log"
    try:
        with running(lan.switch.command(*command), log=said) as process:
            yield Target(log, process)
    finally:
        lan.remove_tap(name)


def boot(lan: Lan, folder: Path, firmwares: Mapping[int, str]) -> list[Boot]:
    """Boot targets at once, each by its number with its firmware; return how each ended."""
    with ExitStack() as stack:
        targets = [
            stack.enter_context(a_target(lan, folder, number, firmware=firmware))
            for number, firmware in firmwares.items()
        ]
        return [target.wait() for target in targets]


def mac(number: int) -> str:
    """Return a target's hardware address."""
    return f"52:54:00:00:00:{number:02x}"


def _machine(folder: Path, name: str, card: str, firmware: str) -> Sequence[str]:
    """Return the options for "bios", "uefi", or "uefi-ipxe": iPXE as the card's ROM in OVMF."""
    if firmware == "bios":
        return ("-m", "64", "-device", card)
    code, variables = peer_file(_OVMF / "OVMF_CODE.fd"), folder / f"{name}.vars"
    shutil.copy(peer_file(_OVMF / "OVMF_VARS.fd"), variables)
    flash = "if=pflash,format=raw"
    return (
        "-m", "256", "-device", card if firmware == "uefi-ipxe" else f"{card},romfile=",
        "-drive", f"{flash},readonly=on,file={code}",
        "-drive", f"{flash},file={variables}",
    )  # fmt: skip
