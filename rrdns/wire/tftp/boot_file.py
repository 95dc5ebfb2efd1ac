"""Judge a boot file while it passes by, block by block: its size, its hash, its marker.

Only a hash, a count and the last few bytes are kept, never the file.
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

# Past this many bytes a file is not loaded whole, unless its size or hash is configured:
# boot files are far smaller, and a probe must not load the server that it watches.
LARGE_BYTES = 16 * 1024 * 1024

_VERSION = re.compile(rb"Provisioning Services bootstrap v(\d{1,5}(?:\.\d{1,5}){3})(?!\d)")
_START_BYTES = 0x206  # up to the mark of a Linux kernel, which begins with "MZ" as well
_TAIL_BYTES = 64  # more than a match of _VERSION can have


class BootFileInspection:
    """What the bytes of one file tell so far, held against what is expected of it."""

    def __init__(self, asked: TransferRequest, file: BootFile) -> None:
        self.size = 0  # bytes so far
        self.announced: int | None = None  # tsize, as the server says
        self.lack_of_uefi = ""  # why EDK2 would not load it, if UEFI asked for it
        self._asked = asked
        self._file = file
        self._hash = sha256()
        self._marker = marker_of(file.name)
        self._version = b""
        self._start = b""
        self._tail = b""  # the marker may lie across two blocks

    @property
    def is_uefi_program(self) -> bool:
        """Tell whether the first bytes are those of a UEFI program (and no Linux kernel's)."""
        return self._start[:2] == b"MZ" and self._start[0x202:0x206] != b"HdrS"

    @property
    def is_bounded(self) -> bool:
        """Tell whether it is known how long the file is."""
        return self.announced is not None or self._file.size is not None

    @property
    def is_large(self) -> bool:
        """Tell whether the file is not to be loaded whole."""
        known = self._file.size is not None or self._file.sha256 is not None
        return not known and (self.announced or 0) > LARGE_BYTES

    def announce_size(self, size: int) -> TransferFinding | None:
        """Note the size that the server announces; return a finding if it is wrong."""
        if not size:
            return None  # a server that does not know echoes our 0; an empty file shows soon
        self.announced = size
        if self._file.size not in (None, size):
            return self._wrong_size(f"it announces {size_of(size)}")
        return None

    def add(self, block: bytes, last: bool) -> TransferFinding | None:
        """Take in the next block; return a finding when all is known or anything is wrong."""
        self.size += len(block)
        excess = self._excess()
        if excess:
            return excess
        self._hash.update(block)
        self._look_for_marker(block, last)
        return self._whole() if last else None

    def so_far(self) -> TransferFinding:
        """Return the finding for a transfer that is to end here although more would come."""
        if not self.is_large:
            return findings.served(self._asked, self.announced)
        return findings.served(
            self._asked,
            self.announced,
            f"{self._asked.address}: {self._file.name} is larger than {size_of(LARGE_BYTES)}, so "
            "only its first block was loaded; configure its size or sha256 to have it all checked",
        )

    def _excess(self) -> TransferFinding | None:
        if self.announced is not None and self.size > self.announced:
            problem = f"it announced {size_of(self.announced)} and sends more"
            return findings.wrong_size(self._asked, problem)
        if self._file.size is not None and self.size > self._file.size:
            return self._wrong_size("it sends more")
        if not self.is_bounded and self.size > LARGE_BYTES:
            problem = f"it does not end within {size_of(LARGE_BYTES)}; if that is right, configure"
            return findings.wrong_size(self._asked, f"{problem} its size")
        return None

    def _whole(self) -> TransferFinding:
        if not self.size:
            return findings.wrong_size(self._asked, "it is empty")
        if self.announced is not None and self.size < self.announced:
            return findings.truncated(self._asked, self.size, self.announced)
        if self._file.size not in (None, self.size):
            return self._wrong_size(f"it has {size_of(self.size)}")
        digest = self._hash.hexdigest()
        if self._file.sha256 not in (None, digest):
            problem = f"its SHA-256 is {digest} and the config says {self._file.sha256}"
            return findings.wrong_content(self._asked, problem)
        seen = LoadedFile(self._file.name, self.size, digest, self._version.decode())
        return self._by_marker(seen)

    def _by_marker(self, seen: LoadedFile) -> TransferFinding:
        missing = self._missing_marker()
        if missing and self._file.require_marker:
            return findings.wrong_content(self._asked, missing)
        warning = f"{self._asked.address} serves a doubtful {seen.name}: {missing}"
        warnings: tuple[str, ...] = (warning,) if missing else ()
        if self.lack_of_uefi and self._file.profile is None and self.is_uefi_program:
            # By its bytes alone it may be what a loader of another kind asks for: no failure.
            problem = findings.firmware_fails(self._asked, self.lack_of_uefi).sentence
            warnings += (f'{problem}; it begins as a UEFI program does: if so, say profile "uefi"',)
        return findings.loaded(self._asked, seen, warnings)

    def _missing_marker(self) -> str:
        if self._marker == "version" and not self._version:
            return '"Provisioning Services bootstrap v..." is not in it, as in every PVS bootstrap'
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
        # A version that touches the end of the window may go on in the next block.
        if found and (last or found.end() < len(window)):
            self._version = found[1]
        self._tail = window[-_TAIL_BYTES:]

    def _wrong_size(self, what: str) -> TransferFinding:
        return findings.wrong_size(
            self._asked, f"{what}, and the config says {size_of(self._file.size or 0)}"
        )


def profile_of(file: BootFile) -> Profile:
    """Return what asks for a file: as configured, or as its name tells.

    UEFI loads `.efi`; only iPXE loads its scripts (`.ipxe`). All else is loaded by a PXE ROM:
    the bootstrap of PVS, and what chains to iPXE (`undionly.kpxe`).
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
    """Return which mark a boot file of this name carries: "version", "MZ", or "" for none.

    PVS runs on Windows: case does not count, and both slashes part directories.
    """
    base = PureWindowsPath(name).name.lower()
    if base == "ardbp32.bin":
        return "version"
    return "MZ" if base.endswith(".efi") else ""
