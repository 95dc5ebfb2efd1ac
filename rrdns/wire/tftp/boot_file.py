"""Check a boot file while it is loaded, block by block: its size, its hash, its marker.

The inspection stores a hash, a count, and the first and last few bytes, never the file.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from pathlib import PureWindowsPath

from rrdns.core.health.probe_result import LoadedFile
from rrdns.core.model import BootFile, Profile
from rrdns.wire.tftp import findings
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest, size_of

# A larger file is not loaded whole unless its size or hash is configured. Boot files are much
# smaller, and a probe must not put load on the server.
LARGE_BYTES = 16 * 1024 * 1024

_VERSION = re.compile(rb"Provisioning Services bootstrap v(\d{1,5}(?:\.\d{1,5}){3})(?!\d)")
_START_BYTES = 0x206  # up to the marker of a Linux kernel, which also begins with "MZ"
_TAIL_BYTES = 64  # more than the longest match of _VERSION


class BootFileInspection:
    """The facts about the bytes of one file so far, and their check against the config."""

    def __init__(self, request: TransferRequest, file: BootFile) -> None:
        self.size = 0  # bytes so far
        self.announced: int | None = None  # tsize from the server
        self.lack_of_uefi = ""  # why EDK2 would not load it
        self._request = request
        self._file = file
        self._hash = sha256()
        self._marker = marker_of(file.name)
        self._version = b""
        self._start = b""
        self._tail = b""  # the marker may lie across two blocks

    @property
    def is_uefi_program(self) -> bool:
        """Return whether the first bytes are those of a UEFI program, not of a Linux kernel."""
        return self._start[:2] == b"MZ" and self._start[0x202:0x206] != b"HdrS"

    @property
    def is_bounded(self) -> bool:
        """Return whether the length of the file is known."""
        return self.announced is not None or self._file.size is not None

    @property
    def is_large(self) -> bool:
        """Return whether the file is too large to be loaded whole."""
        is_configured = self._file.size is not None or self._file.sha256 is not None
        return not is_configured and (self.announced or 0) > LARGE_BYTES

    def announce_size(self, size: int) -> TransferFinding | None:
        """Store the size that the server announces; return a finding if it is wrong."""
        if not size:
            return None  # a server that does not know the size echoes our 0
        self.announced = size
        if self._file.size not in (None, size):
            return self._wrong_size(f"it announces {size_of(size)}")
        return None

    def add(self, block: bytes, last: bool) -> TransferFinding | None:
        """Add the next block; return a finding after the last one, or if a check fails."""
        self.size += len(block)
        excess = self._excess()
        if excess:
            return excess
        self._hash.update(block)
        self._look_for_marker(block, last)
        return self._whole() if last else None

    def so_far(self) -> TransferFinding:
        """Return the finding for a transfer that the probe stops here, before its end."""
        if not self.is_large:
            return findings.served(self._request, self.announced)
        return findings.served(
            self._request,
            self.announced,
            f"{self._request.address}: {self._file.name} is larger than {size_of(LARGE_BYTES)}, so "
            "only its first block was loaded; configure its size or sha256 to check the whole file",
        )

    def _excess(self) -> TransferFinding | None:
        if self.announced is not None and self.size > self.announced:
            problem = f"it announced {size_of(self.announced)}, but sends more"
            return findings.wrong_size(self._request, problem)
        if self._file.size is not None and self.size > self._file.size:
            return self._wrong_size("it sends more")
        if not self.is_bounded and self.size > LARGE_BYTES:
            problem = f"it is larger than {size_of(LARGE_BYTES)}; if that is right, configure"
            return findings.wrong_size(self._request, f"{problem} its size")
        return None

    def _whole(self) -> TransferFinding:
        if not self.size:
            return findings.wrong_size(self._request, "it is empty")
        if self.announced is not None and self.size < self.announced:
            return findings.truncated(self._request, self.size, self.announced)
        if self._file.size not in (None, self.size):
            return self._wrong_size(f"it has {size_of(self.size)}")
        digest = self._hash.hexdigest()
        if self._file.sha256 not in (None, digest):
            problem = f"its SHA-256 is {digest}, but {self._file.sha256} in the config"
            return findings.wrong_content(self._request, problem)
        seen = LoadedFile(self._file.name, self.size, digest, self._version.decode())
        return self._by_marker(seen)

    def _by_marker(self, seen: LoadedFile) -> TransferFinding:
        missing = self._missing_marker()
        if missing and self._file.require_marker:
            return findings.wrong_content(self._request, missing)
        warning = f"{self._request.address} serves a doubtful {seen.name}: {missing}"
        warnings: tuple[str, ...] = (warning,) if missing else ()
        if self.lack_of_uefi and self._file.profile is None and self.is_uefi_program:
            # Not a failure: its bytes do not show whether UEFI or another loader requests it.
            problem = findings.firmware_fails(self._request, self.lack_of_uefi).sentence
            warnings += (f"{problem}; if it is a UEFI program, configure profile = uefi",)
        return findings.loaded(self._request, seen, warnings)

    def _missing_marker(self) -> str:
        if self._marker == "version" and not self._version:
            return 'it lacks "Provisioning Services bootstrap v...", which every PVS bootstrap has'
        if self._marker == "MZ" and self._start[:2] != b"MZ":
            return 'it does not begin with "MZ", as every UEFI program does'
        return ""

    def _look_for_marker(self, block: bytes, last: bool) -> None:
        if len(self._start) < _START_BYTES:
            self._start = (self._start + block)[:_START_BYTES]
        if self._marker != "version" or self._version:
            return
        window = self._tail + block
        found = _VERSION.search(window)
        # A version at the end of the window may continue in the next block.
        if found and (last or found.end() < len(window)):
            self._version = found[1]
        self._tail = window[-_TAIL_BYTES:]

    def _wrong_size(self, what: str) -> TransferFinding:
        return findings.wrong_size(
            self._request, f"{what}, but the config has {size_of(self._file.size or 0)}"
        )


def profile_of(file: BootFile) -> Profile:
    """Return the firmware that loads a file: as configured, or by its name.

    UEFI loads `.efi`; only iPXE loads its scripts (`.ipxe`). A PXE ROM loads all other files: the
    bootstrap of PVS, and loaders that chain to iPXE (`undionly.kpxe`).
    """
    return file.profile or _profile_by_name(file.name)


@lru_cache(maxsize=1024)
def _profile_by_name(name: str) -> Profile:
    name = name.lower()
    if name.endswith(".efi"):
        return Profile.UEFI
    return Profile.IPXE if name.endswith(".ipxe") else Profile.BIOS


@lru_cache(maxsize=1024)
def marker_of(name: str) -> str:
    """Return the marker of a boot file of this name: "version", "MZ", or "" for none.

    PVS runs on Windows: case does not matter, and both slashes separate directories.
    """
    base = PureWindowsPath(name).name.lower()
    if base == "ardbp32.bin":
        return "version"
    return "MZ" if base.endswith(".efi") else ""
