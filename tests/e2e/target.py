"""A target: a virtual machine that boots from the network, as its firmware does it.

BIOS is SeaBIOS with iPXE as the network card's ROM; UEFI is OVMF, whose own PXE and TFTP
are those of EDK2. There is no disk: what cannot boot from the network does not boot.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.bootfiles import EXIT_PORT, EXIT_STATUS, MARK
from tests.e2e.network import Lan
from tests.peers import peer, running

_GAVE_UP = ("No bootable device", "No more network devices", "UEFI Interactive Shell")
_OVMF = Path("/usr/share/OVMF")
_KEYS = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|.)")  # what moves the cursor


@dataclass(frozen=True)
class Boot:
    """What became of a target."""

    console: str
    status: int | None  # of the machine; None: it was still on

    @property
    def server(self) -> str | None:
        """Return the name of the server whose boot file ran; None: none did."""
        told = re.search(rf"{MARK}([\w.-]+)", self.console)
        return told[1] if told and self.status == EXIT_STATUS else None


@dataclass
class Target:
    """A machine that is on."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)

    def wait(self, limit: float = 60.0) -> Boot:
        """Return how it ended: off by its boot file's hand, given up, or out of time."""
        while time.monotonic() < self.began + limit:
            ended = self.process.poll()
            if ended is not None or any(words in self.console() for words in _GAVE_UP):
                return Boot(self.console(), ended)
            time.sleep(0.1)
        return Boot(self.console(), None)

    def console(self) -> str:
        """Return what it has written on its serial port, without what moves the cursor."""
        return _KEYS.sub("", self.log.read_text(errors="replace"))


@contextmanager
def a_target(lan: Lan, folder: Path, number: int, *, firmware: str = "bios") -> Iterator[Target]:
    """Switch a machine on, for the length of the block at most."""
    name = f"target-{number}"
    lan.add_tap(name)
    log = folder / f"{name}-{firmware}.console"
    log.touch()
    card = f"virtio-net-pci,netdev=lan,mac={mac(number)}"
    command: list[str | Path] = [
        peer("qemu-system-x86_64"), "-accel", "tcg", "-machine", "pc,graphics=off",
        "-nodefaults", "-no-reboot", "-display", "none", "-boot", "n",
        "-serial", f"file:{log}",
        "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4",
        "-netdev", f"tap,id=lan,ifname={name},script=no,downscript=no",
        *(_uefi(folder, name, card) if firmware == "uefi" else ("-m", "64", "-device", card)),
    ]  # fmt: skip
    said = folder / f"{name}.qemu.log"
    try:
        with running(lan.switch.command(*command), log=said) as process:
            yield Target(name, log, process)
    finally:
        lan.remove_tap(name)


def boot(lan: Lan, folder: Path, *numbers: int, firmware: str = "bios") -> list[Boot]:
    """Boot some targets at once; return how each ended."""
    limit = 180.0 if firmware == "uefi" else 60.0
    with ExitStack() as stack:
        targets = [
            stack.enter_context(a_target(lan, folder, number, firmware=firmware))
            for number in numbers
        ]
        return [target.wait(limit) for target in targets]


def mac(number: int) -> str:
    """Return a target's hardware address."""
    return f"52:54:00:00:00:{number:02x}"


def _uefi(folder: Path, name: str, card: str) -> Sequence[str]:
    variables = folder / f"{name}.vars"
    shutil.copy(_OVMF / "OVMF_VARS.fd", variables)
    flash = "if=pflash,format=raw"
    return (
        "-m", "256", "-device", f"{card},romfile=",
        "-drive", f"{flash},readonly=on,file={_OVMF / 'OVMF_CODE.fd'}",
        "-drive", f"{flash},file={variables}",
    )  # fmt: skip
