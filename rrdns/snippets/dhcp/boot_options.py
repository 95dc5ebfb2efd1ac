"""The values of a DHCP snippet: hostname, addresses, and the boot file of each architecture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BIOS = 0  # client architectures of option 93 (RFC 4578, section 2.1, and IANA's registry)
UEFI_X64 = (7, 9)  # x64 firmware sends 7 by custom; the registry lists 9 for x64, too


@dataclass(frozen=True, slots=True)
class BootFiles:
    """The boot file of each kind of firmware; empty: there is none."""

    bios: str = "ARDBP32.BIN"
    uefi: str = "pvsnbpx64.efi"

    @classmethod
    def among(cls, names: Iterable[str]) -> BootFiles:
        """Return the boot files from the names of a pool's probes.

        A name that ends in .efi is for UEFI, any other for BIOS. A kind that is not probed gets
        the file name that PVS uses.
        """
        files = tuple(names)
        uefi = next((name for name in files if name.lower().endswith(".efi")), cls().uefi)
        bios = next((name for name in files if not name.lower().endswith(".efi")), cls().bios)
        return cls(bios=bios, uefi=uefi)

    def by_architecture(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """Return (firmware, file, architectures) of each kind of firmware that has a file."""
        rows = (("bios", self.bios, (BIOS,)), ("uefi", self.uefi, UEFI_X64))
        return tuple(row for row in rows if row[1])


@dataclass(frozen=True, slots=True)
class DhcpBootOptions:
    """The values that a DHCP server sends to targets of one pool."""

    hostname: str
    addresses: tuple[str, ...]  # beginning with the one for next-server
    files: BootFiles
