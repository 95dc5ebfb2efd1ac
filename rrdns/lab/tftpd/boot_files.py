"""Make boot files that look like those of a PVS server: the same names, marks and magnitude.

They boot nothing. The filler is not zeros and not dice: it is the same at every call, so
that three lab servers serve one file, and a hash can be compared.
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
_MARKER_AT = 2_040  # across a block boundary for 512-byte blocks, to keep readers honest


def bootstrap(version: str = VERSION, size: int = _BIOS_BYTES) -> bytes:
    """Return a BIOS bootstrap that names its version as PVS does."""
    marker = f"Provisioning Services bootstrap v{version}".encode() + b"\0"
    filler = _filler(b"bios", size - len(marker))
    return b"\xeb\x3c" + filler[2:_MARKER_AT] + marker + filler[_MARKER_AT:]


def uefi_bootstrap(size: int = _UEFI_BYTES) -> bytes:
    """Return a UEFI bootstrap: a PE file as far as its first bytes tell."""
    return b"MZ" + _filler(b"uefi", size - 2)


def boot_files() -> Mapping[str, bytes]:
    """Return the files that a PVS server offers over TFTP, by name."""
    return MappingProxyType({BIOS_FILE: bootstrap(), UEFI_FILE: uefi_bootstrap()})


def _filler(seed: bytes, size: int) -> bytes:
    return shake_256(seed).digest(size)
