"""Make boot files that look like those of a PVS server: similar names, markers and sizes.

No target can boot from them. The filler looks random, but is the same at every call: all lab
servers serve the same file, and hashes can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import shake_256
from types import MappingProxyType

BIOS_FILE = "ARDBP32.BIN"
UEFI_FILE = "pvsnbpx64.efi"
VERSION = "7.15.0.11"

_BIOS_BYTES = 62_976
_UEFI_BYTES = 311_296
_MARKER_AT = 2_040  # across a boundary of 512-byte blocks, so that readers must join blocks


def bootstrap(version: str = VERSION, size: int = _BIOS_BYTES) -> bytes:
    """Return a BIOS bootstrap that contains its version as PVS's does."""
    marker = f"Provisioning Services bootstrap v{version}".encode() + b"\0"
    filler = _filler(b"bios", size - len(marker))
    return b"\xeb\x3c" + filler[2:_MARKER_AT] + marker + filler[_MARKER_AT:]


def uefi_bootstrap(size: int = _UEFI_BYTES) -> bytes:
    """Return a UEFI bootstrap: it begins like a PE file."""
    return b"MZ" + _filler(b"uefi", size - 2)


def boot_files() -> Mapping[str, bytes]:
    """Return the files that a PVS server offers over TFTP, by name."""
    return MappingProxyType({BIOS_FILE: bootstrap(), UEFI_FILE: uefi_bootstrap()})


def _filler(seed: bytes, size: int) -> bytes:
    return shake_256(seed).digest(size)
