"""What a snippet tells of: the name, the addresses, and the boot file of each architecture."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap

BIOS = 0  # client architectures of option 93 (RFC 4578, section 2.1, and IANA's registry)
UEFI_X64 = (7, 9)  # firmware says 7 for x64 by custom; 9 is what the registry now lists too

NO_OPTION_60 = (
    "Do not set option 60 (PXEClient) unless a PXE service answers on port 4011: UEFI firmware "
    "that sees it asks there (next-server, where there is one), gets no answer, and boots nothing."
)
WHO_RESOLVES = (
    "Most firmware does not resolve a name in option 66; it boots from next-server (siaddr). "
    "iPXE resolves when option 67 is tftp://NAME/FILE. UEFI firmware takes that for the name of a "
    "file and boots nothing: tell it to iPXE alone (option 77, user class iPXE)."
)
LOGIN_SERVERS = (
    "The UEFI boot file holds no list of login servers: give them by option 11, or by option 17 "
    "as pvs:[NAME]:17:6910."
)
WHO_TAKES_A_LIST = (
    "Several addresses with semicolons between in option 66 are not standard (RFC 2132, section "
    "9.4: one string). Some DHCP and IPAM products and TFTP clients understand them, most "
    "firmware does not: only a test with a real target tells."
)
WARNINGS = (NO_OPTION_60, WHO_RESOLVES, LOGIN_SERVERS)


@dataclass(frozen=True, slots=True)
class BootFiles:
    """The boot file of each kind of firmware; empty: there is none."""

    bios: str = "ARDBP32.BIN"
    uefi: str = "pvsnbpx64.efi"

    @classmethod
    def among(cls, names: Iterable[str]) -> BootFiles:
        """Return the boot files among those that a pool is probed for.

        What ends in .efi is for UEFI, anything else for BIOS; a kind that is not probed gets
        PVS's own name for it.
        """
        files = tuple(names)
        uefi = next((name for name in files if name.lower().endswith(".efi")), cls().uefi)
        bios = next((name for name in files if not name.lower().endswith(".efi")), cls().bios)
        return cls(bios=bios, uefi=uefi)

    def by_architecture(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """Return (label, file, architectures) of each kind of firmware that has a file."""
        rows = (("bios", self.bios, (BIOS,)), ("uefi", self.uefi, UEFI_X64))
        return tuple(row for row in rows if row[1])


@dataclass(frozen=True, slots=True)
class DhcpBootOptions:
    """What a DHCP server is to tell of one pool."""

    hostname: str
    addresses: tuple[str, ...]  # beginning with the one for next-server
    files: BootFiles

    @property
    def first(self) -> str:
        """Return the address for what takes only one."""
        return self.addresses[0]


def comment(mark: str, *paragraphs: str) -> str:
    """Return paragraphs as comment lines, each line behind `mark`."""
    lines = [line for text in paragraphs for line in wrap(text, 96, break_on_hyphens=False)]
    return "".join(f"{mark} {line}\n" for line in lines)


def c_string(text: str) -> str:
    """Return a text in double quotes, as JSON and dhcpd.conf have it."""
    return json.dumps(text)


def dnsmasq_string(text: str) -> str:
    """Return a text for dnsmasq.conf, in quotes where a character of it has a meaning there."""
    return text if re.fullmatch(r"[\w./:+-]+", text) else json.dumps(text)


def powershell_string(text: str) -> str:
    """Return a text in single quotes, in which PowerShell fills nothing in."""
    return "'" + text.replace("'", "''") + "'"
